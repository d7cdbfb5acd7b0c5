"""A short chaos run, and the proof that its checker can fail."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from tests.chaos.checker import Drop, Held, Request, differences, drop_id, expected
from tests.chaos.run import Plan, run
from tests.chaos.witness import Landed
from tests.chaos.world import Contract, File, Row

SEED = 20_261_121

FIRST, SECOND, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_nothing_is_lost_doubled_or_wrong(tmp_path: Path) -> None:
    plan = Plan(
        SEED,
        seconds=12,
        tables=8,
        files_per_second=8,
        pause_seconds=3,
        postgres_restarts=1,
        most_lost=3,
        least_files=60,
        least_blows=3,
    )
    report = run(plan, tmp_path, print)
    assert report.is_good, str(report)
    assert report.drops > 50
    assert report.faults.total() > 50
    assert report.blows.total() >= 3
    assert report.repaired >= report.faults["event_lost"]


def contract(policy: str = "append", longest: int | None = None) -> File:
    made = Contract(longest, has_x=False, policy=policy)
    return File("t", "schema", "contract.json", made.document, contract=made)


def data(action: str, *rows: Row, name: str = "a.csv") -> File:
    return File("t", action, name, b"", None, rows)


def row(key: int | None, value: str = "v", *, removed: bool | None = None) -> Row:
    return key, value, removed, None


def held(row: Row, drop: UUID) -> Held:
    return (*row, drop)


def model(*files: File, reverted: set[UUID] | None = None) -> Counter[Held]:
    """What the table holds after a contract and these files, whose drop ids are 1, 2, 3."""
    landed = [Drop(UUID(int=number), file) for number, file in enumerate(files, 1)]
    first = Drop(UUID(int=0), contract())
    requests = dict.fromkeys(reverted or (), Request(1, reverts=True))
    return expected([*reversed(landed), first], requests)["t"].rows


def test_model_applies_the_drops_one_by_one() -> None:
    assert model(data("append", row(1)), data("append", row(1))) == Counter(
        [held(row(1), FIRST), held(row(1), SECOND)]
    )
    assert model(data("append", row(1)), data("truncate", row(2))) == Counter(
        [held(row(2), SECOND)]
    )
    assert model(
        data("append", row(1), row(None), row(3)),
        data("upsert", row(1, "new"), row(None, "new"), row(3, removed=True)),
    ) == Counter([held(row(1, "new"), SECOND), held(row(None, "new"), SECOND)])
    assert model(data("append", row(1)), data("append", row(2)), reverted={FIRST}) == Counter(
        [held(row(2), SECOND)]
    )
    for action in ("truncate", "upsert"):
        assert model(data("append", row(1)), data(action, row(1, "new")), reverted={SECOND}) == (
            Counter([held(row(1), FIRST)])
        )


@pytest.mark.parametrize(
    ("policy", "kept"), [("append", {FIRST, SECOND}), ("replace", {SECOND}), ("reject", {FIRST})]
)
def test_model_knows_what_a_key_uploaded_again_means(policy: str, kept: set[UUID]) -> None:
    drops = [
        Drop(UUID(int=0), contract(policy)),
        Drop(FIRST, data("append", row(1))),
        Drop(SECOND, data("append", row(2))),
    ]
    assert {one[4] for one in expected(drops, {})["t"].rows} == kept


def test_model_rejects_what_does_not_fit_the_contract_of_its_place() -> None:
    drops = [
        Drop(UUID(int=0), contract(longest=1)),
        Drop(FIRST, data("append", row(1, "long"))),
        Drop(SECOND, contract(longest=9)),
        Drop(THIRD, data("append", row(1, "long"))),
    ]
    found = expected(drops, {})["t"]
    assert (found.rejected, set(found.rows)) == ({FIRST}, {held(row(1, "long"), THIRD)})


def test_model_reads_a_replayed_drop_under_the_contract_of_the_request() -> None:
    drops = [
        Drop(UUID(int=0), contract(longest=1)),
        Drop(FIRST, data("append", row(1, "long"))),
        Drop(UUID(int=5 << 96), contract(longest=9)),
    ]
    for second, rows in ((4, 0), (5, 1)):
        requests = {FIRST: Request(1, reverts=False, replay_second=second)}
        assert expected(drops, requests)["t"].rows.total() == rows


def test_model_reads_no_drop_under_a_reverted_contract() -> None:
    drops = [
        Drop(UUID(int=0), contract(longest=1)),
        Drop(FIRST, contract(longest=9)),
        Drop(SECOND, data("append", row(1, "long"))),
    ]
    assert not expected(drops, {})["t"].rejected
    assert expected(drops, {FIRST: Request(1, reverts=True)})["t"].rejected == {SECOND}


GOOD = Counter({held(row(1), FIRST): 1, held(row(2), SECOND): 2})


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (GOOD, None),
        (GOOD - Counter([held(row(1), FIRST)]), "missing 1 x"),
        (GOOD + Counter([held(row(2), SECOND)]), "too many 1 x"),
        (GOOD - Counter([held(row(1), FIRST)]) + Counter([held(row(1), SECOND)]), "missing 1 x"),
        (Counter[Held](), "missing 2 x"),
    ],
    ids=["good", "lost", "doubled", "of another drop", "empty"],
)
def test_every_damage_is_told(table: Counter[Held], told: str | None) -> None:
    drops = [
        Drop(UUID(int=0), contract()),
        Drop(FIRST, data("append", row(1))),
        Drop(SECOND, data("append", row(2), row(2), name="b.csv")),
    ]
    found = differences(expected(drops, {}), {"t": table}, {})
    assert bool(found) is (told is not None)
    assert told is None or told in str(found[0])


def test_bad_drop_that_was_loaded_is_told() -> None:
    drops = [Drop(UUID(int=0), contract(longest=1)), Drop(FIRST, data("append", row(1, "long")))]
    wanted = expected(drops, {})
    assert not differences(wanted, {}, {FIRST: "rejected"})
    assert "ended as loaded" in str(differences(wanted, {}, {FIRST: "loaded"})[0])


def test_drop_that_is_not_reverted_as_asked_is_reported() -> None:
    drops = [Drop(UUID(int=0), contract()), Drop(FIRST, data("append"))]
    wanted = expected(drops, {FIRST: Request(1, reverts=True)})
    assert not differences(wanted, {}, {FIRST: "reverted"})
    assert "ended as loaded" in str(differences(wanted, {}, {FIRST: "loaded"})[0])


def test_checker_computes_the_order_from_the_written_rule() -> None:
    at = "2026-11-20T12:00:00Z"
    first = Landed("lake", "a", "e", None, "00635A8B5EDD9A5C9A", at)
    second = Landed("lake", "a", "e", None, "00635A8B5EDD9A5C9B", at)
    later = Landed("lake", "a", "e", None, "00", "2026-11-20T12:00:01Z")
    ids = [drop_id(one) for one in (first, second, later)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 3
    assert {one.version for one in ids} == {8}

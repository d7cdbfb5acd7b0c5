"""Small appends that wait together are committed together, and each still ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from headrace_loader.outcomes import Loaded, Outcome, Rejected, Superseded
from headrace_shared.drop import Drop
from tests.road import Road


async def at_once(road: Road, drops: Sequence[Drop]) -> list[Outcome]:
    return await asyncio.gather(*(road.loading.load(drop, attempt=1) for drop in drops))


def transactions(road: Road) -> int:
    """Ledger rows of one transaction have one `xmin`."""
    count: int = road.scalar(
        "select count(distinct xmin::text) from headrace.ledger where action = 'append'"
    )
    return count


def land(road: Road, *bodies: str) -> list[Drop]:
    return [road.land(f"dev/append/users/{place}.csv", body) for place, body in enumerate(bodies)]


async def test_what_waits_is_committed_together(road: Road) -> None:
    await road.contract()
    drops = land(road, *(f"id,name\n{number},a\n" for number in range(40)))
    outcomes = await at_once(road, drops)
    assert all(isinstance(outcome, Loaded) and outcome.rows == 1 for outcome in outcomes)
    assert [row[0] for row in road.rows()] == list(range(40))
    assert road.scalar("select count(distinct _drop_id) from dev.users") == 40
    assert transactions(road) < 10


async def test_files_with_other_columns_and_dialect_marks_share_a_transaction(road: Road) -> None:
    await road.contract()
    drops = land(
        road,
        "id,name\n1,a\n",
        "name,id\nb,2\n",
        "id\r\n3\r\n",
        'id,name\n4,"x, y"\n',
        "id\n",
        "day,id\n2026-01-02,5",
    )
    outcomes = await at_once(road, drops)
    assert [outcome.rows for outcome in outcomes if isinstance(outcome, Loaded)] == [
        1, 1, 1, 1, 0, 1,
    ]  # fmt: skip
    assert road.rows() == [
        (1, "a", None),
        (2, "b", None),
        (3, None, None),
        (4, "x, y", None),
        (5, None, "2026-01-02"),
    ]


async def test_one_bad_file_is_put_aside_alone(road: Road) -> None:
    await road.contract()
    bodies = [f"id\n{number}\n" for number in range(20)]
    bodies[7] = "id\n100\nnot a number\n"
    bodies[9] = "idd\n1\n"
    bodies[11] = "id,name\n11,much longer than ten\n"
    outcomes = await at_once(road, land(road, *bodies))
    rejected = {place for place, end in enumerate(outcomes) if isinstance(end, Rejected)}
    assert rejected == {7, 9, 11}
    assert [row[0] for row in road.rows()] == [n for n in range(20) if n not in rejected]
    bad = outcomes[7]
    assert isinstance(bad, Rejected)
    assert (bad.reason.bad_rows[0].line, bad.reason.bad_rows[0].value) == (3, "not a number")


async def test_drops_that_were_loaded_before_are_told_so(road: Road) -> None:
    await road.contract()
    drops = land(road, *(f"id\n{number}\n" for number in range(6)))
    await road.loading.load(drops[2], attempt=1)
    outcomes = await at_once(road, [*drops, *drops])
    assert all(isinstance(outcome, Loaded) for outcome in outcomes)
    assert [row[0] for row in road.rows()] == list(range(6))


async def test_batch_behind_a_truncate_is_superseded(road: Road) -> None:
    await road.contract()
    drops = land(road, *(f"id\n{number}\n" for number in range(5)))
    truncate = road.land("dev/truncate/users/t.csv", "id\n50\n")
    later = road.land("dev/append/users/later.csv", "id\n60\n")
    await road.loading.load(truncate, attempt=1)
    outcomes = await at_once(road, [*drops, later])
    assert outcomes[:5] == [Superseded(truncate.drop_id)] * 5
    assert [row[0] for row in road.rows()] == [50, 60]


async def test_two_loaders_with_the_same_drops_load_them_once(road: Road) -> None:
    await road.contract()
    drops = land(road, *(f"id\n{number}\n" for number in range(30)))
    await asyncio.gather(at_once(road, drops), at_once(road, list(reversed(drops))))
    assert [row[0] for row in road.rows()] == list(range(30))

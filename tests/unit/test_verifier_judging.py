"""What the verifier says of a drop that lake, ledger and log tell differently."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_logger.states import applied, update_for
from headrace_shared.drop import landing_time
from headrace_shared.facts import (
    ContractApplied,
    DropRejected,
    DropReverted,
    DropRouted,
    DropSuperseded,
    Fact,
    LoadFailed,
    LoadStarted,
    LoadSucceeded,
    ReplayRequested,
    RevertRequested,
    Stage,
)
from headrace_shared.final_events import Findings, final_event
from headrace_shared.log_schema import State
from headrace_shared.reasons import BadRow, Reason, TestResult
from headrace_shared.testing.builders import a_drop
from headrace_verifier.differences import Difference, Kind
from headrace_verifier.judging import (
    Count,
    Patience,
    judge_count,
    judge_entry,
    judge_item,
    judge_version,
)
from headrace_verifier.records import Entry, Item, Version, item_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=20)
JUST_NOW = NOW - timedelta(seconds=10)
GRACE = Patience(NOW, timedelta(minutes=5))
REASON = Reason(code="bad_rows", message="One.", remedy="Mend it.")
REQUEST = 1_795_176_240_123


def an_entry(outcome: State = State.LOADED, **changes: Any) -> Entry:
    drop = a_drop(f"dev/{changes.pop('action', 'append')}/users/a.csv")
    entry = Entry(
        drop=drop,
        state=outcome,
        run=0,
        reopened_at=None,
        started_at=LONG_AGO - timedelta(milliseconds=250),
        applied_at=LONG_AGO,
        rows_loaded=3,
        rows_removed=0,
        contract_id=UUID(int=5),
        superseded_by=UUID(int=7) if outcome is State.SUPERSEDED else None,
        reason=REASON if outcome is State.REJECTED else None,
        changes=(),
    )
    return replace(entry, **changes)


def logged(*facts: Fact) -> Item:
    """The item that the logger makes of these facts."""
    item: Any = {}
    for fact in facts:
        item = applied(item, update_for(fact, expiry_days=0))
    return item_of(item)


def at(moment: datetime, **more: Any) -> dict[str, Any]:
    return {"drop": a_drop(), "occurred_at": moment, **more}


def loaded(moment: datetime = LONG_AGO, *, run: int = 0, rows: int = 3) -> LoadSucceeded:
    return LoadSucceeded(
        **at(moment, run=run), attempt=1, rows_loaded=rows, bytes=10, duration_ms=5
    )


def routed(moment: datetime = LONG_AGO, *, run: int = 0) -> DropRouted:
    return DropRouted(**at(moment, run=run))


def kind(difference: Difference | None) -> Kind | None:
    return difference.kind if difference else None


def judged_item(item: Item, entry: Entry | None = None, *, other: bool = False) -> Kind | None:
    return kind(judge_item(item, entry, GRACE, other_is_known=other))


def a_version(key: str = "dev/append/users/a.csv", **changes: Any) -> Version:
    version = Version("lake", key, "v1", "e1", 10, LONG_AGO)
    return replace(version, **changes)


def test_version_that_nobody_knows_is_routed_as_if_its_event_had_been_late() -> None:
    found = judge_version(a_version(), GRACE)
    assert found is not None
    assert found.kind is Kind.NOT_ROUTED
    assert isinstance(found.repair, ReplayRequested)
    assert (found.repair.as_landed, found.repair.run) == (True, 0)
    drop = found.repair.drop
    assert (drop.key, drop.version_id, drop.size_bytes) == ("dev/append/users/a.csv", "v1", 10)
    assert landing_time(drop.drop_id) == LONG_AGO.replace(microsecond=0)


@pytest.mark.parametrize(
    "version",
    [
        a_version(modified=JUST_NOW),
        a_version("dev/append/users/", size_bytes=0),
        a_version("dev/append/users/_SUCCESS", size_bytes=0),
    ],
    ids=["young", "a folder", "a marker"],
)
def test_version_that_is_left_alone(version: Version) -> None:
    assert judge_version(version, GRACE) is None


def test_version_that_the_log_may_have_forgotten_is_left_alone() -> None:
    forgetful = replace(GRACE, log_expiry=timedelta(hours=10))
    assert judge_version(a_version(), forgetful) is None
    assert judge_entry(an_entry(), None, forgetful) is None
    assert kind(judge_entry(an_entry(), None, GRACE)) is Kind.LOG_MISSING


ENDS = [
    (an_entry(), loaded()),
    (
        an_entry(action="schema", rows_loaded=0),
        ContractApplied(**at(LONG_AGO), attempt=1, changes=(), duration_ms=5),
    ),
    (
        an_entry(State.REJECTED),
        DropRejected(**at(LONG_AGO), stage=Stage.LOAD, reason=REASON, attempt=1),
    ),
    (
        an_entry(State.SUPERSEDED),
        DropSuperseded(**at(LONG_AGO), attempt=1, superseded_by=UUID(int=7)),
    ),
    (
        an_entry(State.REVERTED, rows_removed=3),
        DropReverted(**at(LONG_AGO), attempt=1, rows_removed=3),
    ),
]


@pytest.mark.parametrize(("entry", "fact"), ENDS, ids=lambda one: type(one).__name__)
def test_end_told_anew_is_the_fact_that_the_loader_told(entry: Entry, fact: Fact) -> None:
    told = final_event(entry, 1)
    assert type(told) is type(fact)
    assert told.occurred_at == entry.applied_at
    item = logged(told)
    assert judge_entry(entry, item, GRACE) is None
    assert (item.state, item.order) == (entry.state, entry.order)


@pytest.mark.parametrize(("entry", "fact"), ENDS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("known", [None, routed()], ids=["missing", "behind"])
def test_log_that_missed_an_end_is_told_and_then_agrees(
    entry: Entry, fact: Fact, known: Fact | None
) -> None:
    del fact
    item = logged(known) if known else None
    found = judge_entry(entry, item, GRACE)
    assert found is not None
    assert found.kind is (Kind.LOG_BEHIND if known else Kind.LOG_MISSING)
    assert found.repair is not None
    mended = logged(*([known] if known else []), found.repair)
    assert (mended.state, mended.order) == (entry.state, entry.order)


def test_end_of_a_moment_ago_is_left_alone() -> None:
    assert judge_entry(an_entry(applied_at=JUST_NOW), None, GRACE) is None


def test_failed_drop_that_was_loaded_after_all_is_told() -> None:
    failed = LoadFailed(**at(LONG_AGO), attempt=20, final=True, reason=REASON)
    assert kind(judge_entry(an_entry(), logged(routed(), failed), GRACE)) is Kind.LOG_BEHIND


@pytest.mark.parametrize(
    "item",
    [
        logged(DropRejected(**at(LONG_AGO), stage=Stage.LOAD, reason=REASON, attempt=1)),
        logged(loaded(rows=4)),
    ],
    ids=["another end", "other counts"],
)
def test_two_ends_of_one_run_are_told_and_left_to_a_person(item: Item) -> None:
    found = judge_entry(an_entry(), item, GRACE)
    assert found is not None
    assert (found.kind, found.repair) == (Kind.LOG_DISAGREES, None)


BAD_ROW = BadRow(record=1, line=2, column="id", value="x", code="wrong_type", reason="no bigint")
TEST = TestResult(label="v is there", kind="not_null", severity="warn", passed=True)
QUARANTINED = an_entry(rows_quarantined=2, findings=Findings((BAD_ROW,), (TEST,)))
REFUSED = an_entry(State.REJECTED)


@pytest.mark.parametrize(
    ("entry", "by_log", "field"),
    [
        (QUARANTINED, {"rows_loaded": 4}, "rows_loaded"),
        (QUARANTINED, {"rows_quarantined": 0}, "rows_quarantined"),
        (QUARANTINED, {"findings": Findings((), (TEST,))}, "bad_rows"),
        (QUARANTINED, {"findings": Findings((BAD_ROW,))}, "tests"),
        (REFUSED, {"reason": REASON.model_copy(update={"bad_row_count": 3})}, "reason"),
        (REFUSED, {"reason": REASON.model_copy(update={"code": "tests_failed"})}, "reason, stage"),
        (REFUSED, {"state": State.LOADED}, "state"),
    ],
)
def test_field_that_the_log_has_otherwise_is_a_difference(
    entry: Entry, by_log: dict[str, Any], field: str
) -> None:
    assert judge_entry(entry, logged(final_event(entry, 1)), GRACE) is None
    found = judge_entry(entry, logged(final_event(replace(entry, **by_log), 1)), GRACE)
    assert found is not None
    assert found.kind is Kind.LOG_DISAGREES
    assert found.message.endswith(f"they differ in {field}.")


def test_log_that_is_ahead_has_the_drop_done_again_in_a_later_run() -> None:
    item = logged(routed(run=REQUEST), loaded(run=REQUEST))
    found = judge_entry(an_entry(State.REJECTED), item, GRACE)
    assert found is not None
    assert found.kind is Kind.LOG_AHEAD
    assert isinstance(found.repair, ReplayRequested)
    assert found.repair.run > REQUEST


def test_log_that_is_ahead_since_a_moment_ago_is_left_alone() -> None:
    item = logged(routed(JUST_NOW, run=REQUEST), loaded(JUST_NOW, run=REQUEST))
    assert judge_entry(an_entry(State.REJECTED), item, GRACE) is None


def test_repair_comes_after_a_run_that_lies_in_the_future() -> None:
    ahead = int(NOW.timestamp() * 1000) + 60_000
    found = judge_entry(an_entry(State.REJECTED), logged(loaded(run=ahead)), GRACE)
    assert found is not None
    assert isinstance(found.repair, ReplayRequested)
    assert found.repair.run == ahead + 1


def test_log_that_is_ahead_of_an_revert_has_it_reverted_again() -> None:
    item = logged(DropReverted(**at(LONG_AGO, run=REQUEST), attempt=1, rows_removed=3))
    found = judge_entry(an_entry(), item, GRACE)
    assert found is not None
    assert isinstance(found.repair, RevertRequested)


@pytest.mark.parametrize(
    "item",
    [
        logged(loaded(run=REQUEST)),
        logged(
            DropRejected(**at(LONG_AGO, run=REQUEST), stage=Stage.ROUTE, reason=REASON, attempt=1)
        ),
        logged(LoadFailed(**at(LONG_AGO, run=REQUEST), attempt=20, final=True, reason=REASON)),
        logged(routed(run=REQUEST)),
    ],
    ids=["same end", "turned away by the router", "failed", "under way"],
)
def test_later_run_of_which_the_ledger_need_not_know(item: Item) -> None:
    assert judge_entry(an_entry(), item, GRACE) is None


def test_drop_that_was_opened_again_and_forgotten_is_routed_in_that_run() -> None:
    entry = an_entry(run=REQUEST, reopened_at=LONG_AGO)
    found = judge_entry(entry, logged(routed(), loaded()), GRACE)
    assert found is not None
    assert found.kind is Kind.REOPENED
    assert isinstance(found.repair, ReplayRequested)
    assert (found.repair.run, found.repair.as_landed) == (REQUEST, True)
    on_its_way = logged(routed(), loaded(), routed(JUST_NOW, run=REQUEST))
    assert judge_entry(entry, on_its_way, GRACE) is None
    assert judge_entry(replace(entry, reopened_at=JUST_NOW), None, GRACE) is None


def test_drop_opened_again_whose_new_run_is_stuck_is_routed_as_it_landed() -> None:
    entry = an_entry(run=REQUEST, reopened_at=LONG_AGO)
    item = logged(loaded(), routed(run=REQUEST))
    found = judge_item(item, entry, GRACE, other_is_known=False)
    assert found is not None
    assert isinstance(found.repair, ReplayRequested)
    assert (found.repair.run, found.repair.as_landed) == (REQUEST, True)


@pytest.mark.parametrize(
    ("facts", "asked"),
    [
        ([routed()], ReplayRequested(drop=a_drop(), run=0, as_landed=True)),
        (
            [routed(), LoadStarted(**at(LONG_AGO), attempt=1)],
            ReplayRequested(drop=a_drop(), run=0, as_landed=True),
        ),
        (
            [loaded(), ReplayRequested(**at(LONG_AGO, run=REQUEST))],
            ReplayRequested(drop=a_drop(), run=REQUEST, as_landed=False),
        ),
        (
            [loaded(), ReplayRequested(**at(LONG_AGO, run=REQUEST)), routed(run=REQUEST)],
            ReplayRequested(drop=a_drop(), run=REQUEST, as_landed=False),
        ),
        (
            [ReplayRequested(**at(LONG_AGO, run=REQUEST), as_landed=True)],
            ReplayRequested(drop=a_drop(), run=REQUEST, as_landed=True),
        ),
        (
            [loaded(), RevertRequested(**at(LONG_AGO, run=REQUEST))],
            RevertRequested(drop=a_drop(), run=REQUEST),
        ),
    ],
    ids=["routed", "loading", "replay", "replay, routed", "found before", "revert"],
)
def test_drop_without_an_end_is_asked_for_as_it_once_was(facts: list[Fact], asked: Fact) -> None:
    found = judge_item(logged(*facts), None, GRACE, other_is_known=False)
    assert found is not None
    assert found.kind is Kind.UNFINISHED
    assert found.repair is not None
    alike = {"occurred_at": asked.occurred_at, "traceparent": asked.traceparent}
    assert found.repair.model_copy(update=alike) == asked


def waiting(seconds: float) -> LoadFailed:
    return LoadFailed(
        **at(LONG_AGO), attempt=2, final=False, reason=REASON, retry_in_seconds=seconds
    )


@pytest.mark.parametrize(
    "item",
    [
        logged(routed(JUST_NOW)),
        logged(LoadStarted(**at(NOW - timedelta(minutes=40)), attempt=1)),
        logged(waiting(timedelta(hours=20).total_seconds())),
    ],
    ids=["young", "a long load", "waits for its next try"],
)
def test_drop_that_may_be_under_way_is_left_alone(item: Item) -> None:
    assert judged_item(item) is None


def test_wait_that_has_passed_without_a_try_is_told() -> None:
    assert judged_item(logged(waiting(60))) is Kind.UNFINISHED


def test_end_that_the_ledger_tells_is_not_told_twice() -> None:
    assert judged_item(logged(routed()), an_entry()) is None


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (logged(loaded()), Kind.LOG_AHEAD),
        (logged(loaded(JUST_NOW)), None),
        (logged(LoadFailed(**at(LONG_AGO), attempt=20, final=True, reason=REASON)), None),
        (
            logged(DropRejected(**at(LONG_AGO), stage=Stage.ROUTE, reason=REASON, attempt=1)),
            None,
        ),
        (
            logged(DropRejected(**at(LONG_AGO), stage=Stage.LOAD, reason=REASON, attempt=1)),
            Kind.LOG_AHEAD,
        ),
        (
            logged(DropSuperseded(**at(LONG_AGO), attempt=1, superseded_by=UUID(int=7))),
            Kind.LOG_AHEAD,
        ),
    ],
    ids=["loaded", "young", "failed", "by the router", "by the loader", "superseded"],
)
def test_end_of_which_the_ledger_knows_nothing(item: Item, expected: Kind | None) -> None:
    assert judged_item(item) == expected


def test_version_that_is_in_the_ledger_under_another_id_is_no_difference() -> None:
    item = logged(DropSuperseded(**at(LONG_AGO), attempt=1, superseded_by=UUID(int=7)))
    assert judged_item(item, other=True) is None


def test_rows_are_told_by_drop() -> None:
    changed = judge_count("dev.users", Count(UUID(int=1), "dev/append/users/a.csv", 3, 2))
    unknown = judge_count("dev.users", Count(UUID(int=1), None, 0, 2))
    assert (changed.kind, unknown.kind) == (Kind.ROWS_DIFFER, Kind.ROWS_UNKNOWN)
    assert "should hold 3 rows of this drop, and holds 2" in changed.message
    assert "headrace rebuild dev.users" in unknown.remedy


FACTS = st.lists(
    st.sampled_from(
        [
            routed(),
            LoadStarted(**at(LONG_AGO), attempt=1),
            waiting(1),
            loaded(),
            LoadFailed(**at(LONG_AGO), attempt=3, final=True, reason=REASON),
            ReplayRequested(**at(LONG_AGO, run=REQUEST)),
            routed(run=REQUEST),
            loaded(run=REQUEST),
        ]
    ),
    max_size=6,
)


@given(facts=FACTS, outcome=st.sampled_from(sorted(State)), run=st.sampled_from([0, REQUEST]))
def test_repairing_an_entry_never_leaves_the_same_difference(
    facts: list[Fact], outcome: State, run: int
) -> None:
    if outcome not in (State.LOADED, State.REJECTED, State.SUPERSEDED, State.REVERTED):
        return
    entry = an_entry(outcome, run=run)
    found = judge_entry(entry, logged(*facts) if facts else None, GRACE)
    if found is None or found.kind not in (Kind.LOG_MISSING, Kind.LOG_BEHIND):
        return
    assert found.repair is not None
    assert judge_entry(entry, logged(*facts, found.repair), GRACE) is None

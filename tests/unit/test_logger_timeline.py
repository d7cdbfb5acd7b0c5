"""What each fact writes, to the letter: the fold is not held against itself here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_logger.states import Item, applied, update_for
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
from headrace_shared.reasons import Reason
from headrace_shared.testing.builders import EPOCH, a_drop

DROP = a_drop()
LATER = UUID("6b00cbd0-0000-8000-8000-000000000001")
REASON = Reason(code="table_locked", message="The table is locked.")
SAID = {
    "code": "table_locked",
    "message": "The table is locked.",
    "remedy": "",
    "bad_rows": [],
    "tests": [],
}


def at(milliseconds: int, **given_: Any) -> dict[str, Any]:
    occurred_at = EPOCH + timedelta(milliseconds=milliseconds)
    return {"drop": DROP, "occurred_at": occurred_at, **given_}


ROUTED = DropRouted(**at(100))
STARTED = LoadStarted(**at(200), attempt=1)
WAITS = LoadFailed(**at(300), attempt=1, final=False, reason=REASON, retry_in_seconds=2.5)
AGAIN = LoadStarted(**at(2800), attempt=2)
FAILED = LoadFailed(**at(2900), attempt=2, final=True, stage=Stage.TEST, reason=REASON)
LOADED = LoadSucceeded(**at(3000), attempt=3, rows_loaded=7, bytes=10, duration_ms=31)
APPLIED = ContractApplied(**at(3000), attempt=3, changes=("made it",), duration_ms=9)
REJECTED = DropRejected(**at(3000), attempt=3, stage=Stage.TRANSFORM, reason=REASON)
SUPERSEDED = DropSuperseded(**at(3000), attempt=3, superseded_by=LATER)
REVERT = RevertRequested(**at(5000), run=5000)
REVERTED = DropReverted(**at(5100), run=5000, attempt=1, rows_removed=7)
REPLAY = ReplayRequested(**at(9000), run=9000)
REFUSED = DropRejected(**at(9100), run=9000, attempt=1, stage=Stage.LOAD, reason=REASON)


def folded(*facts: Fact) -> Item:
    item: Item = {}
    for fact in facts:
        item = applied(item, update_for(fact, expiry_days=0))
    return item


def step(second: str, state: str, stage: str, status: str, attempt: int) -> dict[str, Any]:
    written = f"2026-11-20T12:00:{second}Z"
    return {"at": written, "state": state, "stage": stage, "status": status, "attempt": attempt}


MESSAGE = {"message": "The table is locked."}
TIMELINE = {
    "step#000000000000000000001#routed": step("00.100", "routed", "route", "success", 1),
    "step#000000000000001000011#loading": step("00.200", "loading", "load", "success", 1),
    "step#000000000000001000012#waiting": step("00.300", "waiting", "load", "fail", 1) | MESSAGE,
    "step#000000000000001000021#loading": step("02.800", "loading", "load", "success", 2),
    "step#000000000000001000031#loading": step("02.969", "loading", "load", "success", 3),
    "step#000000000000002000000#failed": step("02.900", "failed", "test", "fail", 2) | MESSAGE,
    "step#000000000000003000000#loaded": step("03.000", "loaded", "load", "success", 3),
}


@given(st.permutations([ROUTED, STARTED, WAITS, AGAIN, FAILED, LOADED]))
def test_timeline_says_when_and_why_in_whatever_order_facts_come(facts: list[Fact]) -> None:
    item = folded(*facts)
    assert {name: item[name] for name in item if name.startswith("step#")} == TIMELINE
    assert item == folded(*sorted(facts, key=lambda fact: fact.occurred_at))


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (ROUTED, {"state": "routed", "stage": "route", "status": "success", "attempts": 1}),
        (STARTED, {"state": "loading", "stage": "load", "status": "success", "attempts": 1}),
        (WAITS, {"status": "fail", "retry_at": "2026-11-20T12:00:02.800Z", "reason": SAID}),
        (FAILED, {"stage": "test", "status": "fail", "duration_ms": 2900, "reason": SAID}),
        (LOADED, {"rows_loaded": 7, "rows_quarantined": 0, "load_ms": 31, "duration_ms": 3000}),
        (APPLIED, {"state": "loaded", "changes": ["made it"], "rows_loaded": 0, "load_ms": 9}),
        (
            REJECTED,
            {"stage": "transform", "rows_loaded": 0, "rows_quarantined": 0, "duration_ms": 3000},
        ),
        (
            SUPERSEDED,
            {"superseded_by": str(LATER), "status": "success", "rows_loaded": 0}
            | {"rows_quarantined": 0, "duration_ms": 3000},
        ),
    ],
    ids=lambda given_: given_.detail_type if isinstance(given_, Fact) else "",
)
def test_fact_is_written_with_what_it_says(fact: Fact, expected: dict[str, Any]) -> None:
    item = folded(fact)
    assert {name: item.get(name) for name in expected} == expected


RUNS: list[Fact] = [LOADED, REVERT, REVERTED, REPLAY, REFUSED]


@pytest.mark.parametrize("last", RUNS, ids=lambda fact: fact.detail_type)
@given(data=st.data())
def test_runs_of_a_drop_end_alike_in_whatever_order_facts_come(
    last: Fact, data: st.DataObject
) -> None:
    until = RUNS[: RUNS.index(last) + 1]
    item = folded(*data.draw(st.permutations(until)))
    assert item == folded(*until)
    # What an earlier run came to is told by the timeline alone.
    assert {name for name in item if not name.startswith("step#")} == {
        name for name in folded(last) if not name.startswith("step#")
    }


def test_reverted_drop_tells_how_many_rows_went() -> None:
    item = folded(LOADED, REVERT, REVERTED)
    assert (item["state"], item["rows_removed"], item["rows_loaded"]) == ("reverted", 7, 0)
    assert (item["run"], "load_ms" in item) == (5000, False)


@pytest.mark.parametrize("fact", [ROUTED, STARTED, WAITS, AGAIN, FAILED])
def test_drop_under_way_has_no_figures_of_an_end(fact: Fact) -> None:
    figures = {"rows_loaded", "rows_quarantined", "load_ms", "changes", "superseded_by"}
    assert not figures & folded(fact).keys()


@pytest.mark.parametrize("fact", [ROUTED, STARTED, WAITS, FAILED, LOADED, REJECTED, SUPERSEDED])
def test_first_of_two_tellings_is_kept(fact: Fact) -> None:
    # A loader that died after its commit tells the end again, at a later time.
    later = fact.model_copy(update={"occurred_at": fact.occurred_at + timedelta(hours=1)})
    assert folded(fact, later) == folded(fact)

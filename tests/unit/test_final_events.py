"""The log item of the loader's event is the one that the verifier makes again from the ledger."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from headrace_loader import ledger
from headrace_loader.ends import event_of
from headrace_loader.outcomes import (
    Applied,
    Aside,
    Loaded,
    Outcome,
    Period,
    Rejected,
    Reverted,
    Superseded,
)
from headrace_logger.states import applied, update_for
from headrace_shared.drop import Drop
from headrace_shared.facts import DropRouted, Fact
from headrace_shared.final_events import Findings, final_event
from headrace_shared.log_schema import State
from headrace_shared.reasons import BadRow, Reason, TestResult
from headrace_shared.testing.builders import EPOCH, a_drop
from headrace_verifier.judging import Patience, judge_entry
from headrace_verifier.records import entry_of, item_of

texts = st.text(max_size=10)
counts = st.integers(0, 2**40)
ids = st.uuids(version=4)
bad_rows = st.lists(
    st.builds(
        BadRow,
        record=st.none() | counts,
        line=st.none() | counts,
        column=st.none() | texts,
        value=st.none() | texts,
        code=st.none() | texts,
        reason=texts,
        raw=st.none() | texts,
    ),
    max_size=3,
).map(tuple)
tests = st.lists(
    st.builds(
        TestResult,
        label=texts,
        kind=texts,
        severity=st.sampled_from(["error", "warn"]),
        passed=st.booleans(),
        failing_rows=counts,
        message=texts,
        columns=st.lists(texts, max_size=2).map(tuple),
        sample=st.lists(st.lists(st.none() | texts, max_size=2).map(tuple), max_size=2).map(tuple),
    ),
    max_size=3,
).map(tuple)
reasons = st.builds(
    Reason,
    code=st.sampled_from(["bad_rows", "tests_failed", "reuploaded"]),
    message=texts,
    remedy=texts,
    bad_rows=bad_rows,
    bad_row_count=st.none() | counts,
    tests=tests,
)
periods = st.builds(
    lambda began, took: Period(EPOCH + began, EPOCH + began + took),
    st.timedeltas(timedelta(0), timedelta(days=9)),
    st.timedeltas(timedelta(0), timedelta(hours=9)),
)
of_rows = st.one_of(
    st.builds(
        Loaded,
        rows=counts,
        contract_id=ids,
        rows_removed=counts,
        aside=st.builds(Aside, rows=counts, first=bad_rows, tests=tests),
    ),
    st.builds(Superseded, ids),
    st.builds(Reverted, rows_removed=counts),
    st.builds(Rejected, reasons),
)
of_contracts = st.builds(Applied, st.lists(texts, max_size=3).map(tuple)) | st.builds(
    Rejected, reasons
)


@st.composite
def ended(draw: st.DrawFn) -> tuple[Drop, Outcome, Period]:
    action = draw(st.sampled_from(["append", "truncate", "upsert", "schema"]))
    outcome: Any = draw(of_contracts if action == "schema" else of_rows)
    period = draw(periods)
    run = draw(st.sampled_from([0, 1_795_176_240_123]))
    made = {"run": run, "period": period}
    values = {name: getattr(outcome, name) for name in outcome.__dataclass_fields__} | made
    return a_drop(f"dev/{action}/users/a.csv"), type(outcome)(**values), period


def ledger_row(drop: Drop, outcome: Outcome, period: Period) -> dict[str, Any]:
    """The row as Postgres hands it back: documents as plain JSON, the changes of the contract."""
    written = {
        name: json.loads(json.dumps(value.obj)) if isinstance(value, Jsonb) else value
        for name, value in ledger.ending(outcome).items()
    }
    return {
        **drop.model_dump(exclude={"file"}),
        **written,
        "rows_loaded": written["rows"],
        "run": outcome.run,
        "reopened_at": None,
        "started_at": period.started_at,
        "applied_at": period.applied_at,
        "changes": list(outcome.changes) if isinstance(outcome, Applied) else None,
    }


def item_of_event(event: Fact) -> Any:
    """Without the span of the event, which is its own."""
    item = applied({}, update_for(event, expiry_days=7))
    return {name: value for name, value in item.items() if name != "traceparent"}


@given(ended(), st.integers(1, 20))
def test_item_that_verify_makes_again_is_the_loaders(
    given_: tuple[Drop, Outcome, Period], attempt: int
) -> None:
    drop, outcome, period = given_
    published = event_of(outcome, DropRouted(drop=drop, run=outcome.run), attempt)
    entry = entry_of(ledger_row(drop, outcome, period))
    item = item_of_event(published)
    assert item_of_event(final_event(entry, attempt)) == item
    patience = Patience(period.applied_at + timedelta(days=1), timedelta(0))
    assert judge_entry(entry, item_of(item), patience) is None


@given(bad_rows, tests)
def test_findings_are_the_same_after_the_ledger_kept_them(
    rows: tuple[BadRow, ...], results: tuple[TestResult, ...]
) -> None:
    found = Findings(rows, results)
    kept = json.loads(json.dumps(found.as_document()))
    assert Findings.of_document(kept) == found


def test_outcome_that_is_not_in_the_ledger_ends_at_the_present_moment() -> None:
    routed = DropRouted(drop=a_drop())
    event = event_of(Superseded(UUID(int=7), repeated=True), routed, 1)
    assert event.occurred_at - routed.occurred_at < timedelta(minutes=1)


@pytest.mark.parametrize("state", [State.FAILED, State.WAITING, State.ROUTED])
def test_state_that_the_ledger_does_not_know_is_refused(state: State) -> None:
    row = ledger_row(a_drop(), Loaded(1, None), Period(EPOCH, EPOCH))
    with pytest.raises(ValueError, match=str(state)):
        final_event(entry_of({**row, "outcome": str(state)}), 1)

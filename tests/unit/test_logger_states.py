"""The logger's decision: whatever the order and however often facts come, the item is the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace_logger.handler import LoggerHandler
from headrace_logger.states import Item, Update, Written, applied, update_for
from headrace_shared.facts import (
    ContractApplied,
    DropRejected,
    DropRouted,
    DropSuperseded,
    Fact,
    LoadFailed,
    LoadStarted,
    LoadSucceeded,
    Stage,
    UnknownFactError,
)
from headrace_shared.log_schema import (
    ATTENTION_STATES,
    STEP_PREFIX,
    State,
    recent_partition,
)
from headrace_shared.reasons import BadRow, Reason
from headrace_shared.testing.builders import EPOCH, a_drop, a_message, an_envelope

DROP = a_drop()
LATER = UUID("6b00cbd0-0000-8000-8000-000000000001")
REASON = Reason(
    code="bad_rows",
    message="Line 3 is not a number.",
    bad_rows=(BadRow(line=3, column=None, value="", reason="no number"),),
)
TRACES = st.none() | st.sampled_from(["00-" + "a" * 32 + "-" + "b" * 16 + "-01"])


def failed(attempt: int, *, final: bool = False, **given_: Any) -> Fact:
    retry = None if final else 2.5
    return LoadFailed(
        drop=DROP, attempt=attempt, final=final, reason=REASON, retry_in_seconds=retry, **given_
    )


def ends(attempt: int, **given_: Any) -> list[Fact]:
    """One of these ends the story for good."""
    return [
        LoadSucceeded(
            drop=DROP, attempt=attempt, rows_loaded=7, bytes=10, duration_ms=31, **given_
        ),
        ContractApplied(drop=DROP, attempt=attempt, changes=("made it",), duration_ms=9, **given_),
        DropRejected(drop=DROP, attempt=attempt, stage=Stage.TEST, reason=REASON, **given_),
        DropSuperseded(drop=DROP, attempt=attempt, superseded_by=LATER, **given_),
    ]


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """What can happen to a drop, in the order in which it happens."""

    def stamp() -> dict[str, Any]:
        at = EPOCH + timedelta(milliseconds=500 * (len(told) + 1))
        return {"occurred_at": at, "traceparent": draw(TRACES)}

    told: list[Fact] = []
    told.append(DropRouted(drop=DROP, **stamp()))
    tries = draw(st.integers(0, 4))
    for attempt in range(1, tries + 1):
        told.append(LoadStarted(drop=DROP, attempt=attempt, **stamp()))
        told.append(failed(attempt, **stamp()))
    last = tries + 1
    if draw(st.booleans()):
        told.append(failed(last, final=True, **stamp()))
    if draw(st.booleans()):
        # After a final failure this is a redrive, whose tries count from 1 again.
        told.append(LoadStarted(drop=DROP, attempt=draw(st.integers(1, last)), **stamp()))
        told.append(draw(st.sampled_from(ends(last, **stamp()))))
    return told


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Fact], list[Fact]]:
    """A history, and how it comes: every fact at least once, in any order."""
    history = draw(histories())
    again = draw(st.lists(st.sampled_from(history), max_size=6))
    return history, draw(st.permutations([*history, *again]))


def folded(facts: Iterable[Fact]) -> Item:
    item: Item = {}
    for fact in facts:
        item = applied(item, update_for(fact, expiry_days=0))
    return item


def without_times(item: Item) -> Item:
    """A redrive repeats tries: of two steps of one name, the first to come is kept."""
    return {name: name if name.startswith(STEP_PREFIX) else item[name] for name in item}


@given(deliveries())
def test_item_is_the_same_in_whatever_order_and_however_often_facts_come(
    told: tuple[list[Fact], list[Fact]],
) -> None:
    history, delivered = told
    item = folded(delivered)
    assert without_times(item) == without_times(folded(history))
    for fact in history:
        assert update_for(fact, expiry_days=0).steps.keys() <= item.keys()


@given(deliveries())
def test_state_never_moves_backwards(told: tuple[list[Fact], list[Fact]]) -> None:
    item: Item = {}
    place = -1
    for fact in told[1]:
        item = applied(item, update_for(fact, expiry_days=0))
        assert item["state_order"] >= place
        place = item["state_order"]


@given(deliveries())
def test_sparse_index_holds_what_needs_attention(told: tuple[list[Fact], list[Fact]]) -> None:
    item = folded(told[1])
    attention = recent_partition(DROP.drop_id) if State(item["state"]) in ATTENTION_STATES else None
    assert item.get("attention_pk") == attention


@pytest.mark.parametrize("end", ends(2), ids=lambda fact: fact.detail_type)
def test_good_and_bad_ends_overtake_a_final_failure(end: Fact) -> None:
    for facts in ([failed(1, final=True), end], [end, failed(1, final=True)]):
        assert folded(facts)["state"] == update_for(end, expiry_days=0).attributes["state"]


def test_reason_and_retry_go_with_their_state() -> None:
    waits = folded([DropRouted(drop=DROP), failed(1, occurred_at=EPOCH)])
    assert (waits["state"], waits["status"]) == ("waiting", "fail")
    assert waits["retry_at"] == "2026-11-20T12:00:02.500Z"
    assert waits["reason"]["bad_rows"] == [{"line": 3, "value": "", "reason": "no number"}]
    loads = applied(waits, update_for(LoadStarted(drop=DROP, attempt=2), expiry_days=0))
    assert "reason" not in loads
    assert "retry_at" not in loads


def test_attributes_are_those_of_the_log() -> None:
    landed = EPOCH + timedelta(milliseconds=120)
    drop = a_drop(landed_at=landed, version_id="v1", sequencer="00AA")
    fact = LoadSucceeded(
        drop=drop,
        occurred_at=landed + timedelta(milliseconds=84),
        attempt=1,
        rows_loaded=7,
        bytes=10,
        duration_ms=31,
        contract_id=LATER,
    )
    assert update_for(fact, expiry_days=2).attributes == {
        "table_pk": "dev.users",
        "recent_pk": recent_partition(drop.drop_id),
        "state": "loaded",
        "state_order": 3_000_000,
        "stage": "load",
        "status": "success",
        "db_name": "dev",
        "action": "append",
        "table_name": "users",
        "file": "a.csv",
        "bucket": "lake",
        "key": "dev/append/users/a.csv",
        "version_id": "v1",
        "etag": "e1",
        "size_bytes": 10,
        "sequencer": "00AA",
        "landed_at": "2026-11-20T12:00:00.120Z",
        "landed_timestamp": "2026-11-20T12:00:00Z",
        "rows_loaded": 7,
        "rows_quarantined": 0,
        "duration_ms": 84,
        "load_ms": 31,
        "attempts": 1,
        "run": 0,
        "contract_id": str(LATER),
        "updated_at": "2026-11-20T12:00:00.204Z",
        "expires_at": int(landed.timestamp()) + 2 * 86_400,
    }


def test_duration_of_a_later_run_counts_from_its_request() -> None:
    requested_at = EPOCH + timedelta(days=3, milliseconds=250)
    run = int(requested_at.timestamp() * 1000)
    end = ends(1, run=run, occurred_at=requested_at + timedelta(milliseconds=84))[0]
    assert update_for(end, expiry_days=0).attributes["duration_ms"] == 84


def test_key_without_a_table_has_no_table_partition() -> None:
    drop = a_drop("nonsense")
    item = folded([DropRejected(drop=drop, stage=Stage.ROUTE, reason=REASON)])
    assert not {"table_pk", "db_name", "action", "table_name", "file"} & item.keys()
    assert item["recent_pk"] == item["attention_pk"]


class RememberingLog:
    """A `handler.Log` over the pure fold."""

    def __init__(self) -> None:
        self.item: Item = {}
        self.links: list[tuple[UUID, UUID]] = []

    async def link(self, corrected: UUID, by: UUID) -> None:
        self.links.append((corrected, by))

    async def write(self, update: Update) -> Written:
        before, self.item = self.item, applied(self.item, update)
        moved = before.get("state_order", -1) < update.order
        return Written(moved, before.get("state") if moved else None)


async def delivered(log: RememberingLog, bodies: Sequence[str]) -> None:
    handler = LoggerHandler(log, expiry_days=0)
    for body in bodies:
        assert list(await handler.handle(a_message(body))) == []


async def test_fact_on_the_bus_moves_the_item() -> None:
    log = RememberingLog()
    facts = [DropRouted(drop=DROP, occurred_at=EPOCH), ends(1, occurred_at=EPOCH)[0]]
    await delivered(log, [an_envelope(fact) for fact in facts])
    assert log.item == folded(facts)


async def test_fields_of_a_newer_minor_version_are_ignored() -> None:
    log = RememberingLog()
    await delivered(log, [an_envelope(DropRouted(drop=DROP), version="1.9", novelty=1)])
    assert log.item["state"] == "routed"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("no json", ValidationError),
        (json.dumps({"detail-type": "Drop Routed", "detail": {}}), ValidationError),
        (
            json.dumps({"detail-type": "Drop Sunk", "source": "headrace", "detail": {}}),
            UnknownFactError,
        ),
        (an_envelope(DropRouted(drop=DROP), version="2.0"), UnknownFactError),
    ],
)
async def test_what_is_no_fact_stays_in_the_queue(body: str, error: type[Exception]) -> None:
    log = RememberingLog()
    with pytest.raises(error):
        await delivered(log, [body])
    assert log.item == {}

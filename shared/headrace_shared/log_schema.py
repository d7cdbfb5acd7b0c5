"""The shape of the log in DynamoDB: states, their order, attributes and index keys.

The logger writes by it and the API reads by it; neither knows the other. One item per drop, so
no item can outgrow DynamoDB's 400 KB. The sort key of every index is the drop id, which begins
with the landing second: a range of landing times is a range of drop ids.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final
from uuid import UUID

from headrace_shared.drop import landing_time

RECENT_SHARDS: Final = 8
"""A month of drops is spread over this many partition values: one value would be a hot
partition (1,000 writes a second each,
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html)."""

BY_TABLE: Final = "by_table"
RECENT: Final = "recent"
ATTENTION: Final = "attention"

INDEX_KEYS: Final = {
    BY_TABLE: "table_pk",
    RECENT: "recent_pk",
    ATTENTION: "attention_pk",
}
"""Index name -> its partition key attribute; the sort key is always `drop_id`."""

KEY: Final = "drop_id"
EXPIRY: Final = "expires_at"
ANSWER_PREFIX: Final = "answer#"
"""Begins the keys of items that are no drops, and in no index: the API's answers to requests that
may be repeated (`Idempotency-Key`). They expire."""
PROGRESS: Final = "logger#progress"
"""The key of the one item that says how far the log has come; no drop, and in no index."""
WRITTEN_THROUGH: Final = "written_through"
"""Of that item: events that came before this moment are in the log."""
IS_IDLE: Final = "is_idle"
"""Of that item: at that moment, no event waited."""
PROGRESS_SECONDS: Final = 10.0
"""An idle logger writes that item so often, a busy one each second."""
STEP_PREFIX: Final = "step#"
AS_LANDED: Final = "as_landed"
"""Of a step: the drop was asked for as if its first event had only been late."""


def is_drop_key(key: str) -> bool:
    """Whether the item of this key is that of a drop."""
    return key != PROGRESS and not key.startswith(ANSWER_PREFIX)


class State(StrEnum):
    """Where a drop is on its road."""

    REQUESTED = "requested"
    ROUTED = "routed"
    LOADING = "loading"
    WAITING = "waiting"
    LOADED = "loaded"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    REVERTED = "reverted"
    FAILED = "failed"


END_STATES: Final = frozenset(
    {State.LOADED, State.REJECTED, State.SUPERSEDED, State.REVERTED, State.FAILED}
)

ATTENTION_STATES: Final = frozenset(State) - {State.LOADED, State.SUPERSEDED, State.REVERTED}
"""Not ended, or ended badly: the drops that the sparse index `attention` holds."""

_PLACE: Final = {
    State.REQUESTED: (0, 0),
    State.ROUTED: (0, 1),
    State.LOADING: (1, 1),
    State.WAITING: (1, 2),
    State.FAILED: (2, 0),
    State.LOADED: (3, 0),
    State.REJECTED: (3, 0),
    State.SUPERSEDED: (3, 0),
    State.REVERTED: (3, 0),
}

_RUN: Final = 10_000_000
"""More than any place within one run."""
_ORDER_DIGITS: Final = 21


def state_order(state: State, attempt: int, run: int = 0) -> int:
    """The place of a state on the road; a drop's state only ever moves to a greater one.

    The tries of a load follow one another; a final failure comes after them, because a redrive
    can still bring the drop to one of the ends, which nothing follows but another run: a replay,
    a revert, or a contract that came late.
    """
    phase, step = _PLACE[state]
    place = phase * 1_000_000 + step
    if phase == 1:
        place += min(attempt, 99_999) * 10
    return run * _RUN + place


def step_attribute(state: State, attempt: int, run: int = 0) -> str:
    """The attribute that keeps when a drop came to a state; names sort in the road's order."""
    order = state_order(state, attempt, run)
    return f"{STEP_PREFIX}{order:0{_ORDER_DIGITS}d}#{state}"


def table_partition(db_name: str, table_name: str) -> str:
    """The partition of one table in the index `by_table`."""
    return f"{db_name}.{table_name}"


def recent_partition(drop_id: UUID) -> str:
    """The partition of one drop in the indexes `recent` and `attention`."""
    return f"{landing_time(drop_id):%Y-%m}#{drop_id.int % RECENT_SHARDS}"


def recent_partitions(month: date) -> list[str]:
    """Every partition that drops of this month can lie in."""
    return [f"{month:%Y-%m}#{shard}" for shard in range(RECENT_SHARDS)]

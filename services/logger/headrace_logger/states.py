"""What does a fact change about its drop's item in the log? Decided without I/O.

A state never moves backwards: an update holds only where its place on the road is greater than
the item's. A fact that comes too late, or again, changes nothing but the timeline, which it may
complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace_shared.drop import Drop
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
from headrace_shared.log_schema import (
    AS_LANDED,
    ATTENTION_STATES,
    END_STATES,
    EXPIRY,
    KEY,
    State,
    recent_partition,
    state_order,
    step_attribute,
    table_partition,
)
from headrace_shared.reasons import Reason

Item = Mapping[str, Any]

_OF_A_STATE = (
    "attention_pk",
    "bad_rows",
    "changes",
    "contract_id",
    "duration_ms",
    "load_ms",
    "reason",
    "retry_at",
    "rows_loaded",
    "rows_quarantined",
    "rows_removed",
    "superseded_by",
    "tests",
    "traceparent",
    "warnings",
)
"""Attributes that belong to a state alone, and go when another one comes: what is left of an
earlier one, or of an earlier run, would depend on the order in which the facts came."""


@dataclass(frozen=True, slots=True)
class Update:
    """What events ask of one item.

    `attributes` are set and `removed` taken away if `order` is greater than the item's. `steps` and
    `exact_steps` are added to the timeline in any case, unless they are there; where the item
    moves, `exact_steps` replace what is there, for a final event knows when its load began.
    """

    key: str
    order: int
    attributes: Mapping[str, Any]
    removed: tuple[str, ...]
    steps: Mapping[str, Mapping[str, Any]]
    exact_steps: Mapping[str, Mapping[str, Any]]

    @property
    def is_final(self) -> bool:
        """Whether it brings the item to an end state."""
        return self.attributes["state"] in END_STATES


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an update: whether it moved the item, and from which state; None for a new
    item. An update that did not move it has at most completed the timeline."""

    moved: bool
    before: str | None = None


def update_for(fact: Fact, *, expiry_days: int) -> Update:
    """The update that a fact asks for.

    Args:
        expiry_days: when the item expires after this fact; 0 for never.
    """
    state, attempt, stage = _state(fact), _attempt(fact), _stage(fact)
    status = "fail" if state in (State.WAITING, State.REJECTED, State.FAILED) else "success"
    order = state_order(state, attempt, fact.run)
    attributes: dict[str, Any] = {
        "state": str(state),
        "state_order": order,
        "stage": str(stage),
        "status": status,
        "attempts": attempt,
        "run": fact.run,
        "updated_at": milliseconds(fact.occurred_at),
        "traceparent": fact.traceparent,
        **_of_drop(fact.drop),
        **_of_fact(fact),
    }
    if state in END_STATES:
        attributes["duration_ms"] = _since_beginning(fact)
    if state in ATTENTION_STATES:
        attributes["attention_pk"] = recent_partition(fact.drop.drop_id)
    if expiry_days:
        expires = fact.occurred_at + timedelta(days=expiry_days)
        attributes[EXPIRY] = int(expires.timestamp())
    present = {name: value for name, value in attributes.items() if value is not None}
    step = {
        "at": milliseconds(fact.occurred_at),
        "state": str(state),
        "stage": str(stage),
        "status": status,
        "attempt": attempt,
    }
    return Update(
        key=str(fact.drop.drop_id),
        order=order,
        attributes=present,
        removed=tuple(name for name in _OF_A_STATE if name not in present),
        steps={step_attribute(state, attempt, fact.run): step | _of_step(fact)},
        exact_steps=_beginning(fact, attempt),
    )


def together(updates: Sequence[Update]) -> list[tuple[int, Update]]:
    """The updates of one drop in as few writes as possible: each with the place, among the updates,
    of the one whose state it writes.

    States on the way are left out where a later one follows, but for their steps; a final state is
    always written, so that each is counted.
    """
    writes: list[tuple[int, Update]] = []
    group: list[int] = []
    in_order = sorted(range(len(updates)), key=lambda place: updates[place].order)
    for place in in_order:
        group.append(place)
        if updates[place].is_final or place == in_order[-1]:
            writes.append((place, _merged([updates[one] for one in group])))
            group = []
    return writes


def _merged(updates: Sequence[Update]) -> Update:
    """The last of the updates, with the steps of all."""
    steps = {name: step for one in reversed(updates) for name, step in one.steps.items()}
    exact = {name: step for one in updates for name, step in one.exact_steps.items()}
    return replace(updates[-1], steps=steps, exact_steps=exact)


def applied(item: Item, update: Update) -> Item:
    """The item after the update: what the adapter's conditional writes do, as a pure function."""
    if item and item["state_order"] >= update.order:
        return {**update.steps, **update.exact_steps, **item}
    kept = {name: value for name, value in item.items() if name not in update.removed}
    return {**update.steps, **kept, KEY: update.key, **update.attributes, **update.exact_steps}


def milliseconds(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds: texts of one length, which sort as the times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{moment.microsecond // 1000:03d}Z"
    )


def _of_drop(drop: Drop) -> dict[str, Any]:
    table = (
        table_partition(drop.db_name, drop.table_name) if drop.db_name and drop.table_name else None
    )
    return {
        "table_pk": table,
        "recent_pk": recent_partition(drop.drop_id),
        "db_name": drop.db_name,
        "action": drop.action and str(drop.action),
        "table_name": drop.table_name,
        "file": drop.file,
        "corrects": drop.corrects and str(drop.corrects),
        "bucket": drop.bucket,
        "key": drop.key,
        "version_id": drop.version_id,
        "etag": drop.etag,
        "size_bytes": drop.size_bytes,
        "sequencer": drop.sequencer,
        "landed_at": milliseconds(drop.landed_at),
        "landed_timestamp": drop.landed_timestamp.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _of_fact(fact: Fact) -> dict[str, Any]:
    reason = _reason(fact)
    told: dict[str, Any] = {
        "reason": reason.model_dump(mode="json", exclude_none=True) if reason else None
    }
    match fact:
        case LoadSucceeded():
            told |= {
                "rows_loaded": fact.rows_loaded,
                "rows_quarantined": fact.rows_quarantined,
                "bad_rows": _bad_rows(fact),
                "tests": [one.model_dump() for one in fact.tests] or None,
                "warnings": [one.model_dump() for one in fact.warnings] or None,
                "load_ms": fact.duration_ms,
                "contract_id": fact.contract_id and str(fact.contract_id),
            }
        case ContractApplied():
            told |= {
                "rows_loaded": 0,
                "rows_quarantined": 0,
                "load_ms": fact.duration_ms,
                "changes": list(fact.changes),
            }
        case DropRejected() | DropSuperseded() | DropReverted():
            told |= {"rows_loaded": 0, "rows_quarantined": 0}
        case LoadFailed(final=False, retry_in_seconds=float(seconds)):
            told["retry_at"] = milliseconds(fact.occurred_at + timedelta(seconds=seconds))
        case _:
            pass
    if isinstance(fact, DropSuperseded):
        told["superseded_by"] = str(fact.superseded_by)
    if isinstance(fact, DropReverted):
        told["rows_removed"] = fact.rows_removed
    return told


def _bad_rows(fact: LoadSucceeded) -> list[dict[str, Any]] | None:
    return [row.model_dump(exclude_none=True) for row in fact.bad_rows] or None


_STATES: Mapping[type[Fact], State] = {
    ReplayRequested: State.REQUESTED,
    RevertRequested: State.REQUESTED,
    DropRouted: State.ROUTED,
    LoadStarted: State.LOADING,
    LoadSucceeded: State.LOADED,
    ContractApplied: State.LOADED,
    DropRejected: State.REJECTED,
    DropSuperseded: State.SUPERSEDED,
    DropReverted: State.REVERTED,
}


def _state(fact: Fact) -> State:
    if isinstance(fact, LoadFailed):
        return State.FAILED if fact.final else State.WAITING
    return _STATES[type(fact)]


def _stage(fact: Fact) -> Stage:
    if isinstance(fact, DropRejected | LoadFailed):
        return fact.stage
    return Stage.ROUTE if isinstance(fact, DropRouted | ReplayRequested) else Stage.LOAD


def _beginning(fact: Fact, attempt: int) -> dict[str, Mapping[str, Any]]:
    """The step of the load's beginning, by an event that knows how long it took: the loader tells
    only of long loads that they begin."""
    took_ms = getattr(fact, "duration_ms", None)
    if took_ms is None:
        return {}
    step = {
        "at": milliseconds(fact.occurred_at - timedelta(milliseconds=took_ms)),
        "state": str(State.LOADING),
        "stage": str(Stage.LOAD),
        "status": "success",
        "attempt": attempt,
    }
    return {step_attribute(State.LOADING, attempt, fact.run): step}


def _attempt(fact: Fact) -> int:
    if isinstance(fact, DropRouted | ReplayRequested | RevertRequested):
        return 1
    return fact.attempt


def _reason(fact: Fact) -> Reason | None:
    return fact.reason if isinstance(fact, DropRejected | LoadFailed) else None


def _of_step(fact: Fact) -> dict[str, Any]:
    if isinstance(fact, ReplayRequested) and fact.as_landed:
        return {AS_LANDED: 1, "message": "Found in the lake: what should have routed it was lost."}
    reason = _reason(fact)
    return {"message": reason.message} if reason else {}


def _since_beginning(fact: Fact) -> int:
    """Of the run: the landing, or the request, whose moment the run is."""
    # AWS gives the landing in whole seconds: up to a second of this is not the platform's.
    began = max(fact.drop.landed_at, datetime.fromtimestamp(fact.run / 1000, UTC))
    return max(0, round((fact.occurred_at - began).total_seconds() * 1000))

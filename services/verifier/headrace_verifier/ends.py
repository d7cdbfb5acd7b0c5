"""The fact of an end, told once more from the ledger: for a log that missed it."""

from __future__ import annotations

from typing import Any

from headrace_shared.drop import Action
from headrace_shared.facts import (
    ContractApplied,
    DropRejected,
    DropReverted,
    DropSuperseded,
    Fact,
    LoadSucceeded,
    Stage,
)
from headrace_shared.log_schema import State
from headrace_shared.tracing import traceparent
from headrace_verifier.records import Entry


def end_of(entry: Entry, attempt: int) -> Fact:
    """How the drop ended, at the moment at which it did.

    Args:
        attempt: of which try; the ledger does not count them, the log does.
    """
    told: dict[str, Any] = {
        "drop": entry.drop,
        "run": entry.run,
        "occurred_at": entry.applied_at,
        "traceparent": traceparent(entry.drop.drop_id),
        "attempt": attempt,
    }
    took = round((entry.applied_at - entry.started_at).total_seconds() * 1000)
    match entry.outcome:
        case State.REJECTED:
            assert entry.reason is not None
            return DropRejected(stage=Stage.LOAD, reason=entry.reason, duration_ms=took, **told)
        case State.SUPERSEDED:
            assert entry.superseded_by is not None
            return DropSuperseded(superseded_by=entry.superseded_by, **told)
        case State.REVERTED:
            return DropReverted(rows_removed=entry.rows_removed, **told)
    if entry.drop.action is Action.SCHEMA:
        return ContractApplied(changes=entry.changes, duration_ms=took, **told)
    return LoadSucceeded(
        rows_loaded=entry.rows_loaded,
        bytes=entry.drop.size_bytes,
        duration_ms=took,
        contract_id=entry.contract_id,
        **told,
    )

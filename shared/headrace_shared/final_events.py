"""One mapping from how a drop ended, as its ledger row has it, to the event that the log reads.

The loader publishes this event after the commit; the verifier publishes it again, from the row
alone, where the log missed it. Both are the same event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from headrace_shared.drop import Action, Drop
from headrace_shared.facts import (
    ContractApplied,
    DropRejected,
    DropReverted,
    DropSuperseded,
    Fact,
    LoadSucceeded,
)
from headrace_shared.log_schema import State
from headrace_shared.reasons import BadRow, LoadWarning, Reason, TestResult
from headrace_shared.stages import stage_of
from headrace_shared.tracing import traceparent


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in the rows of a loaded drop.

    Args:
        bad_rows: the first of the quarantined rows.
        tests: how the tests of the contract ended.
        warnings: what the user should look at although the drop was loaded.
    """

    bad_rows: tuple[BadRow, ...] = ()
    tests: tuple[TestResult, ...] = ()
    warnings: tuple[LoadWarning, ...] = ()

    def as_document(self) -> dict[str, Any] | None:
        """As the ledger keeps them; None where nothing was found."""
        if self == Findings():
            return None
        return {
            "bad_rows": [one.model_dump(exclude_none=True) for one in self.bad_rows],
            "tests": [one.model_dump() for one in self.tests],
            "warnings": [one.model_dump() for one in self.warnings],
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any] | None) -> Findings:
        """The findings that the ledger keeps."""
        kept = document or {}
        return cls(
            tuple(BadRow.model_validate(one) for one in kept.get("bad_rows", ())),
            tuple(TestResult.model_validate(one) for one in kept.get("tests", ())),
            tuple(LoadWarning.model_validate(one) for one in kept.get("warnings", ())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalState:
    """How a drop ended in one run.

    Args:
        state: an end state that the ledger knows: all but `failed`.
        started_at: when the try that ended it began.
        applied_at: when it was written into the ledger.
        rows_removed: of the rows that were loaded, those that are not in the table any more.
        changes: what a contract changed.
    """

    drop: Drop
    state: State
    run: int
    started_at: datetime
    applied_at: datetime
    rows_loaded: int = 0
    rows_removed: int = 0
    rows_quarantined: int = 0
    findings: Findings = Findings()
    contract_id: UUID | None = None
    superseded_by: UUID | None = None
    reason: Reason | None = None
    changes: tuple[str, ...] = ()

    @property
    def duration_ms(self) -> int:
        """The work of the try alone."""
        return max(0, round((self.applied_at - self.started_at).total_seconds() * 1000))


def final_event(final: FinalState, attempt: int) -> Fact:
    """The event of a final state, at the moment at which the drop came to it.

    Args:
        attempt: of which try; the ledger does not count them, the queue and the log do.
    """
    common: dict[str, Any] = {
        "drop": final.drop,
        "run": final.run,
        "occurred_at": final.applied_at,
        "traceparent": traceparent(final.drop.drop_id),
        "attempt": attempt,
    }
    match final.state:
        case State.REJECTED:
            return _rejected(final, common)
        case State.SUPERSEDED:
            assert final.superseded_by is not None
            return DropSuperseded(superseded_by=final.superseded_by, **common)
        case State.REVERTED:
            return DropReverted(rows_removed=final.rows_removed, **common)
        case State.LOADED if final.drop.action is Action.SCHEMA:
            return ContractApplied(changes=final.changes, duration_ms=final.duration_ms, **common)
        case State.LOADED:
            return _loaded(final, common)
    raise ValueError(f"the ledger has no final state {final.state}")


def _rejected(final: FinalState, common: Mapping[str, Any]) -> DropRejected:
    assert final.reason is not None
    return DropRejected(
        stage=stage_of(final.reason), reason=final.reason, duration_ms=final.duration_ms, **common
    )


def _loaded(final: FinalState, common: Mapping[str, Any]) -> LoadSucceeded:
    return LoadSucceeded(
        rows_loaded=final.rows_loaded,
        rows_quarantined=final.rows_quarantined,
        bad_rows=final.findings.bad_rows,
        tests=final.findings.tests,
        warnings=final.findings.warnings,
        bytes=final.drop.size_bytes,
        duration_ms=final.duration_ms,
        contract_id=final.contract_id,
        **common,
    )

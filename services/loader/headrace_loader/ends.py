"""How an end is told: the one fact, and the one log line, of each outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headrace_loader.outcomes import Applied, Loaded, Outcome, Rejected, Reverted, Superseded
from headrace_shared.facts import (
    ContractApplied,
    DropRejected,
    DropReverted,
    DropRouted,
    DropSuperseded,
    Fact,
    LoadSucceeded,
    RevertRequested,
    Stage,
)
from headrace_shared.logging import get_logger
from headrace_shared.tracing import traceparent

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class End:
    """What the fact of an end says beside the outcome. `duration_ms`: of this try alone."""

    asked: DropRouted | RevertRequested
    attempt: int
    duration_ms: int

    def fact(self, outcome: Outcome) -> Fact:
        """The fact that tells the outcome."""
        if outcome.repeated:
            _log.info("load.repeated", outcome=type(outcome).__name__.lower())
        told = self._told(outcome)
        match outcome:
            case Loaded():
                return self._loaded(outcome, told)
            case Applied(changes=changes):
                _log.info("contract.applied", changes=changes)
                return ContractApplied(changes=changes, duration_ms=self.duration_ms, **told)
            case Superseded(by=by):
                _log.info("drop.superseded", superseded_by=str(by))
                return DropSuperseded(superseded_by=by, **told)
            case Reverted(rows_removed=rows_removed):
                _log.info("drop.reverted", rows_removed=rows_removed)
                return DropReverted(rows_removed=rows_removed, **told)
            case Rejected(reason=reason):
                _log.info("drop.rejected", code=reason.code)
                return DropRejected(
                    stage=Stage.LOAD, reason=reason, duration_ms=self.duration_ms, **told
                )

    def _told(self, outcome: Outcome) -> dict[str, Any]:
        drop = self.asked.drop
        return {
            "drop": drop,
            "run": max(outcome.run, self.asked.run),
            "traceparent": traceparent(drop.drop_id),
            "attempt": self.attempt,
        }

    def _loaded(self, outcome: Loaded, told: dict[str, Any]) -> LoadSucceeded:
        _log.info("load.committed", rows=outcome.rows, duration_ms=self.duration_ms)
        return LoadSucceeded(
            rows_loaded=outcome.rows,
            rows_quarantined=outcome.aside.rows,
            bad_rows=outcome.aside.first,
            tests=outcome.aside.tests,
            bytes=self.asked.drop.size_bytes,
            duration_ms=self.duration_ms,
            contract_id=outcome.contract_id,
            **told,
        )

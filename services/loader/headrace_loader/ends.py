"""The one event, and the one log line, of each outcome."""

from __future__ import annotations

from headrace_loader.ledger import final_state
from headrace_loader.outcomes import Applied, Loaded, Outcome, Rejected, Reverted, Superseded
from headrace_shared.facts import DropRouted, Fact, RevertRequested
from headrace_shared.final_events import FinalState, final_event
from headrace_shared.logging import get_logger

_log = get_logger(__name__)


def event_of(outcome: Outcome, asked: DropRouted | RevertRequested, attempt: int) -> Fact:
    """The event that the drop of a message has come to this outcome.

    Args:
        asked: the event in the message.
        attempt: how often the message was received.
    """
    if outcome.repeated:
        _log.info("load.repeated", outcome=type(outcome).__name__.lower())
    final = final_state(asked.drop, outcome, asked.run)
    _log_line(outcome, final)
    return final_event(final, attempt)


def _log_line(outcome: Outcome, final: FinalState) -> None:
    match outcome:
        case Loaded(rows=rows):
            codes = [one.code for one in final.findings.warnings]
            _log.info("load.committed", rows=rows, duration_ms=final.duration_ms, warnings=codes)
        case Applied(changes=changes):
            _log.info("contract.applied", changes=changes)
        case Superseded(by=by):
            _log.info("drop.superseded", superseded_by=str(by))
        case Reverted(rows_removed=rows_removed):
            _log.info("drop.reverted", rows_removed=rows_removed)
        case Rejected(reason=reason):
            _log.info("drop.rejected", code=reason.code)

"""Joins the loader's parts: `Drop Routed` in, how it ended out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from headrace_loader.loading import Loading
from headrace_loader.outcomes import Applied, Loaded, Outcome, Rejected, Superseded
from headrace_shared.errors import HeadraceError, TransientError
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
    decode,
)
from headrace_shared.inbox import Failure, Message, Publisher
from headrace_shared.logging import bind_drop, get_logger
from headrace_shared.reasons import Reason
from headrace_shared.tracing import traceparent

_log = get_logger(__name__)


class LoaderHandler:
    """Loads the drop of one message; the ledger makes repeats harmless."""

    def __init__(self, loading: Loading, bus: Publisher) -> None:
        self._loading = loading
        self._bus = bus

    async def handle(self, message: Message) -> Sequence[Fact]:
        """Says that the load starts, loads, and returns how it ended."""
        routed = _routed(message)
        bind_drop(routed.drop)
        _log.info("load.started", key=routed.drop.key, attempt=message.receive_count)
        trace, started = traceparent(routed.drop.drop_id), time.monotonic()
        await self._bus.publish(
            [
                LoadStarted(
                    drop=routed.drop,
                    traceparent=trace,
                    attempt=message.receive_count,
                )
            ]
        )
        outcome = await self._loading.load(routed.drop, message.receive_count)
        return [_fact(routed, outcome, message, round((time.monotonic() - started) * 1000))]

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:
        """Every failed try is told: the log says what a drop waits for."""
        try:
            routed = _routed(message)
        except (HeadraceError, ValueError):
            return []
        return [
            LoadFailed(
                drop=routed.drop,
                traceparent=traceparent(routed.drop.drop_id),
                attempt=failure.attempt,
                final=failure.final,
                reason=_reason(failure.error),
                retry_in_seconds=None if failure.final else failure.retry_in_seconds,
            )
        ]


def _routed(message: Message) -> DropRouted:
    fact = decode(message.body)
    if not isinstance(fact, DropRouted):
        raise UnknownFactError(f"the loader reads Drop Routed, not {fact.detail_type}")
    return fact


def _fact(routed: DropRouted, outcome: Outcome, message: Message, duration_ms: int) -> Fact:
    drop, attempt = routed.drop, message.receive_count
    trace = traceparent(drop.drop_id)
    if outcome.repeated:
        _log.info("load.repeated", outcome=type(outcome).__name__.lower())
    match outcome:
        case Loaded(rows=rows, contract_id=contract_id):
            _log.info("load.committed", rows=rows, duration_ms=duration_ms)
            return LoadSucceeded(
                drop=drop,
                traceparent=trace,
                attempt=attempt,
                rows_loaded=rows,
                bytes=drop.size_bytes,
                duration_ms=duration_ms,
                contract_id=contract_id,
            )
        case Applied(changes=changes):
            _log.info("contract.applied", changes=changes)
            return ContractApplied(
                drop=drop,
                traceparent=trace,
                attempt=attempt,
                changes=changes,
                duration_ms=duration_ms,
            )
        case Superseded(by=by):
            _log.info("drop.superseded", superseded_by=str(by))
            return DropSuperseded(drop=drop, traceparent=trace, attempt=attempt, superseded_by=by)
        case Rejected(reason=reason):
            _log.info("drop.rejected", code=reason.code)
            return DropRejected(
                drop=drop,
                traceparent=trace,
                stage=Stage.LOAD,
                reason=reason,
                attempt=attempt,
                duration_ms=duration_ms,
            )


def _reason(error: Exception) -> Reason:
    if isinstance(error, TransientError):
        return error.reason
    return Reason(
        code="internal_error",
        message=f"The loader failed on this drop ({type(error).__name__}).",
        remedy="Look at the loader's log; mended, redrive its dead-letter queue.",
    )

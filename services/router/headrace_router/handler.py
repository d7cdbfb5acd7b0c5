"""Joins the router's parts: an S3 event in, one fact out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from headrace_router.routing import Ignored, Rejected, Routed, route
from headrace_router.s3_event import ObjectCreated
from headrace_shared.drop import Drop
from headrace_shared.errors import TransientError
from headrace_shared.facts import DropRejected, DropRouted, Fact, LoadFailed, Stage
from headrace_shared.inbox import Failure, Message
from headrace_shared.logging import bind_drop, get_logger
from headrace_shared.reasons import Reason
from headrace_shared.tracing import traceparent

_log = get_logger(__name__)


class RouterHandler:
    """Stateless: the same event gives the same fact, wherever and however often it arrives."""

    def __init__(self, databases: Collection[str]) -> None:
        self._databases = databases

    async def handle(self, message: Message) -> Sequence[Fact]:
        """One fact for every drop; none for a folder placeholder."""
        event = ObjectCreated.model_validate_json(message.body)
        decision = route(event.drop(), self._databases)
        drop, trace = decision.drop, traceparent(decision.drop.drop_id)
        bind_drop(drop)
        match decision:
            case Ignored():
                _log.debug("drop.ignored", key=drop.key)
                return []
            case Rejected(reason=reason):
                _log.info("drop.rejected", key=drop.key, code=reason.code)
                return [_rejection(drop, reason, message, trace)]
            case Routed():
                _log.info("drop.routed", key=drop.key, action=drop.action)
                return [DropRouted(drop=drop, traceparent=trace)]

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:
        """Only a final failure is told, and only where the message is an S3 event at all."""
        if not failure.final:
            return []
        try:
            drop = ObjectCreated.model_validate_json(message.body).drop()
        except ValueError:
            return []
        return [_final_failure(drop, failure)]


def _rejection(drop: Drop, reason: Reason, message: Message, trace: str) -> DropRejected:
    return DropRejected(
        drop=drop,
        traceparent=trace,
        stage=Stage.ROUTE,
        reason=reason,
        attempt=message.receive_count,
    )


def _final_failure(drop: Drop, failure: Failure) -> LoadFailed:
    reason = (
        failure.error.reason
        if isinstance(failure.error, TransientError)
        else Reason(
            code="internal_error",
            message=f"The router failed on this drop ({type(failure.error).__name__}).",
            remedy="Look at the router's log, then redrive its dead-letter queue.",
        )
    )
    return LoadFailed(
        drop=drop,
        traceparent=traceparent(drop.drop_id),
        attempt=failure.attempt,
        final=True,
        stage=Stage.ROUTE,
        reason=reason,
    )

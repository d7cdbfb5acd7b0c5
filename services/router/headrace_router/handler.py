"""Joins the router's parts: an S3 event in, one fact out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from headrace_router.reading import Asked, read
from headrace_router.routing import Ignored, Rejected, Routed, route
from headrace_shared.errors import HeadraceError, TransientError
from headrace_shared.facts import DropRejected, DropRouted, Fact, LoadFailed, Stage
from headrace_shared.inbox import Failure, Message
from headrace_shared.key_rules import DEFAULT_KEY_RULES, KeyRules
from headrace_shared.logging import bind_drop, get_logger
from headrace_shared.reasons import Reason
from headrace_shared.tracing import traceparent

_log = get_logger(__name__)


class RouterHandler:
    """Stateless: the same event gives the same fact, wherever and however often it arrives."""

    def __init__(
        self,
        databases: Collection[str],
        rules: KeyRules = DEFAULT_KEY_RULES,
    ) -> None:
        self._databases = databases
        self._rules = rules

    async def handle(self, message: Message) -> Sequence[Fact]:
        """One fact for a drop, whether it landed or is replayed; none for what is no drop."""
        asked = read(message.body)
        decision = route(asked.drop, self._databases, self._rules)
        drop, trace = decision.drop, traceparent(decision.drop.drop_id)
        bind_drop(drop)
        match decision:
            case Ignored(why=why):
                _log.info("drop.ignored", key=drop.key, why=str(why))
                return []
            case Rejected(reason=reason):
                _log.info("drop.rejected", key=drop.key, code=reason.code)
                return [
                    DropRejected(
                        drop=drop,
                        run=asked.run,
                        traceparent=trace,
                        stage=Stage.ROUTE,
                        reason=reason,
                        attempt=message.receive_count,
                    )
                ]
            case Routed():
                _log.info("drop.routed", key=drop.key, action=drop.action, run=asked.run)
                return [
                    DropRouted(drop=drop, run=asked.run, request=asked.request, traceparent=trace)
                ]

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:
        """Only a final failure is told, and only where the message is one that speaks of a drop."""
        if not failure.final:
            return []
        try:
            asked = read(message.body)
        except (HeadraceError, ValueError):
            return []
        return [_final_failure(asked, failure)]


def _final_failure(asked: Asked, failure: Failure) -> LoadFailed:
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
        drop=asked.drop,
        run=asked.run,
        traceparent=traceparent(asked.drop.drop_id),
        attempt=failure.attempt,
        final=True,
        stage=Stage.ROUTE,
        reason=reason,
    )

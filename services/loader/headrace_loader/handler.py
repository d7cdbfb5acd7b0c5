"""Joins the loader's parts: `Drop Routed` or `Revert Requested` in, how it ended out."""

from __future__ import annotations

from collections.abc import Sequence

from headrace_loader.ends import event_of
from headrace_loader.loading import Loading
from headrace_shared.availability import Availability
from headrace_shared.drop import Drop
from headrace_shared.errors import AwayError, HeadraceError, NotNowError, TransientError
from headrace_shared.facts import (
    DropRouted,
    Fact,
    LoadFailed,
    LoadStarted,
    RevertRequested,
    UnknownFactError,
    decode,
)
from headrace_shared.inbox import Failure, Message, Publisher
from headrace_shared.logging import bind_drop, get_logger
from headrace_shared.reasons import Reason
from headrace_shared.stages import stage_of
from headrace_shared.tracing import traceparent

_log = get_logger(__name__)


class LoaderHandler:
    """Loads or reverts the drop of one message; the ledger makes repeats harmless."""

    def __init__(self, loading: Loading, bus: Publisher, availability: Availability) -> None:
        self._loading = loading
        self._bus = bus
        self._availability = availability

    async def handle(self, message: Message) -> Sequence[Fact]:
        """Says that the load starts, loads, and returns how it ended."""
        asked = _asked(message)
        bind_drop(asked.drop)
        self._loading.admit(asked.drop, message.receive_count)
        try:
            return await self._work(asked, message)
        except AwayError as error:
            self._availability.lost(error)
            raise

    async def _work(self, asked: DropRouted | RevertRequested, message: Message) -> Sequence[Fact]:
        if isinstance(asked, DropRouted):
            await self._say_started(asked, message)
            outcome = await self._loading.load(asked.drop, message.receive_count, asked.request)
        else:
            outcome = await self._loading.revert(asked.drop, asked.run)
        if outcome.reopens or outcome.repeated:
            await self._route_reopened(asked.drop)
        return [event_of(outcome, asked, message.receive_count)]

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:
        """Every failed try is published: the log shows what a drop waits for. A message that was
        released without a try did not fail."""
        if isinstance(failure.error, NotNowError) and not isinstance(failure.error, AwayError):
            return []
        try:
            asked = _asked(message)
        except (HeadraceError, ValueError):
            return []
        reason = _reason(failure.error)
        return [
            LoadFailed(
                drop=asked.drop,
                run=asked.run,
                traceparent=traceparent(asked.drop.drop_id),
                attempt=failure.attempt,
                final=failure.final,
                stage=stage_of(reason),
                reason=reason,
                retry_in_seconds=None if failure.final else failure.retry_in_seconds,
            )
        ]

    async def _say_started(self, routed: DropRouted, message: Message) -> None:
        drop = routed.drop
        _log.info("load.started", key=drop.key, attempt=message.receive_count, run=routed.run)
        started = LoadStarted(
            drop=drop,
            run=routed.run,
            traceparent=traceparent(drop.drop_id),
            attempt=message.receive_count,
        )
        await self._bus.publish([started])

    async def _route_reopened(self, drop: Drop) -> None:
        """Told before the message is done: should this process die, it comes again, and they are
        told again."""
        async for page in self._loading.reopened(drop):
            _log.info("drops.reopened", drops=len(page))
            await self._bus.publish(page)


def _asked(message: Message) -> DropRouted | RevertRequested:
    fact = decode(message.body)
    if not isinstance(fact, DropRouted | RevertRequested):
        raise UnknownFactError(
            f"the loader reads Drop Routed and Revert Requested, not {fact.detail_type}"
        )
    return fact


def _reason(error: Exception) -> Reason:
    if isinstance(error, TransientError):
        return error.reason
    return Reason(
        code="internal_error",
        message=f"The loader failed on this drop ({type(error).__name__}).",
        remedy="Look at the loader's log; mended, redrive its dead-letter queue.",
    )

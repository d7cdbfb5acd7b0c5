"""Joins the loader's parts: `Drop Routed` or `Revert Requested` in, how it ended out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from headrace_loader.ends import event_of
from headrace_loader.loading import Loading
from headrace_shared.availability import Availability
from headrace_shared.drop import Drop
from headrace_shared.errors import (
    AwayError,
    HeadraceError,
    NotNowError,
    PermanentError,
    TransientError,
)
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

ANNOUNCED_AFTER_SECONDS: Final = 2.0
"""A load that ends sooner is not announced: of a stream of small drops, that would be a third of
all events."""


class LoaderHandler:
    """Loads or reverts the drop of one message; the ledger makes repeats harmless."""

    def __init__(
        self,
        loading: Loading,
        bus: Publisher,
        availability: Availability,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._loading = loading
        self._bus = bus
        self._availability = availability
        self._sleep = sleep

    async def handle(self, message: Message) -> Sequence[Fact]:
        """Loads, and returns how it ended. That a load began is published while it is under way,
        of long ones alone."""
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
            async with self._announced(asked, message.receive_count):
                outcome = await self._loading.load(asked.drop, message.receive_count, asked.request)
        else:
            outcome = await self._loading.revert(asked.drop, asked.run)
        if outcome.reopens or outcome.repeated:
            await self._publish_reopened(asked.drop)
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

    @asynccontextmanager
    async def _announced(self, routed: DropRouted, attempt: int) -> AsyncIterator[None]:
        """Publishes `Load Started` if the load is still under way after a while. The final event
        of a shorter one says when it began, and the log needs no event of its own for it."""
        _log.info("load.started", key=routed.drop.key, attempt=attempt, run=routed.run)
        started = LoadStarted(
            drop=routed.drop,
            run=routed.run,
            traceparent=traceparent(routed.drop.drop_id),
            attempt=attempt,
        )
        announcing = asyncio.create_task(self._announce(started))
        try:
            yield
        finally:
            announcing.cancel()
            await asyncio.gather(announcing, return_exceptions=True)

    async def _announce(self, started: LoadStarted) -> None:
        await self._sleep(ANNOUNCED_AFTER_SECONDS)
        try:
            await self._bus.publish([started])
        except TransientError as error:
            # The load goes on: how it ends is published all the same, and tried again.
            _log.warning("facts.unpublished", final=False, error=str(error))

    async def _publish_reopened(self, drop: Drop) -> None:
        """Before the message is deleted: if this process ends first, the message is delivered
        again, and what was not published by then is published."""
        published = await self._loading.publish_reopened(drop, self._bus.publish)
        if published:
            _log.info("drops.reopened", drops=published)


def _asked(message: Message) -> DropRouted | RevertRequested:
    fact = decode(message.body)
    if not isinstance(fact, DropRouted | RevertRequested):
        raise UnknownFactError(
            f"the loader reads Drop Routed and Revert Requested, not {fact.detail_type}"
        )
    return fact


def _reason(error: Exception) -> Reason:
    if isinstance(error, TransientError | PermanentError):
        return error.reason
    return Reason(
        code="internal_error",
        message=f"The loader failed on this drop ({type(error).__name__}).",
        remedy="Look at the loader's log; mended, redrive its dead-letter queue.",
    )

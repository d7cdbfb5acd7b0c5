"""How far the log has come: noted in the log itself, so that a reader knows how old it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Final, Protocol

from headrace_logger.states import milliseconds
from headrace_shared.errors import TransientError
from headrace_shared.facts import now
from headrace_shared.log_schema import PROGRESS_SECONDS
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

_TICK_SECONDS: Final = 1.0


class Inbox(Protocol):
    """The logger's inbox."""

    async def is_empty(self) -> bool:
        """Whether no event waits in it."""


class Kept(Protocol):
    """Where the progress is kept."""

    async def progress(self, written_through: str, *, is_idle: bool) -> None:
        """Notes how far the log has come."""


class InHand:
    """The events that are in hand, by the moments at which they came into the inbox."""

    def __init__(self) -> None:
        self._moments: Counter[datetime] = Counter()
        self.newest_done: datetime | None = None

    @contextmanager
    def holding(self, sent_at: datetime) -> Iterator[None]:
        """An event, until it is written or its try has failed."""
        self._moments[sent_at] += 1
        try:
            yield
        finally:
            self._moments[sent_at] -= 1
            if not self._moments[sent_at]:
                del self._moments[sent_at]
            self.newest_done = max(self.newest_done or sent_at, sent_at)

    @property
    def oldest(self) -> datetime | None:
        """Of the oldest event in hand; None: there is none."""
        return min(self._moments, default=None)


class Progress:
    """Notes how far the log has come: each second while events come, else every ten seconds.

    Args:
        sleep, clock: for tests, which have their own time.
    """

    def __init__(
        self,
        in_hand: InHand,
        inbox: Inbox,
        kept: Kept,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._in_hand = in_hand
        self._inbox = inbox
        self._kept = kept
        self._sleep = sleep
        self._clock = clock
        self._noted_at: datetime | None = None
        self._done_when_noted: datetime | None = None

    @asynccontextmanager
    async def noted(self) -> AsyncIterator[None]:
        """Notes it again and again meanwhile."""
        noting = asyncio.create_task(self._note_on())
        try:
            yield
        finally:
            noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)

    async def note(self) -> None:
        """Notes it once, unless nothing has happened since it was noted a moment ago.

        Raises:
            TransientError: the inbox or the log cannot be reached.
        """
        asked_at, oldest = self._clock(), self._in_hand.oldest
        if oldest is None and not self._is_due(asked_at):
            return
        is_idle = oldest is None and await self._inbox.is_empty()
        through = oldest or (asked_at if is_idle else self._in_hand.newest_done)
        if through is None:
            return  # events wait, and none has been received yet: what was noted before holds
        await self._kept.progress(milliseconds(through), is_idle=is_idle)
        self._noted_at, self._done_when_noted = asked_at, self._in_hand.newest_done

    def _is_due(self, moment: datetime) -> bool:
        if self._noted_at is None or self._done_when_noted != self._in_hand.newest_done:
            return True
        return (moment - self._noted_at).total_seconds() >= PROGRESS_SECONDS

    async def _note_on(self) -> None:
        while True:
            try:
                await self.note()
            except TransientError as error:
                _log.warning("progress.unwritten", error=str(error))
            await self._sleep(_TICK_SECONDS)

"""One look at the log a second for everybody who listens in this process, and none while nobody
does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from headrace_api.events.changes import Item, Sight
from headrace_api.problems import ApiError
from headrace_shared.errors import TransientError
from headrace_shared.log_schema import ATTENTION, RECENT
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

POLL_SECONDS: Final = 1.0
_FEW: Final = 16
_MANY: Final = 125
"""Of each of the index's eight partitions; the many are read where all of the few are new."""

_RECENT_SPAN: Final = timedelta(hours=1)
_UNFINISHED_SPAN: Final = timedelta(days=14)
_MOST_READ_AGAIN: Final = 100
_MOST_WAITING: Final = 30
"""Looks that a listener may be behind; beyond it, its stream ends, and it comes back."""


class Watched(Protocol):
    """What is looked at."""

    async def newest(self, index: str, since: datetime, most: int) -> list[dict[str, Any]]:
        """The newest in each partition of an index."""

    async def drop(self, drop_id: UUID) -> dict[str, Any] | None:
        """One drop, as it is now."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the log brought.

    Args:
        trouble: why it brought nothing: a sentence.
    """

    moved: Sequence[Item] = ()
    trouble: str | None = None


class Listener:
    """One who is told of every look that brings something."""

    def __init__(self, last_event_id: str | None) -> None:
        self.last_event_id = last_event_id
        self._looks: asyncio.Queue[Look | None] = asyncio.Queue(_MOST_WAITING + 1)
        self._open = True

    @property
    def is_open(self) -> bool:
        """Whether anything more will be told."""
        return self._open

    def tell(self, look: Look | None) -> None:
        """None: nothing will follow."""
        if self._open and (look is None or self._looks.qsize() >= _MOST_WAITING):
            self._open = False
            look = None
        elif not self._open:
            return
        self._looks.put_nowait(look)

    async def next(self, within: float) -> Look | None:
        """The next look; an empty one where none came in that many seconds; None at the end."""
        try:
            return await asyncio.wait_for(self._looks.get(), within)
        except TimeoutError:
            return Look()


class Feed:
    """Tells listeners what moved.

    Args:
        most_listeners: more are refused.
    """

    def __init__(
        self, log: Watched, *, most_listeners: int, poll_seconds: float = POLL_SECONDS
    ) -> None:
        self._log = log
        self._most = most_listeners
        self._seconds = poll_seconds
        self._listeners: set[Listener] = set()
        self._sight = Sight()
        self._based = False
        self._ready = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None
        self._ended = False

    @asynccontextmanager
    async def listen(self, last_event_id: str | None = None) -> AsyncIterator[Listener]:
        """A listener, who first hears what moved since that event.

        Raises:
            ApiError: there are too many listeners, or this process is about to end.
        """
        if self._ended or len(self._listeners) >= self._most:
            raise ApiError(
                "too-many-listeners",
                "Too many listeners",
                503,
                "This process tells as many listeners as it may; try again later.",
            )
        listener = Listener(last_event_id)
        self._listeners.add(listener)
        try:
            self._begin()
            if self._based:
                self._catch_up(listener)
            await self._ready.wait()
            yield listener
        finally:
            self._listeners.discard(listener)

    def end(self) -> None:
        """Ends every stream: the process is about to."""
        self._ended = True
        self._ready.set()
        for listener in self._listeners:
            listener.tell(None)
        if self._polling is not None:
            self._polling.cancel()

    def _begin(self) -> None:
        if self._polling is None or self._polling.done():
            self._sight, self._based, self._ready = Sight(), False, asyncio.Event()
            self._polling = asyncio.create_task(self._poll())

    async def _poll(self) -> None:
        while self._listeners:
            look = await self._look()
            if look.trouble is None and not self._based:
                # The first look tells nothing new: it shows how things stand.
                self._based, look = True, Look()
                for listener in self._listeners:
                    self._catch_up(listener)
            self._ready.set()
            if look.moved or look.trouble:
                for listener in self._listeners:
                    listener.tell(look)
            # One who left before the first word has nobody to say so: its stream was never begun.
            self._listeners = {one for one in self._listeners if one.is_open}
            await asyncio.sleep(self._seconds)

    def _catch_up(self, listener: Listener) -> None:
        if listener.last_event_id is not None:
            # Whoever sends an id that is none of ours begins with what happens from now on.
            with suppress(ValueError):
                listener.tell(Look(self._sight.since(listener.last_event_id)))

    async def _look(self) -> Look:
        try:
            return Look(self._sight.look(await self._read()))
        except TransientError as error:
            _log.warning("request.unanswerable", error=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed
            _log.error("request.failed", exc_info=error)
        return Look(trouble="The log cannot be reached at the moment; it is tried again.")

    async def _read(self) -> list[dict[str, Any]]:
        now = datetime.now(UTC)
        recent, unfinished = await asyncio.gather(
            self._log.newest(RECENT, now - _RECENT_SPAN, _FEW),
            self._log.newest(ATTENTION, now - _UNFINISHED_SPAN, _MANY),
        )
        if len(recent) >= _FEW and not any(map(self._sight.knows, recent)):
            recent = await self._log.newest(RECENT, now - _RECENT_SPAN, _MANY)
        found = [*recent, *unfinished]
        gone = self._sight.unfinished_beside(found)[-_MOST_READ_AGAIN:]
        again = await asyncio.gather(*(self._log.drop(UUID(one)) for one in gone))
        return [*found, *(item for item in again if item is not None)]

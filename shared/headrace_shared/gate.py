"""Whether a service wants further messages, and which of those in hand count."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

BUSY: Final = "busy"
"""What is in hand is enough for now."""

AWAY: Final = "away"
"""Nothing can be done with any message: the warehouse does not answer."""


class Gate:
    """Closed while a handler can do nothing with further messages: none are fetched then, so that
    another process can take them. It is open when it is closed for no reason."""

    def __init__(self) -> None:
        self._closed_for: set[str] = set()
        self._parked = 0
        self._changed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether further messages are wanted."""
        return not self._closed_for

    @property
    def parked(self) -> int:
        """Messages in hand that wait for their own table alone: others are received in their
        stead."""
        return self._parked

    def park(self, messages: int) -> None:
        """So many messages in hand are parked from now on."""
        if messages != self._parked:
            self._parked = messages
            self._tell()

    def open(self, reason: str = BUSY) -> None:
        """The reason is gone."""
        if reason in self._closed_for:
            self._closed_for.discard(reason)
            self._tell()

    def close(self, reason: str = BUSY) -> None:
        """Nothing is to be fetched until the reason is gone."""
        self._closed_for.add(reason)

    async def wait(self) -> None:
        """Returns when it is open."""
        while not self.is_open:
            await self.changed()

    def changed(self) -> Coroutine[Any, Any, object]:
        """Ends when a reason is gone, or when other messages are parked, after this call."""
        return self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

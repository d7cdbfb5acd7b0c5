"""Whether a service wants further messages."""

from __future__ import annotations

import asyncio


class Gate:
    """Closed while a handler can do nothing with further messages: none are fetched then, so that
    another process can take them."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._opened.set()

    @property
    def is_open(self) -> bool:
        """Whether further messages are wanted."""
        return self._opened.is_set()

    def open(self) -> None:
        """Further messages are wanted."""
        self._opened.set()

    def close(self) -> None:
        """What is in hand is enough for now."""
        self._opened.clear()

    async def wait(self) -> bool:
        """Returns when it is open."""
        return await self._opened.wait()

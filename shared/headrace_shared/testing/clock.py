"""Time that passes only when everybody waits for it."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

_TURNS = 20


class FakeClock:
    """`sleep` for code under test, `advance` for the test."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    async def sleep(self, seconds: float) -> None:
        """Returns once the test has advanced the clock so far."""
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Lets so much time pass, waking each sleeper at its moment."""
        end = self.now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            moment, _, wake = heapq.heappop(self._sleepers)
            self.now = max(self.now, moment)
            if not wake.done():
                wake.set_result(None)
            await settle()
        self.now = end


async def settle() -> None:
    """Lets every task go as far as it can without time passing."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)

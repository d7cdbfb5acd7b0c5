"""Answers that stay the same for some seconds: who asks again within them costs no work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """Values by what they are of; those who ask while one is made share the making.

    Args:
        seconds: how long a value is remembered; what failed is not.
        clock: seconds that only grow.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._made: dict[Hashable, tuple[float, asyncio.Future[Value]]] = {}

    async def get(self, of: Hashable, make: Callable[[], Awaitable[Value]]) -> Value:
        """The value, made anew if it is not remembered."""
        self._forget()
        if of not in self._made:
            self._made[of] = (self._clock() + self._seconds, asyncio.ensure_future(_run(make)))
        making = self._made[of][1]
        # Who goes away must not take the value from the others who wait for it.
        return await asyncio.shield(making)

    def _forget(self) -> None:
        now = self._clock()
        for of, (until, making) in list(self._made.items()):
            failed = making.done() and (making.cancelled() or making.exception() is not None)
            if failed or (making.done() and until <= now):
                del self._made[of]


async def _run(make: Callable[[], Awaitable[Value]]) -> Value:
    return await make()

"""Liveness is the age of a loop's last turn, as the age of a file that health checks look at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

TURN_SECONDS: Final = 5.0
"""A loop that waits for its own work turns so often."""


class Liveness:
    """A file whose age is the age of the loop's last turn; no file, no liveness to tell."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def touch(self) -> None:
        """The loop turned just now."""
        if self._path is not None:
            self._path.touch()

    async def keep_touching(self) -> None:
        """For a service without a loop of its own: as long as the event loop turns."""
        while True:
            self.touch()
            await asyncio.sleep(TURN_SECONDS)


async def wait_turning(
    waited: set[asyncio.Future[Any]],
    on_turn: Callable[[], None],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Until one of them is done. A load may hold its slot for hours: a loop that looked dead
    meanwhile would be killed in the middle of it."""
    ended: set[asyncio.Future[Any]] = set()
    # Waits once also where one has ended already: what its end sets off (its slot, given back)
    # needs a turn of the event loop, and who asks again without one asks for ever.
    while not ended:
        nap = asyncio.ensure_future(sleep(TURN_SECONDS))
        done, _ = await asyncio.wait({*waited, nap}, return_when=asyncio.FIRST_COMPLETED)
        nap.cancel()
        on_turn()
        ended = done - {nap}

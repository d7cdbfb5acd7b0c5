"""Gathers the updates of one drop that wait for their turn into one write.

While the logger keeps up, nothing waits and each event is a write of its own. Behind a backlog the
events of a drop meet here, and its states on the way cost no write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID
from weakref import WeakValueDictionary

from headrace_logger.states import Update, Written, together
from headrace_shared.coalescing import Coalescer

_MOST_UPDATES: Final = 50
"""Of one drop in one write: an item of DynamoDB has room for 400 KB."""


class Log(Protocol):
    """Where updates go."""

    async def write(self, update: Update) -> Written:
        """What became of the update."""

    async def link(self, corrected: UUID, by: UUID) -> None:
        """Notes in a drop's item which later drop corrects it; of several, the latest."""


class GatheredUpdates:
    """Writes updates; those of one drop one after another.

    Args:
        writes: how many drops' items may be written at a time.
    """

    def __init__(self, log: Log, *, writes: int) -> None:
        self._log = log
        self._room = asyncio.Semaphore(writes)
        self._drops: WeakValueDictionary[str, Coalescer[Update, Written]] = WeakValueDictionary()

    async def write(self, update: Update) -> Written:
        """What became of the update. One that another has overtaken while both waited has not
        moved its item.

        Raises:
            TransientError: it may not be written; a later try may succeed.
        """
        drop = self._drops.setdefault(
            update.key, Coalescer(self._send, limit=_MOST_UPDATES, room=self._room)
        )
        return await drop.submit(update)

    async def _send(self, updates: Sequence[Update]) -> Sequence[Written]:
        written = [Written(moved=False)] * len(updates)
        for place, update in together(updates):
            written[place] = await self._log.write(update)
        return written

"""How many loads are under way at a time, and whose turn is next."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from itertools import count

from headrace_loader.pace import Verdict
from headrace_loader.room import Room
from headrace_loader.shares import Waiter, next_waiter, share
from headrace_shared.errors import NotNowError, OutOfTimeError


class Turn:
    """A slot while it is held; `verdict` may be set by the one that holds it."""

    def __init__(self) -> None:
        self.verdict = Verdict.IN_TIME


class Slots:
    """A context for each load.

    Args:
        slots: how many loads may be under way.
        room: where those wait that have no slot yet.
        gathers: each waiter stands for a batch, whose messages are counted elsewhere.
    """

    def __init__(self, slots: int, room: Room, *, gathers: bool = False) -> None:
        self._slots = slots
        self._room = room
        self._gathers = gathers
        self._order = count()
        self._held: Counter[str] = Counter()
        self._waiters: dict[Waiter, asyncio.Future[None]] = {}
        room.listen(self._serve)

    @asynccontextmanager
    async def of(self, table: str) -> AsyncIterator[Turn]:
        """Waits for a slot of the table. A load that raises OutOfTimeError holds the table back."""
        await self._wait(table)
        began, turn = self._room.began(table), Turn()
        try:
            yield turn
        except OutOfTimeError:
            turn.verdict = Verdict.OUT_OF_TIME
            raise
        except NotNowError:
            turn.verdict = Verdict.NONE
            raise
        finally:
            self._held[table] -= 1
            self._room.ended(table, began, turn.verdict)
            self._serve()

    async def _wait(self, table: str) -> None:
        waiter = Waiter(table, next(self._order))
        turn = self._waiters[waiter] = asyncio.get_running_loop().create_future()
        self._serve()
        if turn.done():
            return
        waiting = nullcontext() if self._gathers else self._room.waiting(table, for_slot=True)
        try:
            with waiting:
                await turn
        except asyncio.CancelledError:
            self._leave(waiter, turn)
            raise

    def _leave(self, waiter: Waiter, turn: asyncio.Future[None]) -> None:
        self._waiters.pop(waiter, None)
        if not turn.cancelled():
            # The slot came together with the cancelling: it is for the next one.
            self._held[waiter.table] -= 1
        self._serve()

    def _serve(self) -> None:
        now = asyncio.get_running_loop().time()
        allowance = partial(self._room.pace.allowance, share=share(self._slots), now=now)
        while waiter := next_waiter(self._waiters, self._held, self._slots, allowance):
            turn = self._waiters.pop(waiter)
            if not turn.done():
                self._held[waiter.table] += 1
                turn.set_result(None)

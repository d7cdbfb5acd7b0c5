"""How many loads are under way at a time, and whether further ones are wanted."""

from __future__ import annotations

import asyncio

from headrace_shared.gate import Gate


class Slots:
    """A context for each load; the gate is closed while somebody waits for one.

    Small drops are held in numbers, to be batched, and only after a message was taken is it known
    how large its drop is: without the gate, one loader would sit on large ones that others could
    load.
    """

    def __init__(self, count: int, gate: Gate) -> None:
        self._free = asyncio.Semaphore(count)
        self._gate = gate
        self._waiting = 0

    async def __aenter__(self) -> None:
        self._waiting += 1
        if self._free.locked():
            self._gate.close()
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._gate.open()

    async def __aexit__(self, *_: object) -> None:
        self._free.release()

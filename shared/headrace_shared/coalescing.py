"""Many single calls become few batched ones: batch what is waiting, never wait to batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """Sends items in batches as large as what has gathered while the last batch was under way.

    Args:
        send: sends one batch; answers with one entry per item, its result or its error. What it
            raises is raised by every `submit` of that batch.
        limit: the most items that one batch may hold.
        senders: how many batches may be under way at a time. A further one is begun for a whole
            batch alone: fewer calls count for more than an earlier one.
        room: a limit that several coalescers share. What comes while a batch waits for room is in
            that batch.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        limit: int,
        senders: int = 1,
        room: AbstractAsyncContextManager[Any] | None = None,
    ) -> None:
        self._send = send
        self._limit = limit
        self._most_senders = senders
        self._room = room or nullcontext()
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._senders: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item) -> Result:
        """What became of the item, when its batch was sent; raises its error, if it had one.

        Cancelling the caller does not take the item back.
        """
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        # Not by a callback: it runs later than a `submit` that relies on a sender that has ended.
        self._senders = {sender for sender in self._senders if not sender.done()}
        is_whole = len(self._waiting) >= self._limit
        if not self._senders or (is_whole and len(self._senders) < self._most_senders):
            self._senders.add(asyncio.create_task(self._drain()))
        return await done

    async def _drain(self) -> None:
        while self._waiting:
            async with self._room:
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                results = await self._outcomes(batch)
            for (_, done), result in zip(batch, results, strict=True):
                if done.done():
                    continue
                if isinstance(result, Exception):
                    done.set_exception(result)
                else:
                    done.set_result(result)

    async def _outcomes(
        self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]
    ) -> Sequence[Result | Exception]:
        if not batch:
            return []  # another sender took what this one had waited for
        try:
            return await self._send([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to every caller of the batch, none is lost
            return [error] * len(batch)

"""Many single calls become few batched ones: batch what is waiting, never wait to batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """Sends items in batches as large as what has gathered while the last batch was under way.

    Args:
        send: sends one batch; answers with one entry per item, its result or its error. What it
            raises is raised by every `submit` of that batch.
        limit: the most items that one batch may hold.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        limit: int,
    ) -> None:
        self._send = send
        self._limit = limit
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """What became of the item, when its batch was sent; raises its error, if it had one.

        Cancelling the caller does not take the item back.
        """
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._drain())
        return await done

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = (
                self._waiting[: self._limit],
                self._waiting[self._limit :],
            )
            for (_, done), result in zip(batch, await self._outcomes(batch), strict=True):
                if done.done():
                    continue
                if isinstance(result, Exception):
                    done.set_exception(result)
                else:
                    done.set_result(result)

    async def _outcomes(
        self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]
    ) -> Sequence[Result | Exception]:
        try:
            return await self._send([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to every caller of the batch, none is lost
            return [error] * len(batch)

"""Batching: what waits goes together, each caller learns its own outcome, none waits forever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from headrace_shared.coalescing import Coalescer
from headrace_shared.testing.clock import settle


class Sender:
    """Holds each batch until it is let go."""

    def __init__(self, *refused: int, error: Exception | None = None) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self._refused = refused
        self._error = error

    async def send(self, items: Sequence[int]) -> Sequence[Exception | None]:
        self.batches.append(list(items))
        await self.gate.wait()
        if self._error:
            raise self._error
        return [KeyError(item) if item in self._refused else None for item in items]


async def submit_all(sender: Sender, items: range) -> list[BaseException | None]:
    coalescer: Coalescer[int, None] = Coalescer(sender.send, limit=10)
    tasks = [asyncio.create_task(coalescer.submit(item)) for item in items]
    await settle()
    sender.gate.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_gathers_goes_in_batches_of_the_limit() -> None:
    sender = Sender()
    assert await submit_all(sender, range(25)) == [None] * 25
    assert [len(batch) for batch in sender.batches] == [10, 10, 5]
    assert [item for batch in sender.batches for item in batch] == list(range(25))


async def test_single_item_does_not_wait_for_company() -> None:
    sender = Sender()
    sender.gate.set()
    await Coalescer(sender.send, limit=10).submit(1)
    assert sender.batches == [[1]]


async def test_refused_item_fails_its_own_caller_only() -> None:
    outcomes = await submit_all(Sender(3), range(5))
    assert [type(one) for one in outcomes].count(KeyError) == 1
    assert isinstance(outcomes[3], KeyError)


async def test_failed_call_fails_every_caller_of_its_batch() -> None:
    outcomes = await submit_all(Sender(error=ConnectionError()), range(12))
    assert all(isinstance(one, ConnectionError) for one in outcomes)


async def test_cancelled_caller_takes_nobody_with_it() -> None:
    sender = Sender()
    coalescer: Coalescer[int, None] = Coalescer(sender.send, limit=10)
    leaving, staying = (asyncio.create_task(coalescer.submit(item)) for item in (1, 2))
    await settle()
    leaving.cancel()
    await settle()
    sender.gate.set()
    await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert sender.batches == [[1, 2]]

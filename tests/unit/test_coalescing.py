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


async def test_further_batches_are_begun_beside_the_first_only_when_whole() -> None:
    sender = Sender()
    coalescer: Coalescer[int, None] = Coalescer(sender.send, limit=10, senders=3)
    tasks = [asyncio.create_task(coalescer.submit(item)) for item in range(45)]
    await settle()
    assert [len(batch) for batch in sender.batches] == [10, 10, 10], "three are under way"
    sender.gate.set()
    assert await asyncio.gather(*tasks) == [None] * 45
    assert [len(batch) for batch in sender.batches] == [10, 10, 10, 10, 5]
    assert sorted(item for batch in sender.batches for item in batch) == list(range(45))


async def test_what_comes_while_a_batch_waits_for_room_is_in_that_batch() -> None:
    sender, room = Sender(), asyncio.Semaphore(1)
    sender.gate.set()
    coalescer: Coalescer[int, None] = Coalescer(sender.send, limit=10, room=room)
    async with room:
        tasks = [asyncio.create_task(coalescer.submit(item)) for item in range(3)]
        await settle()
        assert sender.batches == []
    await asyncio.gather(*tasks)
    assert sender.batches == [[0, 1, 2]]


async def test_item_that_comes_just_as_a_sender_ends_is_sent() -> None:
    sender = Sender()
    sender.gate.set()
    coalescer: Coalescer[int, None] = Coalescer(sender.send, limit=10)

    async def one_after_another() -> None:
        for item in range(20):
            await coalescer.submit(item)

    await asyncio.wait_for(one_after_another(), 5)
    assert sender.batches == [[item] for item in range(20)]


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

"""A loader holds many small drops at once, and does not sit on large ones."""

from __future__ import annotations

import asyncio

from headrace_loader.slots import Slots
from headrace_shared.gate import Gate
from headrace_shared.testing.clock import settle


async def test_gate_is_closed_only_while_a_load_waits() -> None:
    gate, go = Gate(), asyncio.Event()
    slots = Slots(2, gate)

    async def load() -> None:
        async with slots:
            await go.wait()

    loads = [asyncio.create_task(load()) for _ in range(2)]
    await settle()
    assert [gate.is_open] == [True]
    loads += [asyncio.create_task(load()) for _ in range(2)]
    await settle()
    assert [gate.is_open] == [False]
    go.set()
    await asyncio.gather(*loads)
    assert [gate.is_open] == [True]


async def test_load_that_gives_up_waiting_opens_the_gate_again() -> None:
    gate, go = Gate(), asyncio.Event()
    slots = Slots(1, gate)

    async def load() -> None:
        async with slots:
            await go.wait()

    first, second = asyncio.create_task(load()), asyncio.create_task(load())
    await settle()
    assert [gate.is_open] == [False]
    second.cancel()
    await settle()
    assert [gate.is_open] == [True]
    go.set()
    await first

"""A loop that waits for its own work turns, and lets the end of work be noticed."""

from __future__ import annotations

import asyncio

from headrace_shared.liveness import wait_turning


async def test_work_that_has_ended_is_noticed_by_who_waits_again_and_again() -> None:
    """A slot is given back by a callback, which runs a turn after the end of its work."""
    slots = set[asyncio.Future[None]]()
    ended = asyncio.get_running_loop().create_future()
    ended.add_done_callback(slots.discard)
    slots.add(ended)
    ended.set_result(None)
    for _ in range(3):
        if slots:
            await wait_turning({*slots}, lambda: None, asyncio.sleep)
    assert not slots


async def test_long_wait_turns() -> None:
    turns: list[None] = []
    ended = asyncio.get_running_loop().create_future()

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)
        if len(turns) == 3:
            ended.set_result(None)

    await wait_turning({ended}, lambda: turns.append(None), sleep)
    assert len(turns) >= 3

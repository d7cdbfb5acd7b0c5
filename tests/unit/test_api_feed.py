"""The feed looks once for all, only while somebody listens, and ends when it is told to."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from headrace_api.events.changes import id_of
from headrace_api.events.feed import Feed
from headrace_api.problems import ApiError
from headrace_shared.errors import TransientError
from headrace_shared.log_schema import State, state_order

WITHIN = 5.0


def item(number: int, state: State) -> dict[str, Any]:
    return {
        "drop_id": str(UUID(int=number)),
        "state": str(state),
        "state_order": state_order(state, 1),
        "updated_at": f"2026-11-20T12:00:{number:02d}.000Z",
    }


class FakeLog:
    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.in_view = True
        self.is_away = False
        self.looks = 0

    def put(self, number: int, state: State) -> None:
        one = item(number, state)
        self.items[one["drop_id"]] = one

    async def newest(self, index: str, since: datetime, most: int) -> list[dict[str, Any]]:
        self.looks += 1
        if self.is_away:
            raise TransientError("the log")
        return list(self.items.values()) if self.in_view else []

    async def drop(self, drop_id: UUID) -> dict[str, Any] | None:
        return self.items.get(str(drop_id))


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


def feed_of(log: FakeLog, most: int = 3) -> Feed:
    return Feed(log, most_listeners=most, poll_seconds=0.01)


async def test_a_change_reaches_every_listener(log: FakeLog) -> None:
    feed = feed_of(log)
    log.put(1, State.ROUTED)
    async with feed.listen() as one, feed.listen() as other:
        log.put(1, State.LOADED)
        for listener in (one, other):
            look = await listener.next(WITHIN)
            assert look is not None
            assert [moved["state"] for moved in look.moved] == ["loaded"]


async def test_a_drop_that_ended_out_of_view_is_read_again(log: FakeLog) -> None:
    feed = feed_of(log)
    log.put(1, State.LOADING)
    async with feed.listen() as listener:
        log.in_view = False
        log.put(1, State.LOADED)
        look = await listener.next(WITHIN)
        assert look is not None
        assert look.moved


async def test_who_comes_back_is_told_what_was_missed(log: FakeLog) -> None:
    feed = feed_of(log)
    log.put(1, State.LOADED)
    log.put(2, State.LOADED)
    async with feed.listen(id_of(item(1, State.LOADED))) as listener:
        look = await listener.next(WITHIN)
        assert look is not None
        assert [moved["drop_id"] for moved in look.moved] == [str(UUID(int=2))]


async def test_nobody_listens_and_nothing_is_read(log: FakeLog) -> None:
    feed = feed_of(log)
    async with feed.listen():
        pass
    await asyncio.sleep(0.05)
    before = log.looks
    await asyncio.sleep(0.05)
    assert log.looks == before


async def test_trouble_is_told_and_over_by_itself(log: FakeLog) -> None:
    feed = feed_of(log)
    log.is_away = True
    async with feed.listen() as listener:
        look = await listener.next(WITHIN)
        assert look is not None
        assert look.trouble
        log.is_away = False
        await asyncio.sleep(0.1)
        log.put(1, State.ROUTED)
        while look is not None and not look.moved:
            look = await listener.next(WITHIN)
        assert look is not None


async def test_one_listener_too_many_is_refused(log: FakeLog) -> None:
    feed = feed_of(log, most=1)
    async with feed.listen():
        with pytest.raises(ApiError, match="as many listeners"):
            async with feed.listen():
                pass


async def test_a_listener_too_slow_is_let_go(log: FakeLog) -> None:
    feed = feed_of(log)
    async with feed.listen() as listener:
        for number in range(59):
            log.put(number + 1, State.ROUTED)
            await asyncio.sleep(0.02)
        assert not listener.is_open
        told = 0
        while await listener.next(WITHIN) is not None:
            told += 1
        assert told <= 30


async def test_streams_end_when_the_process_does(log: FakeLog) -> None:
    feed = feed_of(log)
    async with feed.listen() as listener:
        feed.end()
        assert await asyncio.wait_for(listener.next(WITHIN), 1) is None
    with pytest.raises(ApiError):
        async with feed.listen():
            pass

"""A loader holds many small drops at once, does not sit on large ones, and one table's slow drops
hold up no other table."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_loader import room as rooms
from headrace_loader.pace import Pace, Verdict
from headrace_loader.room import Room
from headrace_loader.shares import share
from headrace_loader.slots import Slots
from headrace_shared.errors import AwayError, NotNowError, OutOfTimeError
from headrace_shared.gate import Gate
from headrace_shared.testing.clock import settle

AT_ONCE = 0.0
"""Seconds after which a load counts as slow."""


@dataclass
class Bench:
    """Slots, and loads that end when the test says so."""

    slots: Slots
    room: Room
    gate: Gate
    go: dict[str, asyncio.Event] = field(default_factory=dict)
    at_work: Counter[str] = field(default_factory=Counter)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def load(self, table: str, error: Exception | None = None) -> None:
        async with self.slots.of(table):
            self.at_work[table] += 1
            try:
                await self.go.setdefault(table, asyncio.Event()).wait()
                if error is not None:
                    raise error
            finally:
                self.at_work[table] -= 1

    def start(
        self, table: str, number: int = 1, error: Exception | None = None
    ) -> list[asyncio.Task[None]]:
        started = [asyncio.create_task(self.load(table, error)) for _ in range(number)]
        self.tasks += started
        return started

    def end(self, table: str) -> None:
        self.go.setdefault(table, asyncio.Event()).set()


def bench(slots: int, *, slow_seconds: float = 60) -> Bench:
    gate = Gate()
    room = Room(gate, Pace(slow_seconds))
    return Bench(Slots(slots, room), room, gate)


async def ended(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_gate_is_closed_only_while_a_load_waits() -> None:
    b = bench(4)
    b.start("a", 2)
    await settle()
    assert b.gate.is_open
    b.start("a")
    await settle()
    assert [b.gate.is_open] == [False]
    b.end("a")
    await ended(b.tasks)
    assert b.gate.is_open


async def test_load_that_gives_up_waiting_opens_the_gate_again() -> None:
    b = bench(1)
    _, second = b.start("a", 2)
    await settle()
    assert [b.gate.is_open] == [False]
    second.cancel()
    await settle()
    assert [b.gate.is_open] == [True]
    b.end("a")
    await ended(b.tasks)
    assert b.at_work.total() == 0


async def test_eight_slow_drops_of_one_table_leave_slots_for_another() -> None:
    b = bench(4, slow_seconds=AT_ONCE)
    b.start("slow", 8)
    await settle()
    assert b.at_work["slow"] == 2
    assert (b.gate.is_open, b.gate.parked) == (True, 6)
    b.start("other")
    await settle()
    assert b.at_work["other"] == 1
    b.end("other")
    b.end("slow")
    await ended(b.tasks)
    assert (b.gate.is_open, b.gate.parked) == (True, 0)


async def test_table_becomes_slow_while_its_loads_go_on() -> None:
    b = bench(2, slow_seconds=0.05)
    b.start("slow", 3)
    await settle()
    assert [b.gate.is_open] == [False]
    async with asyncio.timeout(10):
        await b.gate.wait()
    assert b.gate.parked == 2
    b.end("slow")
    await ended(b.tasks)


async def test_waiting_for_every_slot_closes_the_gate_beside_parked_ones() -> None:
    b = bench(2, slow_seconds=AT_ONCE)
    b.start("slow", 5)
    await settle()
    b.room.pace.slow_seconds = 60
    b.start("quick", 2)
    await settle()
    assert (b.at_work["quick"], b.gate.is_open) == (1, False)
    b.end("quick")
    b.end("slow")
    await ended(b.tasks)


async def test_table_that_fails_by_time_is_held_back_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headrace_shared.backoff.HOLD_BASE_SECONDS", 0.05)
    b = bench(4)
    b.end("late")
    failing = b.start("late", 1, OutOfTimeError("the tests took too long"))
    await ended(failing)
    b.go["late"] = asyncio.Event()
    b.start("late", 3)
    b.start("other", 2)
    await settle()
    assert (b.at_work["late"], b.at_work["other"]) == (0, 2)
    assert (b.gate.is_open, b.gate.parked) == (True, 3)
    async with asyncio.timeout(10):
        while not b.at_work["late"]:
            await asyncio.wait(b.tasks, timeout=0.01)
    assert b.at_work["late"] == 1, "one at a time, until one ends in time"
    b.end("late")
    b.end("other")
    await ended(b.tasks)


async def test_outage_neither_holds_a_table_back_nor_forgets_that_it_was() -> None:
    b = bench(4)
    b.end("a")
    await ended(b.start("a", 1, AwayError("gone")))
    assert b.room.pace.failures("a") == 0
    b.room.pace.began("a", 0)
    b.room.pace.ended("a", 0, 1, Verdict.OUT_OF_TIME)
    b.room.pace.ended("a", b.room.began("a"), 2, Verdict.NONE)
    assert b.room.pace.failures("a") == 1


async def test_further_messages_of_a_slow_table_are_released_and_those_of_others_are_not() -> None:
    b = bench(2, slow_seconds=AT_ONCE)
    b.start("slow", 1 + rooms.MOST_OF_A_TABLE)
    await settle()
    with pytest.raises(NotNowError) as refused:
        b.room.admit("slow", attempt=3)
    assert refused.value.retry_after is not None
    assert 120 <= refused.value.retry_after <= 240
    b.room.admit("other", attempt=1)
    b.end("slow")
    await ended(b.tasks)
    b.room.admit("slow", attempt=1)


async def test_backlog_of_a_quick_table_is_never_released() -> None:
    b = bench(2)
    b.start("quick", 3 * rooms.MOST_OF_A_TABLE)
    await settle()
    b.room.admit("quick", attempt=1)
    assert not b.gate.is_open, "what is in hand is enough"
    b.end("quick")
    await ended(b.tasks)


async def test_batches_wait_like_loads_but_their_messages_are_counted_elsewhere() -> None:
    gate = Gate()
    room = Room(gate, Pace(AT_ONCE))
    slots, go = Slots(2, room, gathers=True), asyncio.Event()

    async def batch() -> None:
        async with slots.of("a"):
            await go.wait()

    with room.waiting("a"), room.waiting("a"), room.waiting("a"):
        tasks = [asyncio.create_task(batch()) for _ in range(2)]
        await settle()
        room.review()
        assert (gate.parked, gate.is_open) == (3, True)
        go.set()
        await asyncio.gather(*tasks)
    assert gate.parked == 0


@settings(deadline=None, max_examples=60)
@given(
    slots=st.integers(1, 6),
    steps=st.lists(
        st.tuples(st.sampled_from(["start", "end", "fail", "cancel"]), st.sampled_from("abc")),
        max_size=40,
    ),
)
def test_shares_hold_and_no_slot_is_lost_whatever_happens(
    slots: int, steps: list[tuple[str, str]]
) -> None:
    async def scenario() -> None:
        b = bench(slots)
        for step, table in steps:
            _act(b, step, table)
            await settle()
            assert b.at_work.total() <= slots
            assert max(b.at_work.values(), default=0) <= share(slots)
        for table in "abc":
            b.end(table)
        await ended(b.tasks)
        b.go.clear()
        fresh = b.start("d", slots) + b.start("e", slots)
        await settle()
        assert b.at_work.total() == min(slots, 2 * share(slots)), "every slot came back"
        for one in fresh:
            one.cancel()
        await ended(fresh)

    asyncio.run(scenario())


def _act(b: Bench, step: str, table: str) -> None:
    if step == "start":
        b.start(table)
    elif step == "fail":
        b.start(table, 1, NotNowError("later"))
    elif step == "end":
        b.go.setdefault(table, asyncio.Event()).set()
        b.go[table] = asyncio.Event()
    else:
        with suppress(IndexError):
            b.tasks.pop(len(b.tasks) // 2).cancel()


async def test_slot_that_comes_together_with_a_cancelling_goes_to_the_next() -> None:
    b = bench(1)
    work: Coroutine[Any, Any, None] = b.load("a")
    first, (second, third) = asyncio.create_task(work), b.start("b", 2)
    await settle()
    b.end("a")
    await first
    second.cancel()
    await settle()
    assert b.at_work["b"] == 1
    b.end("b")
    await ended([third])

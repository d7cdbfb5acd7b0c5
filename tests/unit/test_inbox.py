"""The spine: what the inbox loop promises, on a fake queue, a fake bus and a fake clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_shared.errors import PermanentError, TransientError
from headrace_shared.facts import DropRejected, DropRouted, Fact, LoadFailed, Stage
from headrace_shared.gate import Gate
from headrace_shared.inbox import (
    POLL_FAILURES_LIMIT,
    Failure,
    InboxLoop,
    Limits,
    Message,
)
from headrace_shared.liveness import TURN_SECONDS
from headrace_shared.reasons import Reason
from headrace_shared.testing.builders import a_drop
from headrace_shared.testing.clock import FakeClock, settle
from headrace_shared.testing.fakes import FakeBus, FakeQueue

REASON = Reason(code="bad", message="It is bad.")


@dataclass
class ScriptedHandler:
    """Does what the test says for a message's body; remembers who was at work."""

    clock: FakeClock
    does: dict[str, Callable[[], Exception | float | None]] = field(default_factory=dict)
    at_work: set[str] = field(default_factory=set)
    most_at_work: int = 0
    failures: list[Failure] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    async def handle(self, message: Message) -> Sequence[Fact]:
        self.at_work.add(message.body)
        self.most_at_work = max(self.most_at_work, len(self.at_work))
        try:
            todo = self.does.get(message.body, lambda: None)()
            if isinstance(todo, Exception):
                raise todo
            if todo is not None:
                await self.clock.sleep(todo)
        except asyncio.CancelledError:
            self.cancelled.append(message.body)
            raise
        finally:
            self.at_work.discard(message.body)
        return [DropRouted(drop=a_drop(f"dev/append/t/{message.body}"))]

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:
        self.failures.append(failure)
        drop = a_drop(f"dev/append/t/{message.body}")
        if isinstance(failure.error, PermanentError):
            return [DropRejected(drop=drop, stage=Stage.LOAD, reason=failure.error.reason)]
        return [LoadFailed(drop=drop, attempt=failure.attempt, final=failure.final, reason=REASON)]


@dataclass
class Bench:
    """One loop with its fakes."""

    clock: FakeClock
    queue: FakeQueue
    bus: FakeBus
    handler: ScriptedHandler
    loop: InboxLoop
    stop: asyncio.Event
    running: asyncio.Task[None]
    gate: Gate
    turns: list[float]

    @property
    def settled(self) -> list[tuple[str, str, float | None]]:
        return self.queue.record

    def hidden(self, body: str) -> list[float]:
        return [
            seconds
            for call, name, seconds in self.settled
            if call == "hide" and name == body
            if seconds is not None
        ]

    def deleted(self) -> list[str]:
        return [name for call, name, _ in self.settled if call == "delete"]


@asynccontextmanager
async def bench(
    *,
    concurrency: int = 4,
    visibility: float = 30,
    grace: float = 0.05,
    max_receives: int | None = 5,
) -> AsyncIterator[Bench]:
    clock, bus = FakeClock(), FakeBus()
    queue = FakeQueue(clock, visibility_seconds=visibility, max_receives=max_receives)
    handler = ScriptedHandler(clock)
    limits = Limits(concurrency, visibility, grace, max_receives)
    gate, stop = Gate(), asyncio.Event()
    turns: list[float] = []
    loop = InboxLoop(
        queue,
        bus,
        handler,
        limits,
        gate=gate,
        on_turn=lambda: turns.append(clock.now),
        sleep=clock.sleep,
        chance=lambda: 0.5,
    )
    running = asyncio.create_task(loop.run(stop))
    made = Bench(clock, queue, bus, handler, loop, stop, running, gate, turns)
    try:
        yield made
    finally:
        stop.set()
        await clock.advance(1000)
        await asyncio.gather(made.running, return_exceptions=True)


async def test_handled_message_is_published_then_deleted() -> None:
    async with bench() as b:
        b.queue.send("a")
        await b.clock.advance(2)
        assert [fact.detail_type for fact in b.bus.published] == ["Drop Routed"]
        assert b.deleted() == ["a"]


async def test_message_stays_when_the_bus_refuses_its_facts() -> None:
    async with bench() as b:
        b.bus.failing = True
        b.queue.send("a")
        await b.clock.advance(1)
        assert b.deleted() == []
        b.bus.failing = False
        await b.clock.advance(60)
        assert b.deleted() == ["a"]


async def test_no_more_messages_are_taken_than_there_are_slots() -> None:
    async with bench(concurrency=3) as b:
        bodies = [f"m{number}" for number in range(20)]
        b.handler.does = {body: lambda: 5.0 for body in bodies}
        b.queue.send(*bodies)
        await b.clock.advance(100)
        assert b.handler.most_at_work == 3
        assert max(b.queue.asked) <= 3
        assert sorted(b.deleted()) == sorted(bodies)


async def test_nothing_is_fetched_while_the_gate_is_closed() -> None:
    async with bench() as b:
        b.gate.close()
        await b.clock.advance(25)  # the poll that was under way ends
        b.queue.send("a")
        polls = len(b.queue.asked)
        await b.clock.advance(50)
        assert (b.deleted(), len(b.queue.asked)) == ([], polls)
        b.gate.open()
        await b.clock.advance(1)
        assert b.deleted() == ["a"]


async def test_closed_gate_does_not_hold_up_the_stop() -> None:
    async with bench() as b:
        b.gate.close()
        await b.clock.advance(25)
        b.stop.set()
        await b.clock.advance(1)
        assert b.running.done()


async def test_no_poll_while_every_slot_is_taken() -> None:
    async with bench(concurrency=2, visibility=1000) as b:
        b.handler.does = {"a": lambda: 50.0, "b": lambda: 50.0}
        b.queue.send("a", "b", "c")
        await b.clock.advance(40)
        assert b.handler.at_work == {"a", "b"}
        assert len(b.queue.asked) == 1


async def test_loop_lives_while_long_work_fills_every_slot() -> None:
    async with bench(concurrency=2, visibility=10_000) as b:
        b.handler.does = {"a": lambda: 3_600.0, "b": lambda: 3_600.0}
        b.queue.send("a", "b")
        await b.clock.advance(3_000)
        assert b.handler.at_work == {"a", "b"}
        assert _longest_pause(b.turns, until=3_000) <= TURN_SECONDS


async def test_loop_lives_while_the_gate_is_closed() -> None:
    async with bench() as b:
        b.gate.close()
        await b.clock.advance(1_000)
        assert _longest_pause(b.turns[1:], until=1_000) <= TURN_SECONDS


async def test_loop_lives_while_it_backs_off() -> None:
    async with bench() as b:
        b.queue.failing.add("receive")
        await b.clock.advance(500)
        assert not b.running.done()
        assert _longest_pause(b.turns, until=500) <= TURN_SECONDS


async def test_loop_that_hangs_in_a_poll_does_not_look_alive() -> None:
    async with bench() as b:
        b.queue.poll_seconds = 1_000
        await b.clock.advance(900)
        assert b.turns == [0]


async def test_oldest_message_in_hand_is_told() -> None:
    async with bench(visibility=1_000) as b:
        b.handler.does = {"a": lambda: 50.0, "b": lambda: 100.0}
        b.queue.send("a")
        await b.clock.advance(1)
        first = b.loop.oldest_taken_at
        b.queue.send("b")
        await b.clock.advance(2)
        assert b.loop.oldest_taken_at == first
        await b.clock.advance(60)
        second = b.loop.oldest_taken_at
        assert first is not None
        assert second is not None
        assert first < second <= time.monotonic()
        await b.clock.advance(60)
        assert b.loop.oldest_taken_at is None


async def test_idle_loop_has_nothing_in_hand() -> None:
    async with bench() as b:
        await b.clock.advance(30)
        assert b.loop.oldest_taken_at is None


def _longest_pause(turns: Sequence[float], *, until: float) -> float:
    return round(max(later - before for before, later in pairwise([*turns, until])), 6)


async def test_transient_error_hides_the_message_for_a_back_off() -> None:
    async with bench() as b:
        b.handler.does["a"] = lambda: TransientError("later")
        b.queue.send("a")
        await b.clock.advance(0)
        assert b.hidden("a") == [pytest.approx(2.0 * 0.55)]
        assert [failure.final for failure in b.handler.failures] == [False]


async def test_transient_error_may_say_when_to_try_again() -> None:
    async with bench() as b:
        b.handler.does["a"] = lambda: TransientError("later", retry_after=7)
        b.queue.send("a")
        await b.clock.advance(0)
        assert b.hidden("a") == [7]
        assert b.handler.failures[0].retry_in_seconds == 7


async def test_permanent_error_is_told_and_the_message_deleted() -> None:
    async with bench() as b:
        b.handler.does["a"] = lambda: PermanentError(REASON)
        b.queue.send("a")
        await b.clock.advance(0)
        assert [fact.detail_type for fact in b.bus.published] == ["Drop Rejected"]
        assert b.deleted() == ["a"]
        [failure] = b.handler.failures
        assert (failure.attempt, failure.final, failure.retry_in_seconds) == (1, True, 0)


async def test_permanent_error_that_cannot_be_told_is_tried_again() -> None:
    async with bench() as b:
        b.bus.failing = True
        b.handler.does["a"] = lambda: PermanentError(REASON)
        b.queue.send("a")
        await b.clock.advance(0)
        assert b.deleted() == []
        b.bus.failing = False
        await b.clock.advance(60)
        assert b.deleted() == ["a"]


async def test_bug_is_redelivered_and_ends_in_the_dead_letters_with_a_final_fact() -> None:
    async with bench(max_receives=3) as b:
        b.handler.does["a"] = ZeroDivisionError
        b.queue.send("a", "good")
        await b.clock.advance(1000)
        assert [failure.attempt for failure in b.handler.failures] == [1, 2, 3]
        assert [failure.final for failure in b.handler.failures] == [False, False, True]
        assert b.hidden("a")[-1] == 0
        assert b.queue.dead == ["a"]
        assert b.deleted() == ["good"]


async def test_queue_without_dead_letters_never_gives_up() -> None:
    async with bench(max_receives=None) as b:
        b.handler.does["a"] = ZeroDivisionError
        b.queue.send("a")
        await b.clock.advance(5000)
        assert len(b.handler.failures) > 10
        assert not any(failure.final for failure in b.handler.failures)


async def test_long_work_keeps_its_message_hidden() -> None:
    async with bench(visibility=30) as b:
        b.handler.does["a"] = lambda: 300.0
        b.queue.send("a")
        await b.clock.advance(400)
        assert b.queue.messages == {}
        assert b.hidden("a") == [30] * (len(b.hidden("a")))
        assert len(b.hidden("a")) >= 29
        assert b.deleted() == ["a"]


async def test_no_heartbeat_comes_after_the_settling() -> None:
    async with bench(visibility=30) as b:
        b.handler.does["a"] = lambda: TransientError("later", retry_after=500)
        b.queue.send("a")
        await b.clock.advance(400)
        assert b.settled == [("hide", "a", 500)]


async def test_failing_heartbeat_does_not_end_the_work() -> None:
    async with bench(visibility=30) as b:
        b.handler.does["a"] = lambda: 25.0
        b.queue.failing.add("hide")
        b.queue.send("a")
        await b.clock.advance(60)
        assert b.deleted() == ["a"]


async def test_failing_settling_does_not_end_the_loop() -> None:
    async with bench(visibility=10) as b:
        b.queue.failing.add("delete")
        b.queue.send("a")
        await b.clock.advance(5)
        b.queue.failing.clear()
        await b.clock.advance(60)
        assert b.deleted() == ["a"]
        assert len(b.bus.published) >= 2


async def test_polls_that_fail_are_tried_again() -> None:
    async with bench() as b:
        await b.clock.advance(1)
        b.queue.failing.add("receive")
        await b.clock.advance(60)
        b.queue.failing.clear()
        b.queue.send("a")
        await b.clock.advance(400)
        assert b.deleted() == ["a"]


async def test_inbox_out_of_reach_for_long_ends_the_process() -> None:
    async with bench() as b:
        b.queue.failing.add("receive")
        await b.clock.advance(10_000)
        with pytest.raises(TransientError, match=f"{POLL_FAILURES_LIMIT} times"):
            await b.running


async def test_stop_lets_work_finish_within_the_grace_period() -> None:
    async with bench(grace=5) as b:
        b.handler.does["a"] = lambda: 0.5
        b.queue.send("a")
        await b.clock.advance(0.1)
        b.stop.set()
        await b.clock.advance(30)
        await b.running
        assert b.deleted() == ["a"]


async def test_stop_hands_back_at_once_what_does_not_finish() -> None:
    async with bench(grace=0.02) as b:
        b.handler.does["a"] = lambda: 10_000.0
        b.queue.send("a")
        await b.clock.advance(0.1)
        b.stop.set()
        await b.clock.advance(30)
        await b.running
        assert b.handler.cancelled == ["a"]
        assert b.hidden("a")[-1] == 0
        assert b.deleted() == []


async def test_grace_period_does_not_wait_for_the_poll_in_flight() -> None:
    async with bench(grace=0.02) as b:
        b.handler.does["a"] = lambda: 10_000.0
        b.queue.send("a")
        await b.clock.advance(0.1)
        b.stop.set()
        for _ in range(1000):
            if b.hidden("a"):
                break
            await asyncio.sleep(0.01)
        assert b.hidden("a") == [0]
        assert not b.running.done(), "the poll still waits"


async def test_what_the_last_poll_brings_is_handed_back() -> None:
    async with bench() as b:
        await b.clock.advance(3)
        b.stop.set()
        b.queue.send("late")
        await b.clock.advance(30)
        await b.running
        assert b.settled == [("hide", "late", 0)]
        assert b.handler.failures == []
        assert b.bus.published == []


async def test_poll_in_flight_is_not_cut_off_by_stop() -> None:
    async with bench() as b:
        await b.clock.advance(3)
        b.stop.set()
        await settle()
        assert not b.running.done()


@settings(deadline=None, max_examples=15)
@given(
    plan=st.lists(st.sampled_from(["good", "slow", "transient", "bug", "permanent"]), max_size=12),
    concurrency=st.integers(1, 5),
)
def test_every_message_ends_deleted_or_dead_whatever_happens(
    plan: list[str], concurrency: int
) -> None:
    async def scenario() -> None:
        async with bench(concurrency=concurrency, max_receives=4) as b:
            for number, kind in enumerate(plan):
                name = f"{kind}{number}"
                b.handler.does[name] = {
                    "good": lambda: None,
                    "slow": lambda: 100.0,
                    "transient": _succeeds_at_last(),
                    "bug": lambda: KeyError("bug"),
                    "permanent": lambda: PermanentError(REASON),
                }[kind]
                b.queue.send(name)
            await b.clock.advance(1_500)
            assert b.queue.messages == {}
            assert b.handler.most_at_work <= concurrency
            dead = {f"{kind}{number}" for number, kind in enumerate(plan) if kind == "bug"}
            assert set(b.queue.dead) == dead
            named = {f"{kind}{number}" for number, kind in enumerate(plan)}
            assert set(b.deleted()) == named - dead

    asyncio.run(scenario())


def _succeeds_at_last() -> Callable[[], Exception | None]:
    left = [TransientError("once"), TransientError("twice")]
    return lambda: left.pop() if left else None

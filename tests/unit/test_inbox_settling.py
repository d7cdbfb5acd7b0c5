"""Every delivery leaves settled, also when what fails is not a fault that anybody foresaw."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from headrace_shared.errors import PermanentError, TransientError
from headrace_shared.facts import Fact
from headrace_shared.inbox import Failure, InboxLoop, Limits, Message
from headrace_shared.reasons import Reason
from headrace_shared.testing.clock import FakeClock, settle
from headrace_shared.testing.fakes import FakeBus, FakeQueue

Work = Callable[[], Awaitable[None]]


class StaleQueue(FakeQueue):
    """Refuses each hiding as SQS refuses a receipt that ran out."""

    async def hide(self, message: Message, seconds: float) -> None:
        raise ValueError(f"MessageNotInflight: {message.receipt} for {seconds}")


class SlowQueue(FakeQueue):
    """Takes its time to hide."""

    async def hide(self, message: Message, seconds: float) -> None:
        await self.clock.sleep(5)
        await super().hide(message, seconds)


class SlowToDelete(FakeQueue):
    """Takes its time to delete."""

    async def delete(self, message: Message) -> None:
        await self.clock.sleep(5)
        await super().delete(message)


class SpeechlessHandler:
    """Cannot tell of a failure: a bug in the telling."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def handle(self, message: Message) -> Sequence[Fact]:
        assert message.body
        await self._work()
        return []

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:
        raise KeyError(message.body, failure.attempt)


def started(
    queue: FakeQueue, clock: FakeClock, work: Work, *, grace: float = 0.0
) -> tuple[asyncio.Event, asyncio.Task[None]]:
    limits = Limits(4, queue.visibility_seconds, grace, max_receives=3)
    loop = InboxLoop(
        queue, FakeBus(), SpeechlessHandler(work), limits, sleep=clock.sleep, chance=lambda: 0.5
    )
    stop = asyncio.Event()
    return stop, asyncio.create_task(loop.run(stop))


async def ended(clock: FakeClock, stop: asyncio.Event, running: asyncio.Task[None]) -> None:
    stop.set()
    while not running.done():
        await clock.advance(60)
    await running


async def test_heartbeat_refused_for_good_does_not_keep_the_message_from_its_end() -> None:
    clock = FakeClock()
    queue = StaleQueue(clock)
    queue.send("a")
    stop, running = started(queue, clock, lambda: clock.sleep(25))
    await clock.advance(26)
    assert [call for call, _, _ in queue.record] == ["delete"]
    await ended(clock, stop, running)


async def test_settling_refused_for_good_does_not_end_the_loop() -> None:
    clock, tries = FakeClock(), 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise TransientError("later")

    queue = StaleQueue(clock)
    queue.send("a")
    stop, running = started(queue, clock, work)
    await clock.advance(100)
    assert [call for call, _, _ in queue.record] == ["delete"]
    await ended(clock, stop, running)


async def test_permanent_error_that_the_handler_cannot_tell_of_is_tried_again() -> None:
    clock = FakeClock()

    async def work() -> None:
        raise PermanentError(Reason(code="bad", message="It is bad."))

    queue = FakeQueue(clock, max_receives=3)
    queue.send("a")
    stop, running = started(queue, clock, work)
    await clock.advance(0)
    assert [call for call, _, _ in queue.record] == ["hide"]
    await clock.advance(100)
    assert queue.dead == ["a"]
    await ended(clock, stop, running)


async def test_hand_back_is_not_cut_off_when_there_is_no_grace() -> None:
    clock = FakeClock()
    queue = SlowQueue(clock, poll_seconds=3)
    stop, running = started(queue, clock, lambda: clock.sleep(1))
    await settle()
    stop.set()
    queue.send("late")
    await ended(clock, stop, running)
    assert queue.record == [("hide", "late", 0)]


async def test_delete_under_way_is_not_cut_off_when_the_grace_is_over() -> None:
    clock = FakeClock()
    queue = SlowToDelete(clock)
    queue.send("a")
    stop, running = started(queue, clock, lambda: clock.sleep(1))
    await clock.advance(2)
    stop.set()
    for _ in range(100):  # the grace period is real time: let its end cancel the work
        await asyncio.sleep(0)
    await ended(clock, stop, running)
    assert queue.record == [("delete", "a", None)]

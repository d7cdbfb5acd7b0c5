"""While the warehouse is away nothing is received, so that an outage uses up no deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_shared import backoff
from headrace_shared.availability import Availability
from headrace_shared.errors import AwayError, NotNowError, TransientError
from headrace_shared.facts import DropRouted, Fact
from headrace_shared.gate import AWAY, BUSY, Gate
from headrace_shared.inbox import Failure, InboxLoop, Limits, Message
from headrace_shared.testing.builders import a_drop
from headrace_shared.testing.clock import FakeClock, settle
from headrace_shared.testing.fakes import FakeBus, FakeQueue
from headrace_shared.trying import LAST_TRIES

MAX_RECEIVES = 3


@dataclass
class Warehouse:
    """Is away from time to time; a poisonous message drives it away by itself."""

    clock: FakeClock
    outages: Sequence[tuple[float, float]] = ()
    probes: list[float] = field(default_factory=list)
    poison: str | None = None
    load_seconds: float = 0.5
    refuses_until: float = 0

    @property
    def is_away(self) -> bool:
        return any(start <= self.clock.now < end for start, end in self.outages)

    async def probe(self) -> None:
        self.probes.append(self.clock.now)
        if self.is_away:
            raise AwayError("connection refused")

    async def load(self, message: Message) -> None:
        if self.clock.now < self.refuses_until:
            raise NotNowError("too many", retry_after=7)
        await self.clock.sleep(self.load_seconds)
        if self.is_away or message.body == self.poison:
            raise AwayError("connection lost")


@dataclass
class Loader:
    """A handler as the loader's: what finds the warehouse away closes the gate."""

    warehouse: Warehouse
    availability: Availability
    failures: list[tuple[str, Failure]] = field(default_factory=list)

    async def handle(self, message: Message) -> Sequence[Fact]:
        self.availability.require()
        try:
            await self.warehouse.load(message)
        except AwayError as error:
            self.availability.lost(error)
            raise
        return [DropRouted(drop=a_drop(f"dev/append/t/{message.body}"))]

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:
        self.failures.append((message.body, failure))
        return []


@dataclass
class Bench:
    clock: FakeClock
    queue: FakeQueue
    warehouse: Warehouse
    loader: Loader
    gate: Gate

    def deleted(self) -> list[str]:
        return [name for call, name, _ in self.queue.record if call == "delete"]


@asynccontextmanager
async def bench(
    outages: Sequence[tuple[float, float]] = (), *, poison: str | None = None
) -> AsyncIterator[Bench]:
    clock, gate, stop = FakeClock(), Gate(), asyncio.Event()
    queue = FakeQueue(clock, max_receives=MAX_RECEIVES)
    warehouse = Warehouse(clock, outages, poison=poison)
    availability = Availability(gate, warehouse.probe, sleep=clock.sleep, chance=lambda: 0.5)
    loader = Loader(warehouse, availability)
    loop = InboxLoop(
        queue,
        FakeBus(),
        loader,
        Limits(4, queue.visibility_seconds, 0.05, MAX_RECEIVES),
        gate=gate,
        sleep=clock.sleep,
        chance=lambda: 0.5,
    )
    running = asyncio.create_task(loop.run(stop))
    try:
        yield Bench(clock, queue, warehouse, loader, gate)
    finally:
        stop.set()
        await clock.advance(200)
        await asyncio.gather(running, return_exceptions=True)
        await availability.close()


async def test_nothing_is_received_while_the_warehouse_is_away() -> None:
    async with bench([(0, 2_000)]) as b:
        b.queue.send("a")
        await b.clock.advance(1)
        b.queue.send("b", "c")
        await b.clock.advance(190)
        received = {name: stored.receives for name, stored in b.queue.messages.items()}
        # The poll that was in flight when the gate closed may have received others.
        assert received["a"] == 1
        assert max(received.values()) == 1
        polls = len(b.queue.asked)
        await b.clock.advance(500)
        assert len(b.queue.asked) == polls
        assert b.queue.dead == []


async def test_outage_longer_than_all_receives_makes_no_dead_letter() -> None:
    async with bench([(1, 2_000)]) as b:
        b.queue.send("early")
        await b.clock.advance(2)
        b.queue.send(*(f"m{number}" for number in range(30)))
        await b.clock.advance(1_990)
        assert b.queue.dead == []
        await b.clock.advance(100)
        assert sorted(b.deleted()) == sorted(["early", *(f"m{number}" for number in range(30))])


async def test_released_message_stays_away_for_longer_than_a_poll() -> None:
    async with bench([(0, 100)]) as b:
        b.queue.send("a")
        await b.clock.advance(1 + backoff.BLIP_SECONDS)
        assert b.queue.record == [("hide", "a", backoff.RELEASE_SECONDS)]
        assert b.queue.poll_seconds < backoff.RELEASE_SECONDS
        (_, failure), *_ = b.loader.failures
        assert (failure.final, failure.retry_in_seconds) == (False, backoff.RELEASE_SECONDS)


async def test_message_that_met_a_blip_is_tried_again_soon() -> None:
    async with bench([(0, 0.6)]) as b:
        b.queue.send("a")
        await b.clock.advance(10)
        (_, failure), *_ = b.loader.failures
        assert failure.retry_in_seconds == backoff.full_jitter(1, 0.5)
        assert b.deleted() == ["a"]


async def test_message_at_its_last_delivery_stays_in_hand_until_the_warehouse_is_back() -> None:
    async with bench([(0, 600)]) as b:
        b.queue.send("a")
        b.queue.messages["a"].receives = MAX_RECEIVES - 1
        await b.clock.advance(550)
        assert b.queue.messages["a"].receives == MAX_RECEIVES
        assert b.queue.messages["a"].visible_at > b.clock.now, "its heartbeat goes on"
        await b.clock.advance(200)
        assert (b.deleted(), b.queue.dead) == (["a"], [])


async def test_message_that_drives_the_warehouse_away_each_time_ends_in_the_dead_letters() -> None:
    async with bench(poison="poison") as b:
        b.queue.send("poison", "good")
        await b.clock.advance(400)
        assert (b.queue.dead, b.deleted()) == (["poison"], ["good"])
        tries = [failure for name, failure in b.loader.failures if name == "poison"]
        assert len(tries) == MAX_RECEIVES - 1 + LAST_TRIES
        assert [failure.final for failure in tries] == [False] * (len(tries) - 1) + [True]


@settings(deadline=None, max_examples=12)
@given(
    outages=st.lists(st.tuples(st.floats(0, 300), st.floats(1, 200)), max_size=3),
    sent_at=st.lists(st.floats(0, 300), min_size=1, max_size=8),
)
def test_no_outage_costs_a_message_more_than_one_delivery(
    outages: list[tuple[float, float]], sent_at: list[float]
) -> None:
    spans = [(start, start + length) for start, length in outages]

    async def scenario() -> None:
        async with bench(spans) as b:
            for number, moment in enumerate(sorted(sent_at)):
                await b.clock.advance(max(0, moment - b.clock.now))
                b.queue.send(f"m{number}")
            sent = dict(b.queue.messages)
            await b.clock.advance(1_200)
            assert b.queue.dead == []
            assert len(b.deleted()) == len(sent_at)
            assert max((one.receives for one in sent.values()), default=1) <= 1 + len(outages)

    asyncio.run(scenario())


async def test_work_goes_on_soon_after_the_warehouse_is_back() -> None:
    async with bench([(0, 700)]) as b:
        b.queue.send("a")
        await b.clock.advance(700 + backoff.PROBE_CAP_SECONDS + 1)
        assert b.gate.is_open
        assert b.deleted() == ["a"]


async def test_probes_are_apart_and_never_further_than_the_cap() -> None:
    async with bench([(0, 600)]) as b:
        b.queue.send("a")
        await b.clock.advance(600)
        pauses = [
            b2 - b1 for b1, b2 in zip(b.warehouse.probes, b.warehouse.probes[1:], strict=False)
        ]
        assert min(pauses) >= 0.5
        assert max(pauses) <= backoff.PROBE_CAP_SECONDS
        assert len(pauses) > 30


async def test_bug_in_the_probe_does_not_keep_the_gate_closed() -> None:
    clock, gate, left = FakeClock(), Gate(), [ZeroDivisionError("bug")]

    async def probe() -> None:
        if left:
            raise left.pop()

    availability = Availability(gate, probe, sleep=clock.sleep, chance=lambda: 0.5)
    availability.lost(AwayError("gone"))
    assert [gate.is_open] == [False]
    with pytest.raises(NotNowError):
        availability.require()
    await clock.advance(20)
    assert gate.is_open
    availability.require()


async def test_second_message_that_finds_it_away_starts_no_second_probing() -> None:
    clock, gate = FakeClock(), Gate()
    warehouse = Warehouse(clock, [(0, 100)])
    availability = Availability(gate, warehouse.probe, sleep=clock.sleep, chance=lambda: 0.5)
    availability.lost(AwayError("gone"))
    availability.lost(AwayError("gone, too"))
    await settle()
    assert len(warehouse.probes) == 1
    await availability.close()


async def test_gate_that_is_closed_for_two_reasons_opens_with_the_last() -> None:
    gate = Gate()
    gate.close(BUSY)
    gate.close(AWAY)
    waiting = asyncio.create_task(gate.wait())
    gate.open(AWAY)
    await settle()
    assert not gate.is_open
    assert not waiting.done()
    gate.open(BUSY)
    await settle()
    assert waiting.done()


async def test_parked_messages_leave_room_for_others() -> None:
    async with bench() as b:
        b.queue.send(*(f"slow{number}" for number in range(4)))
        b.warehouse.load_seconds = 1_000
        await b.clock.advance(1)
        b.queue.send("other")
        await b.clock.advance(40)
        assert b.queue.messages["other"].receives == 0, "every slot is taken"
        b.gate.park(2)
        await b.clock.advance(1)
        assert b.queue.messages["other"].receives == 1
        assert max(b.queue.asked[1:]) <= 2


async def test_refusal_without_a_try_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    async with bench() as b:
        b.warehouse.refuses_until = 200
        b.queue.send("a")
        await b.clock.advance(190)
        assert b.gate.is_open
        assert b.queue.record[:2] == [("hide", "a", 7)] * 2
        assert b.queue.dead == []
        await b.clock.advance(500)
        assert b.deleted() == ["a"]
        assert "Traceback" not in caplog.text


def test_kinds_of_errors_are_transient() -> None:
    assert issubclass(AwayError, NotNowError)
    assert issubclass(NotNowError, TransientError)

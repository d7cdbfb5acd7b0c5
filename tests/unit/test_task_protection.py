"""When a task asks ECS not to scale it in, how often, and what it does when ECS does not listen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from headrace_shared.errors import TransientError
from headrace_shared.task_protection import (
    EXPIRES_MINUTES,
    LOOK_SECONDS,
    PROTECT_AFTER_SECONDS,
    RELEASE_AFTER_SECONDS,
    RENEW_AFTER_SECONDS,
    RETRY_SECONDS,
    Ask,
    Guard,
    Standing,
    after,
    decide,
    seen,
)
from headrace_shared.testing.clock import FakeClock

LONG = PROTECT_AFTER_SECONDS
FREE = Standing()
HELD = Standing(asked_at=100.0, taken_at=100.0, needed_at=100.0)
REFUSED = Standing(asked_at=100.0, refused_at=100.0, needed_at=100.0)
EXPIRED = 100.0 + EXPIRES_MINUTES * 60


@pytest.mark.parametrize(
    ("now", "oldest", "standing", "asked"),
    [
        (100.0, None, FREE, None),
        (100.0, 100.0 - LONG + 0.1, FREE, None),
        (100.0, 100.0 - LONG, FREE, Ask.PROTECT),
        (101.0, 0.0, HELD, None),
        (100.0 + RENEW_AFTER_SECONDS, 0.0, HELD, Ask.PROTECT),
        (101.0, None, HELD, None),
        (100.0 + RELEASE_AFTER_SECONDS, None, HELD, Ask.RELEASE),
        (100.0 + RELEASE_AFTER_SECONDS, 99.0 + RELEASE_AFTER_SECONDS, HELD, Ask.RELEASE),
        (EXPIRED, None, HELD, None),
        (101.0, 0.0, REFUSED, None),
        (100.0 + RETRY_SECONDS, 0.0, REFUSED, Ask.PROTECT),
        (100.0 + RETRY_SECONDS, None, REFUSED, Ask.RELEASE),
    ],
    ids=[
        "idle",
        "short work",
        "long work",
        "protected",
        "renewed before it expires",
        "just free",
        "free for a while",
        "only short work for a while",
        "expired by itself",
        "just refused",
        "refused a while ago",
        "perhaps heard all the same",
    ],
)
def test_what_is_asked(
    now: float, oldest: float | None, standing: Standing, asked: Ask | None
) -> None:
    assert decide(now, oldest, standing) is asked


def test_release_that_may_have_been_heard_is_no_protection() -> None:
    perhaps = after(Ask.RELEASE, 200.0, HELD, taken=False)
    assert decide(200.0 + RETRY_SECONDS, 0.0, perhaps) is Ask.PROTECT


def test_protection_is_renewed_well_before_it_expires() -> None:
    assert RENEW_AFTER_SECONDS + 5 * RETRY_SECONDS < EXPIRES_MINUTES * 60 / 2


@dataclass
class FakeAgent:
    """ECS as it would answer: protection expires by itself. `answers` says of each call whether it
    is heard, and whether the answer comes back; all are well after the last."""

    now: Callable[[], float]
    answers: list[tuple[bool, bool]] = field(default_factory=list)
    calls: list[Ask] = field(default_factory=list)
    protected_until: float = 0.0

    async def ask(self, ask: Ask) -> None:
        self.calls.append(ask)
        heard, answered = self.answers.pop(0) if self.answers else (True, True)
        if heard:
            until = self.now() + EXPIRES_MINUTES * 60
            self.protected_until = until if ask is Ask.PROTECT else 0.0
        if not (heard and answered):
            raise TransientError("the ECS agent: no")

    @property
    def protects(self) -> bool:
        return self.now() < self.protected_until


@dataclass(frozen=True)
class Piece:
    """A message in hand."""

    begins: float
    lasts: float

    def is_in_hand(self, now: float) -> bool:
        return self.begins <= now < self.begins + self.lasts


def oldest(pieces: Sequence[Piece], now: float) -> float | None:
    return min((one.begins for one in pieces if one.is_in_hand(now)), default=None)


PIECES = st.lists(
    st.builds(Piece, st.integers(0, 900).map(float), st.sampled_from([0.5, 4, 6, 30, 700, 5_000])),
    max_size=12,
)
LATER = 6_000.0


def watched(pieces: Sequence[Piece], agent: FakeAgent, clock: list[float]) -> list[bool]:
    """The guard's looks, one a second; whether work that is long in hand was then unprotected."""
    standing, bare = Standing(), []
    while clock[0] < LATER:
        now = clock[0]
        first = oldest(pieces, now)
        standing = seen(now, first, standing)
        asked = decide(now, first, standing)
        if asked is not None:
            try:
                asyncio.run(agent.ask(asked))
            except TransientError:
                standing = after(asked, now, standing, taken=False)
            else:
                standing = after(asked, now, standing, taken=True)
        long_in_hand = first is not None and now - first >= PROTECT_AFTER_SECONDS
        bare.append(long_in_hand and not agent.protects)
        clock[0] += LOOK_SECONDS
    return bare


@settings(deadline=None, max_examples=30)
@given(PIECES)
def test_long_work_is_always_protected_with_few_calls(pieces: list[Piece]) -> None:
    clock = [0.0]
    agent = FakeAgent(lambda: clock[0])
    assert not any(watched(pieces, agent, clock))
    assert not agent.protects, "free at the end"
    spells = len(pieces)
    assert len(agent.calls) <= 2 * spells + LATER / RENEW_AFTER_SECONDS
    if all(piece.lasts < PROTECT_AFTER_SECONDS for piece in pieces):
        assert agent.calls == []


@settings(deadline=None, max_examples=30)
@given(PIECES, st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_failing_agent_is_asked_seldom_and_the_task_is_free_in_the_end(
    pieces: list[Piece], answers: list[tuple[bool, bool]]
) -> None:
    clock = [0.0]
    agent = FakeAgent(lambda: clock[0], list(answers))
    bare = watched(pieces, agent, clock)
    assert not agent.protects
    refusals = len(answers)
    assert len(agent.calls) <= 2 * len(pieces) + LATER / RENEW_AFTER_SECONDS + refusals
    assert sum(bare) <= refusals * (RETRY_SECONDS + LOOK_SECONDS)


@dataclass
class Bench:
    """A guard on the fake clock."""

    clock: FakeClock
    agent: FakeAgent
    stop: asyncio.Event
    running: asyncio.Task[None]
    oldest: list[float | None]


def bench(*answers: tuple[bool, bool]) -> Bench:
    clock, stop = FakeClock(), asyncio.Event()
    agent = FakeAgent(lambda: clock.now, list(answers))
    in_hand: list[float | None] = [None]
    guard = Guard(agent, lambda: in_hand[0], clock=lambda: clock.now, sleep=clock.sleep)
    return Bench(clock, agent, stop, asyncio.create_task(guard.run(stop)), in_hand)


async def test_guard_protects_renews_and_releases() -> None:
    b = bench()
    await b.clock.advance(60)
    assert b.agent.calls == []
    b.oldest[0] = 60.0
    await b.clock.advance(PROTECT_AFTER_SECONDS + LOOK_SECONDS)
    assert b.agent.calls == [Ask.PROTECT]
    await b.clock.advance(RENEW_AFTER_SECONDS)
    assert b.agent.calls == [Ask.PROTECT] * 2
    b.oldest[0] = None
    await b.clock.advance(RELEASE_AFTER_SECONDS + LOOK_SECONDS)
    assert b.agent.calls == [Ask.PROTECT, Ask.PROTECT, Ask.RELEASE]
    b.stop.set()
    await b.running
    assert len(b.agent.calls) == 3


async def test_stop_gives_the_protection_back_at_once() -> None:
    b = bench()
    b.oldest[0] = 0.0
    await b.clock.advance(60)
    b.stop.set()
    await b.running
    assert b.agent.calls == [Ask.PROTECT, Ask.RELEASE]


async def test_failures_are_told_once_a_streak() -> None:
    no, yes = (False, False), (True, True)
    with capture_logs() as lines:
        b = bench(no, no, yes, no, no)
        b.oldest[0] = 0.0
        await b.clock.advance(100)
        assert [line["event"] for line in lines] == ["protection.failed"]
        assert lines[0]["error"] == "the ECS agent: no"
        await b.clock.advance(RENEW_AFTER_SECONDS)
        assert [line["event"] for line in lines] == ["protection.failed"] * 2
    assert b.agent.calls == [Ask.PROTECT] * 6
    b.stop.set()
    await b.running


async def test_bug_in_the_asking_does_not_end_the_guard() -> None:
    b = bench()

    async def broken(ask: Ask) -> None:
        raise KeyError(ask)

    b.agent.ask = broken  # type: ignore[method-assign]
    b.oldest[0] = 0.0
    await b.clock.advance(60)
    assert not b.running.done()
    b.stop.set()
    await b.running

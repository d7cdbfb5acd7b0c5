"""How far the log is behind: right while events come, at rest, and while no logger runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from headrace_api.log_lag import log_lag, sentence
from headrace_logger.progress import InHand, Progress
from headrace_shared.errors import TransientError
from headrace_shared.testing.builders import EPOCH
from headrace_shared.testing.clock import FakeClock


class World:
    """A logger with its inbox and log, and a clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = FakeClock()
        self.waiting = 0
        self.in_hand = InHand()
        self.progress_item: dict[str, Any] | None = None
        self.writes = 0
        self.away = False
        self.progress_of = Progress(
            self.in_hand, self, self, sleep=self.seconds.sleep, clock=self.now
        )

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.seconds.now)

    async def is_empty(self) -> bool:
        if self.away:
            raise TransientError("the inbox")
        return not self.waiting

    async def progress(self, written_through: str, *, is_idle: bool) -> None:
        self.writes += 1
        self.progress_item = {"written_through": written_through, "is_idle": is_idle}

    @property
    def lag(self) -> float | None:
        return log_lag(self.progress_item, self.now()).lag_seconds


async def test_lag_is_unknown_before_a_logger_has_run() -> None:
    assert World().lag is None
    assert sentence(log_lag(None, EPOCH)) is None


async def test_idle_log_has_no_lag_and_is_noted_seldom() -> None:
    world = World()
    async with world.progress_of.noted():
        for _ in range(100):
            await world.seconds.advance(1)
            assert world.lag == 0
    assert world.writes <= 11


async def test_lag_is_the_age_of_the_oldest_event_in_hand() -> None:
    world = World()
    async with world.progress_of.noted():
        await world.seconds.advance(20)
        with world.in_hand.holding(world.now() - timedelta(seconds=7)):
            with world.in_hand.holding(world.now()):
                await world.seconds.advance(3)
            assert world.lag == 10
        world.waiting = 5  # in the queue still, younger than what is done
        await world.seconds.advance(1)
        assert world.lag == 4
        world.waiting = 0
        await world.seconds.advance(10)
        assert world.lag == 0


async def test_lag_grows_while_no_logger_runs() -> None:
    world = World()
    async with world.progress_of.noted():
        await world.seconds.advance(20)
    await world.seconds.advance(300)
    assert 300 <= (world.lag or 0) <= 311


async def test_lag_grows_while_the_inbox_cannot_be_reached() -> None:
    world = World()
    async with world.progress_of.noted():
        await world.seconds.advance(20)
        world.away = True
        await world.seconds.advance(300)
        assert 300 <= (world.lag or 0) <= 311
        world.away = False
        await world.seconds.advance(2)
        assert world.lag == 0


async def test_event_in_hand_counts_until_the_last_of_its_moment_is_done() -> None:
    in_hand = InHand()
    with in_hand.holding(EPOCH):
        with pytest.raises(TransientError), in_hand.holding(EPOCH):
            raise TransientError("throttled")
        assert in_hand.oldest == EPOCH
    assert in_hand.newest_done == EPOCH
    assert InHand().oldest is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "Log lag: 0.4 s"), (12, "The log is 12 s behind.")]
)
def test_people_read_what_a_lag_means(seconds: float, words: str) -> None:
    item = {"written_through": "2026-11-20T12:00:00.000Z", "is_idle": False}
    told = sentence(log_lag(item, EPOCH + timedelta(seconds=seconds)))
    assert told is not None
    assert told.startswith(words)

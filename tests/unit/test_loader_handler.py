"""What the loader publishes while it loads, and when a try fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from headrace_loader.handler import ANNOUNCED_AFTER_SECONDS, LoaderHandler
from headrace_loader.outcomes import Loaded, Outcome, Period
from headrace_shared.availability import Availability
from headrace_shared.drop import Drop
from headrace_shared.errors import PermanentError, TransientError
from headrace_shared.facts import DropRouted, Fact, LoadFailed, LoadStarted, LoadSucceeded, Stage
from headrace_shared.gate import Gate
from headrace_shared.inbox import Failure
from headrace_shared.reasons import Reason
from headrace_shared.testing.builders import EPOCH, a_drop, a_message, an_envelope
from headrace_shared.testing.clock import FakeClock
from headrace_shared.testing.fakes import FakeBus

Publish = Callable[[Sequence[DropRouted]], Awaitable[None]]

MESSAGE = a_message(an_envelope(DropRouted(drop=a_drop())), attempt=3)
LOADED = Loaded(7, None, period=Period(EPOCH, EPOCH + timedelta(milliseconds=31)))


class FakeLoading:
    """Ends so after so many seconds."""

    def __init__(self, clock: FakeClock, seconds: float, outcome: Outcome | Exception) -> None:
        self._clock = clock
        self._seconds = seconds
        self._outcome = outcome

    def admit(self, drop: Drop, attempt: int) -> None:
        pass

    async def load(self, drop: Drop, attempt: int, request: int) -> Outcome:
        await self._clock.sleep(self._seconds)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    async def publish_reopened(self, opener: Drop, publish: Publish) -> int:
        await publish([DropRouted(drop=a_drop("dev/append/users/reopened.csv"))])
        return 1


async def answers() -> None:
    """The warehouse answers."""


def always_there() -> Availability:
    return Availability(Gate(), answers)


async def handled(
    seconds: float, outcome: Outcome | Exception = LOADED, *, bus: FakeBus
) -> list[Fact]:
    clock = FakeClock()
    loading = cast("Any", FakeLoading(clock, seconds, outcome))
    handler = LoaderHandler(loading, bus, always_there(), sleep=clock.sleep)
    work = asyncio.create_task(handler.handle(MESSAGE))
    await clock.advance(seconds)
    return list(await work)


@pytest.mark.parametrize("outcome", [replace(LOADED, reopens=True), replace(LOADED, repeated=True)])
async def test_reopened_drops_are_published_before_the_message_is_done(
    outcome: Outcome,
) -> None:
    bus = FakeBus()
    await handled(0, outcome, bus=bus)
    [published] = bus.published
    assert isinstance(published, DropRouted)
    assert published.drop.file == "reopened.csv"


async def test_message_is_not_done_while_the_bus_refuses_reopened_drops() -> None:
    with pytest.raises(TransientError):
        await handled(0, replace(LOADED, reopens=True), bus=FakeBus(failing=True))


async def test_first_load_publishes_no_other_drop() -> None:
    bus = FakeBus()
    await handled(0, bus=bus)
    assert bus.published == []


def test_permanent_failure_has_its_own_reason() -> None:
    handler = LoaderHandler(cast("Any", None), FakeBus(), always_there())
    error = PermanentError(Reason(code="revert_refused", message="A view uses the column."))
    [failed] = handler.failed(MESSAGE, Failure(error, 1, final=True, retry_in_seconds=0))
    assert isinstance(failed, LoadFailed)
    assert (failed.final, failed.reason.code) == (True, "revert_refused")


@pytest.mark.parametrize("seconds", [0, ANNOUNCED_AFTER_SECONDS / 2])
async def test_short_load_is_one_event(seconds: float) -> None:
    bus = FakeBus()
    [ended] = await handled(seconds, bus=bus)
    assert isinstance(ended, LoadSucceeded)
    assert (ended.attempt, ended.duration_ms, ended.occurred_at) == (
        3,
        31,
        EPOCH + timedelta(milliseconds=31),
    )
    assert bus.published == []


async def test_long_load_is_announced_with_the_moment_of_its_beginning() -> None:
    bus = FakeBus()
    [ended] = await handled(ANNOUNCED_AFTER_SECONDS * 2, bus=bus)
    [started] = bus.published
    assert isinstance(started, LoadStarted)
    assert (started.attempt, started.drop) == (3, ended.drop)


async def test_load_goes_on_where_its_beginning_cannot_be_published() -> None:
    [ended] = await handled(ANNOUNCED_AFTER_SECONDS * 2, bus=FakeBus(failing=True))
    assert isinstance(ended, LoadSucceeded)


async def test_failed_load_is_not_announced_later() -> None:
    bus = FakeBus()
    with pytest.raises(TransientError):
        await handled(ANNOUNCED_AFTER_SECONDS / 2, TransientError("gone"), bus=bus)
    await asyncio.sleep(0)
    assert bus.published == []


@pytest.mark.parametrize(
    ("code", "stage"), [("file_damaged", Stage.TRANSFORM), ("contract_missing", Stage.LOAD)]
)
def test_failed_try_has_the_stage_of_its_reason(code: str, stage: Stage) -> None:
    handler = LoaderHandler(cast("Any", None), FakeBus(), always_there())
    error = TransientError("no", reason=Reason(code=code, message="No."))
    [failed] = handler.failed(MESSAGE, Failure(error, 3, final=False, retry_in_seconds=2.5))
    assert isinstance(failed, LoadFailed)
    assert (failed.stage, failed.reason.code) == (stage, code)

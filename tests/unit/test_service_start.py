"""A service whose warehouse does not answer at the start waits for it, alive, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from headrace_shared.errors import AwayError, HeadraceError
from headrace_shared.facts import Fact
from headrace_shared.inbox import Failure, Message
from headrace_shared.liveness import Liveness
from headrace_shared.service import patiently


class Idle:
    """A handler that is never asked."""

    async def handle(self, message: Message) -> Sequence[Fact]:
        raise AssertionError(message)

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:
        raise AssertionError(message, failure)


@dataclass
class Warehouse:
    """Answers after some attempts; remembers what was opened and closed."""

    failures: int
    error: Exception = field(default_factory=lambda: AwayError("preparing: connection refused"))
    opened: int = 0
    closed: int = 0

    async def build(self, stack: AsyncExitStack) -> Idle:
        self.opened += 1
        stack.callback(self._close)
        if self.opened <= self.failures:
            raise self.error
        return Idle()

    def _close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace_shared.backoff.PROBE_CAP_SECONDS", 0.01)


async def test_start_waits_until_the_warehouse_answers(tmp_path: Path) -> None:
    warehouse, alive = Warehouse(failures=3), tmp_path / "alive"
    with capture_logs() as logs:
        async with AsyncExitStack() as stack:
            handler = await patiently(warehouse.build, stack, asyncio.Event(), Liveness(alive))
            assert isinstance(handler, Idle)
            assert (warehouse.opened, warehouse.closed) == (4, 3)
    assert warehouse.closed == 4
    assert alive.exists()
    assert [(log["event"], log["error"], log["attempt"]) for log in logs] == [
        ("service.start_postponed", "preparing: connection refused", attempt)
        for attempt in (1, 2, 3)
    ]


async def test_stop_ends_the_waiting_and_closes_what_was_opened() -> None:
    warehouse, stop = Warehouse(failures=1), asyncio.Event()

    async def hang(stack: AsyncExitStack) -> Idle:
        stack.callback(warehouse._close)
        stop.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with AsyncExitStack() as stack:
        assert await patiently(hang, stack, stop, Liveness(None)) is None
        assert warehouse.closed == 1


async def test_stop_between_two_attempts_ends_the_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headrace_shared.backoff.PROBE_CAP_SECONDS", 600)
    monkeypatch.setattr("headrace_shared.backoff.BASE_SECONDS", 600)
    warehouse, stop = Warehouse(failures=5), asyncio.Event()
    async with AsyncExitStack() as stack:
        waiting = asyncio.create_task(patiently(warehouse.build, stack, stop, Liveness(None)))
        while not warehouse.opened:
            await asyncio.wait({waiting}, timeout=0.01)
        stop.set()
        async with asyncio.timeout(10):
            assert await waiting is None
    assert warehouse.opened == 1


async def test_warehouse_that_does_not_suit_ends_the_start() -> None:
    warehouse = Warehouse(failures=1, error=HeadraceError("it is Postgres 12"))
    async with AsyncExitStack() as stack:
        with pytest.raises(HeadraceError, match="Postgres 12"):
            await patiently(warehouse.build, stack, asyncio.Event(), Liveness(None))
    assert (warehouse.opened, warehouse.closed) == (1, 1)

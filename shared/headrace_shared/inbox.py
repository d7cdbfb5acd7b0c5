"""The inbox loop: the machine that every service is.

Take messages from the inbox, call the one handler, publish the facts that it returns, delete the
message. The order matters: a crash before the publish or before the delete means a redelivery,
which the handlers bear (the ledger, conditional updates); the other way round would lose a fact.

Every delivery leaves settled: deleted, hidden for a back-off, or handed back. What a try means for
its message is decided in `trying`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from headrace_shared import backoff
from headrace_shared.deliveries import Failure, Handler, Limits, Message, Publisher, Queue
from headrace_shared.errors import TransientError
from headrace_shared.gate import Gate
from headrace_shared.liveness import wait_turning
from headrace_shared.logging import get_logger
from headrace_shared.trying import Settlement, Trying

__all__ = [
    "POLL_FAILURES_LIMIT",
    "Failure",
    "Handler",
    "InboxLoop",
    "Limits",
    "Message",
    "Publisher",
    "Queue",
]

_log = get_logger(__name__)

POLL_FAILURES_LIMIT = 12
"""Polls that may fail in a row (some minutes of back-off) before the process gives its place up."""


class InboxLoop:
    """Runs one handler on one inbox until it is told to stop.

    Args:
        gate: the handler's, if it has one.
        on_turn: called at each turn of the loop, also while it waits for a slot.
        sleep, chance: for tests, which bring their own time and luck.
    """

    def __init__(  # noqa: PLR0913 - its parts, and what tests bring
        self,
        queue: Queue,
        publisher: Publisher,
        handler: Handler,
        limits: Limits,
        *,
        gate: Gate | None = None,
        on_turn: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._queue = queue
        self._limits = limits
        self._gate = gate or Gate()
        self._trying = Trying(
            publisher, handler, limits.max_receives, self._gate, sleep=sleep, chance=chance
        )
        self._on_turn = on_turn
        self._sleep = sleep
        self._chance = chance
        self._work: dict[asyncio.Task[None], float] = {}

    @property
    def oldest_taken_at(self) -> float | None:
        """When the message that is longest in hand was taken (`time.monotonic`); None: no work."""
        return min(self._work.values(), default=None)

    async def run(self, stop: asyncio.Event) -> None:
        """Polls until `stop` is set, then drains.

        Raises:
            TransientError: the inbox could not be reached for too long.
        """
        stopped = asyncio.create_task(stop.wait())
        grace = asyncio.create_task(self._cut_late_work(stopped))
        failures = 0
        try:
            while not stop.is_set():
                self._on_turn()
                await self._free_slot(stopped)
                if stop.is_set():
                    break
                failures = 0 if await self._turn(stop) else failures + 1
                if failures >= POLL_FAILURES_LIMIT:
                    raise TransientError(
                        f"the inbox could not be reached {failures} times in a row"
                    )
                if failures:
                    await self._pause(backoff.full_jitter(failures, self._chance()), stopped)
        finally:
            stopped.cancel()
            await grace
            if self._work:
                await asyncio.wait(self._work)

    async def _free_slot(self, stopped: asyncio.Task[bool]) -> None:
        """A slot first, then fetch: no message sits invisible in a buffer."""
        while self._free_slots() <= 0 and not stopped.done():
            changed = asyncio.create_task(self._gate.changed())
            await self._any_of(*self._work, changed, stopped)
            changed.cancel()

    def _free_slots(self) -> int:
        if not self._gate.is_open:
            return 0
        return self._limits.concurrency + self._gate.parked - len(self._work)

    async def _any_of(self, *waited: asyncio.Task[Any]) -> None:
        await wait_turning({*waited}, self._on_turn, self._sleep)

    async def _turn(self, stop: asyncio.Event) -> bool:
        # The poll is never cancelled: what it brings after `stop` is handed back at once, instead
        # of lying invisible until its visibility ends.
        limit = self._free_slots()
        try:
            messages = await self._queue.receive(limit)
        except TransientError as error:
            _log.warning("poll.failed", error=str(error))
            return False
        for message in messages:
            work = self._settle_surely(message, 0) if stop.is_set() else self._take(message)
            task = asyncio.create_task(work)
            self._work[task] = time.monotonic()
            task.add_done_callback(self._work.pop)
        return True

    async def _pause(self, seconds: float, stopped: asyncio.Task[bool]) -> None:
        nap = asyncio.ensure_future(self._sleep(seconds))
        await self._any_of(nap, stopped)
        nap.cancel()

    async def _cut_late_work(self, stopped: asyncio.Task[bool]) -> None:
        """Work under way may finish within the grace period; the rest is handed back at once.

        The period begins with the signal, not when the poll that is in flight ends: that may take
        20 s of what ECS gives a task to end.
        """
        await asyncio.wait({stopped})
        if not self._work:
            return
        _, late = await asyncio.wait(self._work, timeout=self._limits.grace_seconds)
        for task in late:
            task.cancel()

    async def _take(self, message: Message) -> None:
        started = time.monotonic()
        settlement = Settlement("handed_back", 0)
        heartbeat = asyncio.create_task(self._beat(message))
        try:
            settlement = await self._trying.settlement(message)
        except asyncio.CancelledError:
            pass  # the grace period is over: the message goes back below
        finally:
            # Awaited before settling: a late beat would overwrite the back-off.
            heartbeat.cancel()
            with suppress(asyncio.CancelledError):
                await heartbeat
        await self._settle_surely(message, settlement.hide_seconds)
        _log.info(
            "message.settled",
            outcome=settlement.outcome,
            message_id=message.message_id,
            attempt=message.receive_count,
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    async def _beat(self, message: Message) -> None:
        """Extends the visibility at each third of it, so that one beat may fail unharmed."""
        while True:
            await self._sleep(self._limits.visibility_seconds / 3)
            try:
                await self._queue.hide(message, self._limits.visibility_seconds)
            except Exception as error:  # noqa: BLE001 - a receipt that ran out, say; the work goes on
                # Idempotency covers the duplicate delivery that may follow.
                _log.warning("heartbeat.failed", message_id=message.message_id, error=str(error))

    async def _settle_surely(self, message: Message, hide_seconds: float | None) -> None:
        """Cancelling does not reach the settling: the message would lie invisible for nothing."""
        settling = asyncio.ensure_future(self._settle(message, hide_seconds))
        try:
            await asyncio.shield(settling)
        except asyncio.CancelledError:
            await settling

    async def _settle(self, message: Message, hide_seconds: float | None) -> None:
        try:
            if hide_seconds is None:
                await self._queue.delete(message)
            else:
                await self._queue.hide(message, hide_seconds)
        except Exception as error:  # noqa: BLE001 - whatever the queue says, the loop outlives it
            # The message comes again when its visibility ends, and is borne as a duplicate.
            _log.warning("message.settling_failed", message_id=message.message_id, error=str(error))

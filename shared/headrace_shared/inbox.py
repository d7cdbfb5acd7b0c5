"""The inbox loop: the machine that every service is.

Take messages from the inbox, call the one handler, publish the facts that it returns, delete the
message. The order matters: a crash before the publish or before the delete means a redelivery,
which the handlers bear (the ledger, conditional updates); the other way round would lose a fact.

Every delivery leaves settled: deleted, hidden for a back-off, or handed back.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from headrace_shared import backoff
from headrace_shared.errors import PermanentError, TransientError
from headrace_shared.facts import Fact
from headrace_shared.gate import Gate
from headrace_shared.liveness import wait_turning
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

RECEIVE_LIMIT = 10
"""SQS hands over at most ten messages a call:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html"""

POLL_FAILURES_LIMIT = 12
"""Polls that may fail in a row (some minutes of back-off) before the process gives its place up."""


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery. `receive_count` counts deliveries of the message from 1, this one included."""

    message_id: str
    body: str
    receipt: str
    receive_count: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A try that did not end well. `final`: the next delivery goes to the dead-letter queue."""

    error: Exception
    attempt: int
    final: bool
    retry_in_seconds: float


class Queue(Protocol):
    """The inbox. Its methods raise TransientError when the queue cannot be reached."""

    async def receive(self, limit: int) -> Sequence[Message]:
        """Waits for messages, one long poll at most."""

    async def delete(self, message: Message) -> None:
        """The message is done."""

    async def hide(self, message: Message, seconds: float) -> None:
        """No consumer sees the message for so long; 0 hands it back at once."""


class Publisher(Protocol):
    """The bus."""

    async def publish(self, facts: Sequence[Fact]) -> None:
        """Returns when the bus has accepted every fact; raises TransientError otherwise."""


class Handler(Protocol):
    """What a service does with one message."""

    async def handle(self, message: Message) -> Sequence[Fact]:
        """Does the work and returns what happened. Must bear repeated and reordered messages."""

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:
        """The facts that tell of a failed try, if the drop's story has to know of it.

        With a `PermanentError` there is no further try: the facts end the story.
        """


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of the loop, in seconds where not said otherwise.

    `max_receives` is the queue's own redrive limit; None where the queue has no dead-letter queue.
    """

    concurrency: int
    visibility_seconds: float
    grace_seconds: float
    max_receives: int | None


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
        self._publisher = publisher
        self._handler = handler
        self._limits = limits
        self._gate = gate or Gate()
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
        while len(self._work) >= self._limits.concurrency and not stopped.done():
            await self._any_of(*self._work, stopped)
        if not self._gate.is_open:
            opened = asyncio.create_task(self._gate.wait())
            await self._any_of(opened, stopped)
            opened.cancel()

    async def _any_of(self, *waited: asyncio.Task[Any]) -> None:
        await wait_turning({*waited}, self._on_turn, self._sleep)

    async def _turn(self, stop: asyncio.Event) -> bool:
        # The poll is never cancelled: what it brings after `stop` is handed back at once, instead
        # of lying invisible until its visibility ends.
        limit = min(RECEIVE_LIMIT, self._limits.concurrency - len(self._work))
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
        outcome, hide_seconds = "handed_back", 0.0
        heartbeat = asyncio.create_task(self._beat(message))
        try:
            outcome, hide_seconds = await self._attempt(message)
        except asyncio.CancelledError:
            pass  # the grace period is over: the message goes back below
        finally:
            # Awaited before settling: a late beat would overwrite the back-off.
            heartbeat.cancel()
            with suppress(asyncio.CancelledError):
                await heartbeat
        await self._settle_surely(message, None if outcome == "done" else hide_seconds)
        _log.info(
            "message.settled",
            outcome=outcome,
            message_id=message.message_id,
            attempt=message.receive_count,
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    async def _attempt(self, message: Message) -> tuple[str, float]:
        try:
            await self._publisher.publish(await self._handler.handle(message))
        except PermanentError as error:
            return await self._give_up(message, error)
        except Exception as error:  # noqa: BLE001 - a bug; the loop outlives it, and tells
            return await self._retry_later(message, error)
        return "done", 0

    async def _give_up(self, message: Message, error: PermanentError) -> tuple[str, float]:
        failure = Failure(error, message.receive_count, final=True, retry_in_seconds=0)
        try:
            await self._publisher.publish(self._handler.failed(message, failure))
        except Exception as unpublished:  # noqa: BLE001 - untold, so not done: the message comes again
            return await self._retry_later(message, unpublished)
        return "done", 0

    async def _retry_later(self, message: Message, error: Exception) -> tuple[str, float]:
        attempt, most = message.receive_count, self._limits.max_receives
        if not isinstance(error, TransientError):
            _log.error("message.failed", message_id=message.message_id, exc_info=error)
        final = most is not None and attempt >= most
        # A final failure is handed back at once: its next delivery is the dead-letter queue's.
        delay = 0.0 if final else self._delay(error, attempt)
        try:
            failure = Failure(error, attempt, final, delay)
            await self._publisher.publish(self._handler.failed(message, failure))
        except Exception as unpublished:  # noqa: BLE001 - the message must be settled
            _log.error("facts.unpublished", final=final, exc_info=unpublished)
        return ("failed" if final else "retried"), delay

    def _delay(self, error: Exception, attempt: int) -> float:
        if isinstance(error, TransientError) and error.retry_after is not None:
            return error.retry_after
        return backoff.full_jitter(attempt, self._chance())

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

"""What becomes of a message: the handler tries it, and its answer or its error decides.

A delivery that failed through no fault of the message is released. SQS counts it all the same, so a
message at its last delivery is not released but stays in hand and is tried again: an outage alone
makes no dead letter, however long it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from headrace_shared import backoff
from headrace_shared.deliveries import Failure, Handler, Message, Publisher
from headrace_shared.errors import AwayError, NotNowError, PermanentError, TransientError
from headrace_shared.gate import Gate
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

LAST_TRIES: Final = 5
"""Tries of a message at its last delivery while the warehouse goes away each time: beyond them the
message itself may be what drives it away."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a delivery is settled. `hide_seconds`: how long the message stays away; None: deleted."""

    outcome: str
    hide_seconds: float | None


class Trying:
    """Tries messages.

    Args:
        max_receives: the queue's redrive limit; None where it has no dead-letter queue.
        gate: a message that stays in hand waits until it is open.
    """

    def __init__(
        self,
        publisher: Publisher,
        handler: Handler,
        max_receives: int | None,
        gate: Gate,
        *,
        sleep: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
    ) -> None:
        self._publisher = publisher
        self._handler = handler
        self._max_receives = max_receives
        self._gate = gate
        self._sleep = sleep
        self._chance = chance

    async def settlement(self, message: Message) -> Settlement:
        """Tries the message, and says how its delivery is to be settled."""
        outages = 0
        while True:
            try:
                await self._publisher.publish(await self._handler.handle(message))
            except PermanentError as error:
                return await self._give_up(message, error)
            except NotNowError as error:
                outages += isinstance(error, AwayError)
                if not self._is_last(message):
                    return await self._release(message, error)
                if outages >= LAST_TRIES:
                    return await self._retry_later(message, error)
                await self._keep(message, error)
            except Exception as error:  # noqa: BLE001 - a bug; the loop outlives it and logs it
                return await self._retry_later(message, error)
            else:
                return Settlement("done", None)

    def _is_last(self, message: Message) -> bool:
        return self._max_receives is not None and message.receive_count >= self._max_receives

    async def _give_up(self, message: Message, error: PermanentError) -> Settlement:
        failure = Failure(error, message.receive_count, final=True, retry_in_seconds=0)
        try:
            await self._publisher.publish(self._handler.failed(message, failure))
        except Exception as unpublished:  # noqa: BLE001 - not published, so not done: it comes again
            return await self._retry_later(message, unpublished)
        return Settlement("done", None)

    async def _retry_later(self, message: Message, error: Exception) -> Settlement:
        if not isinstance(error, TransientError):
            _log.error("message.failed", message_id=message.message_id, exc_info=error)
        final = self._is_last(message)
        # A final failure is handed back at once: its next delivery is the dead-letter queue's.
        delay = 0.0 if final else self._delay(error, message.receive_count)
        await self._publish_failure(message, error, final=final, delay=delay)
        return Settlement("failed" if final else "retried", delay)

    async def _release(self, message: Message, error: NotNowError) -> Settlement:
        delay = _release_seconds(error)
        if isinstance(error, AwayError) and await self._is_back_soon():
            delay = backoff.full_jitter(message.receive_count, self._chance())
        await self._publish_failure(message, error, final=False, delay=delay)
        return Settlement("released", delay)

    async def _is_back_soon(self) -> bool:
        waited = [
            asyncio.ensure_future(self._gate.wait()),
            asyncio.ensure_future(self._sleep(backoff.BLIP_SECONDS)),
        ]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waited:
                one.cancel()
        return self._gate.is_open

    async def _keep(self, message: Message, error: NotNowError) -> None:
        delay = min(_release_seconds(error), backoff.RELEASE_SECONDS)
        await self._publish_failure(message, error, final=False, delay=delay)
        await self._sleep(delay)
        await self._gate.wait()

    async def _publish_failure(
        self, message: Message, error: Exception, *, final: bool, delay: float
    ) -> None:
        try:
            failure = Failure(error, message.receive_count, final, delay)
            await self._publisher.publish(self._handler.failed(message, failure))
        except Exception as unpublished:  # noqa: BLE001 - the message must be settled
            _log.error("facts.unpublished", final=final, exc_info=unpublished)

    def _delay(self, error: Exception, attempt: int) -> float:
        if isinstance(error, TransientError) and error.retry_after is not None:
            return error.retry_after
        return backoff.full_jitter(attempt, self._chance())


def _release_seconds(error: NotNowError) -> float:
    return backoff.RELEASE_SECONDS if error.retry_after is None else error.retry_after

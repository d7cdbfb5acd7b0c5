"""Whether the warehouse answers: while it does not, the inbox receives nothing.

So an outage costs a message at most one delivery for each process that had received it, however
long the outage is.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from itertools import count

from headrace_shared import backoff
from headrace_shared.errors import AwayError, NotNowError, TransientError
from headrace_shared.gate import AWAY, Gate
from headrace_shared.logging import get_logger

_log = get_logger(__name__)


class Availability:
    """Closes the gate when a try finds the warehouse away, and opens it when a probe succeeds.

    Args:
        probe: asks the warehouse; raises TransientError while it does not answer.
        sleep, chance: for tests, which have their own time and luck.
    """

    def __init__(
        self,
        gate: Gate,
        probe: Callable[[], Awaitable[None]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._gate = gate
        self._probe = probe
        self._sleep = sleep
        self._chance = chance
        self._probing: asyncio.Task[None] | None = None

    def require(self) -> None:
        """Refuses work that cannot succeed.

        Raises:
            NotNowError: the warehouse is away.
        """
        if self._probing is not None:
            raise NotNowError("the warehouse is away")

    def lost(self, error: AwayError) -> None:
        """A try found the warehouse away."""
        if self._probing is None:
            self._gate.close(AWAY)
            _log.warning("warehouse.lost", error=str(error))
            self._probing = asyncio.create_task(self._probe_until_back())

    async def close(self) -> None:
        """Ends the probing."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait({self._probing})

    async def _probe_until_back(self) -> None:
        began = time.monotonic()
        for attempt in count(1):
            try:
                await self._probe()
            except TransientError as error:
                await self._pause(attempt, error)
            except Exception as error:  # noqa: BLE001 - a gate that stays closed would be worse
                _log.error("probe.failed", exc_info=error)
                await self._pause(attempt, error)
            else:
                break
        _log.info("warehouse.regained", seconds=round(time.monotonic() - began, 1))
        self._probing = None
        self._gate.open(AWAY)

    async def _pause(self, attempt: int, error: Exception) -> None:
        pause = backoff.probe(attempt, self._chance())
        _log.warning(
            "warehouse.awaited", error=str(error), attempt=attempt, retry_in_seconds=round(pause, 1)
        )
        await self._sleep(pause)

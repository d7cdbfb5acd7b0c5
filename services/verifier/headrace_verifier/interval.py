"""Verifies again and again, at an interval: what a lost event left behind is found by itself."""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import suppress
from datetime import timedelta
from typing import Final

from headrace_shared.backoff import full_jitter
from headrace_shared.errors import TransientError
from headrace_shared.liveness import Liveness
from headrace_shared.logging import get_logger
from headrace_verifier.differences import Difference
from headrace_verifier.settings import VerifierSettings
from headrace_verifier.verification import Tally, Walk
from headrace_verifier.wiring import opened_ledger, verify

_log = get_logger(__name__)

_TURN_SECONDS: Final = 2.0


class Interval:
    """Runs until it is told to stop; a verification that is broken off goes on at the next start.

    Args:
        interval: from the beginning of one verification to that of the next.
    """

    def __init__(self, settings: VerifierSettings, interval: timedelta) -> None:
        self._settings = settings
        self._interval = interval
        self._liveness = Liveness(settings.liveness_file)

    async def run(self, stop: asyncio.Event) -> None:
        """Returns when `stop` is set; what is under way is broken off."""
        _log.info("service.started", pid=os.getpid())
        turns = asyncio.create_task(self._turn(stop))
        work = asyncio.create_task(self._work())
        await asyncio.wait({turns, work}, return_when=asyncio.FIRST_COMPLETED)
        for task in (turns, work):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await work
        _log.info("service.stopped")

    async def _turn(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._liveness.touch()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _TURN_SECONDS)

    async def _work(self) -> None:
        failures = 0
        while True:
            try:
                await asyncio.sleep(await self._seconds_to_wait())
                await self._once()
                failures = 0
            except TransientError as error:
                failures += 1
                pause = full_jitter(failures, random.random())  # noqa: S311 - spreads retries
                _tell_failed(error, pause, is_first=failures == 1)
                await asyncio.sleep(pause)

    async def _seconds_to_wait(self) -> float:
        scope = self._settings.plan.scope
        async with opened_ledger(self._settings) as ledger:
            if await ledger.unfinished(scope):
                return 0
            passed = await ledger.seconds_since_last(scope)
        return 0 if passed is None else max(0.0, self._interval.total_seconds() - passed)

    async def _once(self) -> None:
        tally = await verify(self._settings, self._settings.plan, Logged(), resume=True)
        _log.info(
            "verification.finished",
            differences=tally.found.total(),
            left=tally.left,
            **tally.as_json(),
        )


def _tell_failed(error: TransientError, pause: float, *, is_first: bool) -> None:
    told = {"error": str(error), "retry_in_seconds": round(pause, 1)}
    if is_first:
        # At the first start of all, the loader has yet to make the ledger.
        _log.info("verification.failed", **told)
    else:
        _log.warning("verification.failed", **told)


class Logged:
    """Tells the service's log."""

    def differs(self, difference: Difference, *, repaired: bool) -> None:
        """A difference."""
        _log.warning(
            "difference.found",
            kind=str(difference.kind),
            where=difference.where,
            drop_id=str(difference.drop_id) if difference.drop_id else None,
            message=difference.message,
            repaired=repaired,
        )

    def proceeds(self, walk: Walk, tally: Tally) -> None:
        """Says nothing: the verification keeps how far it has come."""

"""What is in hand and waits, by table, and what the inbox is to make of it.

A drop of a slow table waits for its own table alone: it is parked, and others are received in its
stead. Where many of one table are parked, further ones are released. A drop of any other table that
waits for a slot closes the gate: another loader may have a slot for it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from headrace_loader.pace import Pace, Verdict
from headrace_shared import backoff
from headrace_shared.errors import NotNowError
from headrace_shared.gate import Gate
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

MOST_OF_A_TABLE: Final = 50
MOST_PARKED: Final = 500
"""Each is a heartbeat every ten seconds."""

_TIMER_MARGIN_SECONDS: Final = 0.001
"""A timer that rings early by the clock's own step would decide as before."""


class Room:
    """Counts who waits, and keeps the gate.

    Args:
        gate: the inbox's.
        pace: how the tables' loads go.
    """

    def __init__(self, gate: Gate, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._gate = gate
        self._in_hand: Counter[str] = Counter()
        self._for_slots: Counter[str] = Counter()
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Calls it whenever a table that was held back may be loaded again."""
        self._listeners.append(listener)

    def admit(self, table: str, attempt: int) -> None:
        """Refuses a message of a slow table where too many wait already.

        Args:
            attempt: how often the message was received, from 1.

        Raises:
            NotNowError: with the seconds for which to release it.
        """
        full = self._in_hand[table] >= MOST_OF_A_TABLE or self._gate.parked >= MOST_PARKED
        if full and self.pace.is_slow(table, _now()):
            raise NotNowError(
                f"drops of the table {table} are slow, and many of them wait already",
                retry_after=backoff.spread(attempt, random.random()),  # noqa: S311 - spreads them
            )

    @contextmanager
    def waiting(self, table: str, *, for_slot: bool = False) -> Iterator[None]:
        """A message of the table waits within the block; `for_slot`: for one of its own."""
        self._count(table, 1, for_slot=for_slot)
        try:
            yield
        finally:
            self._count(table, -1, for_slot=for_slot)

    def began(self, table: str) -> float:
        """A load of the table begins; answers with the moment."""
        now = _now()
        self.pace.began(table, now)
        self._later(self.pace.slow_seconds, self.review)
        return now

    def ended(self, table: str, began: float, verdict: Verdict) -> None:
        """A load of the table ends."""
        now = _now()
        self.pace.ended(table, began, now, verdict)
        pause = self.pace.held_until(table) - now
        if verdict is Verdict.OUT_OF_TIME:
            failures = self.pace.failures(table)
            _log.warning("table.held_back", table=table, failures=failures, seconds=round(pause))
            self._later(pause, self._tell)
        self.review()

    def review(self) -> None:
        """Parks and closes or opens the gate by what is known now."""
        now = _now()
        slow = {table for table in self._in_hand if self.pace.is_slow(table, now)}
        self._gate.park(sum(self._in_hand[table] for table in slow))
        if any(table not in slow for table in self._for_slots):
            self._gate.close()
        else:
            self._gate.open()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
        self.review()

    def _count(self, table: str, by: int, *, for_slot: bool) -> None:
        for counter in (self._in_hand, self._for_slots) if for_slot else (self._in_hand,):
            counter[table] += by
            if not counter[table]:
                del counter[table]
        self.review()

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds + _TIMER_MARGIN_SECONDS, work)


def _now() -> float:
    return asyncio.get_running_loop().time()

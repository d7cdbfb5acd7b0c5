"""How the loads of each table went lately: which tables are slow, and which are held back.

Pure: every method takes the moment, in seconds of any steady clock.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from headrace_shared import backoff

SLOW_SECONDS: Final = 5.0
"""A drop of a table that loads faster waits for its slot, and meanwhile nothing is received."""


class Verdict(Enum):
    """What the end of a load says about its table."""

    IN_TIME = auto()
    OUT_OF_TIME = auto()
    NONE = auto()
    """The warehouse was away: nothing is known."""


@dataclass(slots=True)
class _Record:
    under_way: Counter[float] = field(default_factory=Counter)
    was_slow: bool = False
    failures: int = 0
    held_until: float = 0.0


class Pace:
    """Remembers only tables with loads under way, or whose last load was slow or failed by time."""

    def __init__(self, slow_seconds: float = SLOW_SECONDS) -> None:
        self.slow_seconds = slow_seconds
        self._records: dict[str, _Record] = {}

    def began(self, table: str, now: float) -> None:
        """A load of the table begins."""
        self._records.setdefault(table, _Record()).under_way[now] += 1

    def ended(self, table: str, began: float, now: float, verdict: Verdict) -> None:
        """A load of the table ends."""
        record = self._records[table]
        record.under_way[began] -= 1
        record.under_way += Counter()  # without those that are at zero
        match verdict:
            case Verdict.OUT_OF_TIME:
                record.was_slow = True
                record.failures += 1
                record.held_until = now + backoff.hold(record.failures)
            case Verdict.IN_TIME:
                record.was_slow = now - began >= self.slow_seconds
                record.failures, record.held_until = 0, 0.0
        if not (record.under_way or record.was_slow):
            del self._records[table]

    def is_slow(self, table: str, now: float) -> bool:
        """Whether others are not to wait for this table's drops: its last load was slow, one that
        is under way is, or it is held back."""
        record = self._records.get(table)
        if record is None:
            return False
        late = any(now - began >= self.slow_seconds for began in record.under_way)
        return record.was_slow or late

    def failures(self, table: str) -> int:
        """How many loads of the table in a row were ended by a time limit."""
        record = self._records.get(table)
        return record.failures if record else 0

    def held_until(self, table: str) -> float:
        """No load of the table begins before this moment."""
        record = self._records.get(table)
        return record.held_until if record else 0.0

    def allowance(self, table: str, share: int, now: float) -> int:
        """How many loads of the table may be under way: none while it is held back, one until the
        first that ends in time, else its share."""
        if now < self.held_until(table):
            return 0
        return 1 if self.failures(table) else share

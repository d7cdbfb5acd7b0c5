"""What the drops of some hours came to, hour by hour. Decided without I/O."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from headrace_shared.drop import landing_time
from headrace_shared.log_schema import KEY, State

HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class Tally:
    """Of one hour, by the landing of its drops."""

    drops_by_state: Counter[State] = field(default_factory=Counter)
    rows_loaded: int = 0
    rows_quarantined: int = 0
    size_bytes: int = 0
    loaded_after_ms: list[int] = field(default_factory=list)

    def add(self, item: Mapping[str, Any]) -> None:
        """One drop more, as the log has it."""
        state = State(item["state"])
        self.drops_by_state[state] += 1
        self.rows_loaded += item.get("rows_loaded") or 0
        self.rows_quarantined += item.get("rows_quarantined") or 0
        self.size_bytes += item.get("size_bytes") or 0
        # The time of a later run is counted from its request, and says nothing of the landing.
        if state is State.LOADED and not item.get("run") and "duration_ms" in item:
            self.loaded_after_ms.append(item["duration_ms"])


def since(now: datetime, hours: int) -> datetime:
    """The beginning of the first of so many hours, of which the last is the one under way."""
    return now.replace(minute=0, second=0, microsecond=0) - (hours - 1) * HOUR


def by_hour(
    items: Iterable[Mapping[str, Any]], begin: datetime, hours: int
) -> dict[datetime, Tally]:
    """A tally for each hour, those without a drop included, the earliest first."""
    tallies = {begin + number * HOUR: Tally() for number in range(hours)}
    for item in items:
        landed = landing_time(UUID(item[KEY])).replace(minute=0, second=0)
        if landed in tallies:
            tallies[landed].add(item)
    return tallies


def percentile(values: Sequence[int], share: float) -> int | None:
    """The smallest value that so great a share of all does not exceed (nearest rank); None of
    none."""
    if not values:
        return None
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]

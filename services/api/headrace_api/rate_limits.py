"""How often a caller may ask: token buckets in the memory of one process.

Each process counts for itself, so that no request waits for another machine; behind a load
balancer the limit is about as many times as there are processes.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MOST_BUCKETS: Final = 10_000
"""Those that were used longest ago are forgotten, which makes them full."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left after a request.

    Args:
        allowed: whether the request is within the limit.
        wait_seconds: until one more is, at least one; of an allowed request, until all are.
    """

    allowed: bool
    burst: int
    left: int
    wait_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """As the IETF's draft has them
        (https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/)."""
        return {
            "RateLimit-Policy": f'"caller";q={self.burst}',
            "RateLimit": f'"caller";r={self.left};t={self.wait_seconds}',
        }


class RateLimits:
    """A bucket for each name.

    Args:
        per_second: what flows in; 0: nothing is limited.
        burst: what a full one holds.
        clock: monotonic seconds.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> Allowance | None:
        """One request of that name; None where nothing is limited."""
        if not self._per_second:
            return None
        now = self._clock()
        level, then = self._buckets.pop(name, (float(self._burst), now))
        level = min(self._burst, level + (now - then) * self._per_second)
        allowed = level >= 1
        level -= allowed
        self._buckets[name] = (level, now)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        missing = self._burst - level if allowed else 1 - level
        wait = max(math.ceil(missing / self._per_second), 0 if allowed else 1)
        return Allowance(allowed, self._burst, int(level), wait)

"""What this process counts for Prometheus. No label names a table, a drop or a caller: who may read
the figures learns nothing of them, and their number stays small."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from fastapi import Request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST

EXAMPLE: Final = """\
# HELP headrace_api_requests_total Requests that were answered.
# TYPE headrace_api_requests_total counter
headrace_api_requests_total{operation="list_drops",status_class="2xx"} 12.0
# HELP headrace_api_requests_in_flight Requests that are being answered.
# TYPE headrace_api_requests_in_flight gauge
headrace_api_requests_in_flight 1.0
# HELP headrace_log_lag_seconds How long the oldest event that is not logged has waited.
# TYPE headrace_log_lag_seconds gauge
headrace_log_lag_seconds 0.0
"""
"""Some of the figures, for the API's document."""

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_NO_OPERATION: Final = "none"
"""Of requests for paths that do not exist: whoever tries names makes no new series."""

_POOL: Final = {
    "pool_size": "Connections that the pool holds.",
    "pool_available": "Connections that wait for work.",
    "requests_waiting": "Requests that wait for a connection.",
}


class Figures:
    """Counts of one process."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "headrace_api_requests",
            "Requests that were answered.",
            ["operation", "status_class"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "headrace_api_request_seconds",
            "Time until the answer began.",
            ["operation"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "headrace_api_requests_in_flight",
            "Requests that are being answered.",
            registry=self._registry,
        )
        self._log_lag = Gauge(
            "headrace_log_lag_seconds",
            "How long the oldest event that is not logged has waited.",
            registry=self._registry,
        )
        build = Gauge(
            "headrace_api_build_info", "1.", ["version", "python"], registry=self._registry
        )
        build.labels(version, platform.python_version()).set(1)

    def watch_pool(self, figures: Callable[[], Mapping[str, int]]) -> None:
        """Tells of the warehouse's pool what it says of itself at that moment."""
        for name, meaning in _POOL.items():
            gauge = Gauge(f"headrace_api_warehouse_{name}", meaning, registry=self._registry)
            gauge.set_function(lambda name=name: figures().get(name, 0))  # type: ignore[misc]

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """A request, while it is being answered."""
        with self._in_flight.track_inprogress():
            yield

    def answered(self, request: Request, status: int, seconds: float) -> None:
        """A request has its answer."""
        operation = getattr(request.scope.get("route"), "name", _NO_OPERATION)
        self._requests.labels(operation, f"{status // 100}xx").inc()
        self._seconds.labels(operation).observe(seconds)

    def text(self, log_lag_seconds: float | None) -> bytes:
        """All of it, in Prometheus's own form.

        Args:
            log_lag_seconds: as `GET /v1/log` answers; NaN where it is not known.
        """
        self._log_lag.set(math.nan if log_lag_seconds is None else log_lag_seconds)
        return generate_latest(self._registry)

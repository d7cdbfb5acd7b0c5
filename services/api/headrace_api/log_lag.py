"""How far the log is behind, from what the logger notes. Decided without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from headrace_api.reports import LogLag
from headrace_shared.log_schema import IS_IDLE, PROGRESS_SECONDS, WRITTEN_THROUGH

NOTICED_SECONDS: Final = 5.0
"""From here on the page says what a lag means."""

_SILENT_SECONDS: Final = 3 * PROGRESS_SECONDS
"""An idle logger that has noted nothing for so long does not run: events may wait for it."""


def log_lag(progress: Mapping[str, Any] | None, now: datetime) -> LogLag:
    """The lag at this moment.

    Args:
        progress: the logger's own item; None where there is none.
    """
    if progress is None:
        return LogLag(lag_seconds=None, written_through=None)
    written_through = str(progress[WRITTEN_THROUGH])
    behind = max(0.0, (now - datetime.fromisoformat(written_through)).total_seconds())
    if progress[IS_IDLE] and behind <= _SILENT_SECONDS:
        behind = 0.0
    return LogLag(lag_seconds=round(behind, 3), written_through=written_through)


def sentence(lag: LogLag) -> str | None:
    """The lag in words; None where it is not known."""
    if lag.lag_seconds is None:
        return None
    if lag.lag_seconds < NOTICED_SECONDS:
        return f"Log lag: {lag.lag_seconds:.1f} s"
    return (
        f"The log is {lag.lag_seconds:,.0f} s behind. What happened to drops since "
        f"{lag.written_through} is not shown yet."
    )

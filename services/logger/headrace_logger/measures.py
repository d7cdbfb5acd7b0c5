"""What a line of the log tells, in numbers, of a drop that was loaded; metrics read it."""

from __future__ import annotations

from headrace_logger.states import Update
from headrace_shared.facts import Fact, LoadSucceeded
from headrace_shared.log_schema import State
from headrace_shared.metrics import (
    BYTES_LOADED,
    LANDING_TO_LOADED_MS,
    ROWS_LOADED,
    ROWS_QUARANTINED,
)


def measures(fact: Fact, update: Update, before: str | None) -> dict[str, int]:
    """The fields of a fact that moved its drop's item; empty where it does not tell of a load.

    Args:
        before: the state that the item moved from. From `failed` it was a redrive, which began
            when somebody wanted it: the time since the landing says nothing about the platform.
    """
    told: dict[str, int] = {}
    if isinstance(fact, LoadSucceeded):
        told |= {
            ROWS_LOADED: fact.rows_loaded,
            ROWS_QUARANTINED: fact.rows_quarantined,
            BYTES_LOADED: fact.bytes,
        }
    if update.attributes["state"] == State.LOADED and fact.run == 0 and before != State.FAILED:
        told[LANDING_TO_LOADED_MS] = update.attributes["duration_ms"]
    return told

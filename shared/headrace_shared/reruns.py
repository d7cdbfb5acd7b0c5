"""Another run of a drop: which run it is, and what is published to ask for it.

Who asks, by the command line or by the API, reads the drop in the log first. Decided without I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from headrace_shared.drop import Action, Drop
from headrace_shared.facts import ReplayRequested
from headrace_shared.tracing import traceparent


def requested_at(moment: datetime) -> int:
    """The run that a request of this moment begins: milliseconds since the epoch."""
    return int(moment.timestamp() * 1000)


def later_run(present: int, asked: int) -> int:
    """The run that is asked for: later than the drop's present one, even where another machine's
    clock, which is ahead of ours, gave it that."""
    return max(asked, present + 1)


def replay_request(drop: Drop, run: int) -> ReplayRequested:
    """The fact that asks for a drop to be loaded again."""
    return ReplayRequested(drop=drop, run=run, traceparent=traceparent(drop.drop_id))


def logged_drop(item: Mapping[str, Any]) -> Drop:
    """The drop of an item of the log.

    Raises:
        pydantic.ValidationError: it is the item of no drop.
    """
    action = item.get("action")
    return Drop.model_validate({**item, "action": action if action in set(Action) else None})

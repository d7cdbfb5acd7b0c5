"""Can this drop be loaded again, and what is asked for then? Decided without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from headrace_api.operating import AskedReplay, ReplayRequest
from headrace_api.problems import invalid_parameter
from headrace_shared.log_schema import KEY, State
from headrace_shared.reruns import later_run

ON_ITS_WAY: Final = timedelta(minutes=1)
"""A drop that moved within this time is on its road; one that stands still for longer may be lost,
and asking for it is how it is found again."""

_UNDER_WAY: Final = frozenset({State.REQUESTED, State.ROUTED, State.LOADING})


def why_not(item: Mapping[str, Any], now: datetime) -> str | None:
    """Why a drop cannot be replayed, as a sentence; None where it can."""
    if not (item.get("db_name") and item.get("table_name") and item.get("action")):
        return (
            "Its key names no table and no action, and every run would end as this one: upload the "
            "file under a good key."
        )
    moved = datetime.fromisoformat(item["updated_at"])
    if State(item["state"]) in _UNDER_WAY and now - moved < ON_ITS_WAY:
        return (
            f"It is {item['state']} since {item['updated_at']}, on its way; wait for its end, or "
            f"ask again after {ON_ITS_WAY.seconds} seconds without one."
        )
    return None


def asked_replay(item: Mapping[str, Any], asked: int) -> AskedReplay:
    """What is asked for; `asked` is the moment of the request as a run."""
    return AskedReplay(
        drop_id=UUID(item[KEY]),
        key=item["key"],
        state_before=State(item["state"]),
        run=later_run(item.get("run", 0), asked),
    )


def filters_of(wanted: ReplayRequest) -> dict[str, str | None]:
    """What a cursor is bound to."""
    return {
        "of": "replays",
        "db_name": wanted.db_name.lower(),
        "table_name": wanted.table_name.lower(),
        "states": ",".join(sorted(wanted.states)),
        "landed_from": wanted.landed_from.isoformat() if wanted.landed_from else None,
        "landed_to": wanted.landed_to.isoformat() if wanted.landed_to else None,
    }


def landed_within(wanted: ReplayRequest) -> tuple[datetime | None, datetime | None]:
    """The landing times asked for, in UTC and whole seconds.

    Raises:
        ApiError: one is out of range.
    """
    try:
        return _second(wanted.landed_from), _second(wanted.landed_to)
    except OverflowError:
        raise invalid_parameter("landed_from", "A landing time is out of range.") from None


def _second(moment: datetime | None) -> datetime | None:
    return moment and moment.astimezone(UTC).replace(microsecond=0)

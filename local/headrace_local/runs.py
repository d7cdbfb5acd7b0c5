"""Another run of a drop: of which drops it can be asked for, and what is then published.

Decided without I/O.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from headrace_local.api_client import DropItem
from headrace_local.errors import PlatformError, UserError
from headrace_shared.drop import Action, Drop
from headrace_shared.facts import ReplayRequested, RevertRequested, Stage
from headrace_shared.identifiers import RULE, safe_identifier, safe_schema
from headrace_shared.log_schema import END_STATES, State
from headrace_shared.reruns import later_run, replay_request
from headrace_shared.tracing import traceparent

DEFAULT_STATES: Final = (State.REJECTED, State.FAILED)

_UNITS: Final[Mapping[str, str]] = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EXAMPLES: Final = "2026-11-20, 2026-11-20T22:30:00Z or, counted back from now, 90m, 6h, 7d"


def next_run(item: DropItem, asked: int) -> int:
    """The run that is asked for, which is later than the drop's present one."""
    return later_run(item.run, asked)


def replay_of(item: DropItem, run: int) -> ReplayRequested:
    """The fact that asks for a drop to be loaded again."""
    return replay_request(drop_of(item), run)


def revert_of(item: DropItem, run: int) -> RevertRequested:
    """The event that asks for a drop to be reverted."""
    drop = drop_of(item)
    return RevertRequested(drop=drop, run=run, traceparent=traceparent(drop.drop_id))


def requested(item: DropItem, run: int) -> DropItem:
    """The drop as it stands once the request is published, before the log has heard of it."""
    return item.model_copy(
        update={"state": State.REQUESTED, "run": run, "reason": None, "rows_removed": None}
    )


def drop_of(item: DropItem) -> Drop:
    """The drop as facts carry it.

    Raises:
        PlatformError: the API leaves out what identifies the object.
    """
    if not item.etag or item.bytes is None:
        raise PlatformError(
            "The API does not tell the etag and the size of the drop.",
            f"drop {item.drop_id}",
            "Update the API: it is older than this command.",
        )
    return Drop(
        drop_id=item.drop_id,
        bucket=item.bucket,
        key=item.key,
        version_id=item.version_id,
        etag=item.etag,
        size_bytes=item.bytes,
        sequencer=item.sequencer,
        landed_at=item.landed_at or item.landed_timestamp,
        db_name=item.db_name,
        action=Action(item.action) if item.action in set(Action) else None,
        table_name=item.table_name,
        file=item.file,
    )


def check_revertable(item: DropItem) -> None:
    """Whether the drop can be reverted.

    Raises:
        UserError: says why it cannot.
    """
    where = f"s3://{item.bucket}/{item.key} (drop {item.drop_id})"
    if item.state is State.REJECTED and item.stage == Stage.ROUTE:
        raise UserError(
            "The router rejected this object: it never became a drop of a table.",
            where,
            f"Nothing has to be done; headrace show {item.drop_id} gives the reason.",
        )
    if not item.ended:
        raise UserError(
            f"The drop is {item.state}: it has no final state yet.",
            where,
            f"Wait for it, and revert it then: headrace show {item.drop_id}",
        )


def table_named(text: str) -> tuple[str, str]:
    """db_name and table_name of `dev.users`.

    Raises:
        UserError: it does not name a table.
    """
    db_name, _, table_name = text.partition(".")
    database, table = safe_schema(db_name), safe_identifier(table_name)
    if database is None or table is None:
        raise UserError(
            "That is not the name of a table.",
            text,
            f"Give it with its database: --table dev.users. Names are {RULE}.",
        )
    return database, table


def end_states(names: list[str]) -> tuple[State, ...]:
    """The states of `--state`, each once.

    Raises:
        UserError: one is not an end state; a drop under way needs no replay.
    """
    known = sorted(END_STATES)
    for name in names:
        if name not in known:
            raise UserError(
                "Drops in that state cannot be chosen.",
                f"--state {name}",
                f"Choose from {', '.join(known)}; a single drop in any state by its id.",
            )
    return tuple(dict.fromkeys(State(name) for name in names))


def moment_named(option: str, text: str, now: datetime) -> datetime:
    """The moment that an option names: a date, a date and time (UTC without a zone), or how long
    ago.

    Raises:
        UserError: it is neither, or out of range.
    """
    ago = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        given = datetime.fromisoformat(text.strip())
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(
            "That is not a moment.", f"{option} {text}", f"Give one like {_EXAMPLES}."
        ) from None

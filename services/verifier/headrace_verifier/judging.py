"""Does what lake, ledger, log and tables say of a drop agree? Decided without I/O.

What is younger than the grace is left alone: it may be on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from headrace_shared.drop import Drop
from headrace_shared.facts import Fact, ReplayRequested, RevertRequested, Stage
from headrace_shared.final_events import final_event
from headrace_shared.key_rules import DEFAULT_KEY_RULES, KeyRules
from headrace_shared.log_schema import State
from headrace_shared.stages import stage_of
from headrace_shared.tracing import traceparent
from headrace_verifier.differences import Difference, Kind
from headrace_verifier.records import Entry, Item, Version

_LONG_LOAD: Final = 12
"""So many times the grace may a load that has begun take: nothing is heard of it meanwhile."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What is too young, or too old, to be judged.

    Args:
        log_expiry: after so long, items leave the log by themselves; None for never.
        rules: which objects are drops.
    """

    now: datetime
    grace: timedelta
    log_expiry: timedelta | None = None
    rules: KeyRules = DEFAULT_KEY_RULES

    def is_on_its_way(self, since: datetime, times: int = 1) -> bool:
        """Whether something that began then may be under way still."""
        return since > self.now - self.grace * times

    def may_have_expired(self, since: datetime) -> bool:
        """Whether the log may have forgotten a drop of which it heard last at that moment."""
        return self.log_expiry is not None and since <= self.now - self.log_expiry


@dataclass(frozen=True, slots=True)
class Count:
    """The rows of one drop: by the ledger, and in the table. `key` is None where the ledger does
    not know the drop."""

    drop_id: UUID
    key: str | None
    by_ledger: int
    in_table: int


def judge_version(version: Version, patience: Patience) -> Difference | None:
    """A version in the lake of which neither ledger nor log knows anything."""
    if patience.rules.left_alone(version.key, version.size_bytes):
        return None
    if patience.is_on_its_way(version.modified):
        return None
    if patience.may_have_expired(version.modified):
        return None
    drop = version.drop()
    return Difference(
        Kind.NOT_ROUTED,
        f"s3://{version.bucket}/{version.key}",
        f"It landed at {_told(version.modified)}, and no event of it has come.",
        "headrace verify --repair has it routed.",
        drop.drop_id,
        ReplayRequested(drop=drop, as_landed=True, traceparent=traceparent(drop.drop_id)),
    )


def judge_entry(entry: Entry, item: Item | None, patience: Patience) -> Difference | None:
    """A drop of the ledger, beside its item in the log."""
    if entry.reopened_at is not None:
        return _judge_reopened(entry, entry.reopened_at, item, patience)
    if patience.is_on_its_way(entry.applied_at):
        return None
    if item is None:
        expired = patience.may_have_expired(entry.applied_at)
        return None if expired else _to_tell(Kind.LOG_MISSING, entry, None)
    if item.order == entry.order:
        return _judge_same_end(entry, item)
    if item.order < entry.order:
        return _to_tell(Kind.LOG_BEHIND, entry, item)
    return _judge_later(entry, item, patience)


def judge_item(
    item: Item, entry: Entry | None, patience: Patience, *, other_is_known: bool
) -> Difference | None:
    """An item of the log, beside its drop in the ledger.

    Args:
        other_is_known: the drop that superseded it is in the ledger.
    """
    if item.has_ended:
        return _judge_ended(item, entry, patience, other_is_known=other_is_known)
    told_by_entry = entry is not None and entry.reopened_at is None and entry.run >= item.run
    if told_by_entry or _is_alive(item, patience):
        return None
    return Difference(
        Kind.UNFINISHED,
        _where(item.drop),
        f"It is {item.state} since {_told(item.updated_at)}, and nothing has been heard of it.",
        f"headrace verify --repair, or headrace replay {item.drop.drop_id}",
        item.drop.drop_id,
        _asked_again(item),
    )


def judge_count(table: str, count: Count) -> Difference:
    """The rows of a drop where ledger and table count differently."""
    if count.key is None:
        return Difference(
            Kind.ROWS_UNKNOWN,
            table,
            f"{count.in_table:,} of its rows come from a drop that the ledger does not know.",
            f"headrace rebuild {table} makes the table again from the lake.",
            count.drop_id,
        )
    return Difference(
        Kind.ROWS_DIFFER,
        f"{table}, {count.key}",
        f"The table should hold {count.by_ledger:,} rows of this drop, and holds "
        f"{count.in_table:,}: somebody has changed it beside Headrace.",
        f"headrace rebuild {table} makes the table again from the lake.",
        count.drop_id,
    )


def judge_missing_table(table: str) -> Difference:
    """A table that has a contract and is not there."""
    return Difference(
        Kind.TABLE_MISSING,
        table,
        "It has a contract, and is not in the warehouse: somebody has dropped it.",
        "Drop its contract once more, which makes the table, then headrace rebuild it.",
    )


def _judge_reopened(
    entry: Entry, reopened_at: datetime, item: Item | None, patience: Patience
) -> Difference | None:
    if patience.is_on_its_way(reopened_at):
        return None
    if item is not None and item.run >= entry.run:
        return None  # the log knows of the new run: judged by its item
    return Difference(
        Kind.REOPENED,
        _where(entry.drop),
        f"It waits since {_told(reopened_at)} to be loaded anew: a contract or a drop that came "
        "later bears on it.",
        "headrace verify --repair has it routed.",
        entry.drop.drop_id,
        _routed_anew(entry),
    )


def _judge_same_end(entry: Entry, item: Item) -> Difference | None:
    different = _different_fields(entry, item)
    if not different:
        return None
    return Difference(
        Kind.LOG_DISAGREES,
        _where(entry.drop),
        f"The ledger says {entry.state} with {_rows(entry.rows_loaded, entry.rows_quarantined)}, "
        f"the log {item.state} with {_rows(item.rows_loaded, item.rows_quarantined)}; they differ "
        f"in {', '.join(different)}.",
        f"headrace replay {item.drop.drop_id}",
        item.drop.drop_id,
    )


def _different_fields(entry: Entry, item: Item) -> list[str]:
    """The fields that the event of the final state has written otherwise into the log, by name:
    their values may be those of rows."""
    if item.state is not entry.state:
        return ["state"]
    match entry.state:
        case State.LOADED:
            pairs: dict[str, tuple[object, object]] = {
                "rows_loaded": (entry.rows_loaded, item.rows_loaded or 0),
                "rows_quarantined": (entry.rows_quarantined, item.rows_quarantined or 0),
                "bad_rows": (len(entry.findings.bad_rows), item.bad_rows),
                "tests": (entry.findings.tests, item.tests),
                "warnings": (entry.findings.warnings, item.warnings),
            }
        case State.REJECTED if entry.reason is not None:
            pairs = {
                "reason": (entry.reason, item.reason),
                "stage": (stage_of(entry.reason), item.stage),
            }
        case _:
            pairs = {}
    return [name for name, (by_ledger, by_log) in pairs.items() if by_ledger != by_log]


def _rows(loaded: int | None, quarantined: int | None) -> str:
    return f"{loaded or 0:,} rows and {quarantined or 0:,} quarantined"


def _judge_later(entry: Entry, item: Item, patience: Patience) -> Difference | None:
    """A log that knows of a later run than the ledger."""
    if not item.has_ended or item.state in (entry.state, State.FAILED):
        return None
    if _was_turned_away_by_router(item) or patience.is_on_its_way(item.updated_at):
        return None
    return _ahead(item, f"the ledger {entry.state}", patience)


def _judge_ended(
    item: Item, entry: Entry | None, patience: Patience, *, other_is_known: bool
) -> Difference | None:
    if entry is not None or item.state is State.FAILED or _was_turned_away_by_router(item):
        return None
    if (item.state is State.SUPERSEDED and other_is_known) or patience.is_on_its_way(
        item.updated_at
    ):
        return None
    return _ahead(item, "the ledger does not know the drop", patience)


def _ahead(item: Item, ledger_says: str, patience: Patience) -> Difference:
    run = max(int(patience.now.timestamp() * 1000), item.run + 1)
    drop, trace = item.drop, traceparent(item.drop.drop_id)
    repair: Fact = ReplayRequested(drop=drop, run=run, as_landed=item.as_landed, traceparent=trace)
    if item.state is State.REVERTED:
        repair = RevertRequested(drop=drop, run=run, traceparent=trace)
    return Difference(
        Kind.LOG_AHEAD,
        _where(drop),
        f"The log says {item.state}, {ledger_says}: was the warehouse set back?",
        "headrace verify --repair has it done again.",
        drop.drop_id,
        repair,
    )


def _to_tell(kind: Kind, entry: Entry, item: Item | None) -> Difference:
    says = f"says {item.state}" if item else "does not know the drop"
    return Difference(
        kind,
        _where(entry.drop),
        f"The ledger says {entry.state} since {_told(entry.applied_at)}, the log {says}.",
        "headrace verify --repair tells the log.",
        entry.drop.drop_id,
        final_event(entry, item.attempts if item else 1),
    )


def _asked_again(item: Item) -> Fact:
    """What once led to the run that did not end; routed twice, a drop is still loaded once."""
    trace = traceparent(item.drop.drop_id)
    if item.asked_at_stage == Stage.LOAD:
        return RevertRequested(drop=item.drop, run=item.run, traceparent=trace)
    return ReplayRequested(
        drop=item.drop, run=item.run, as_landed=item.as_landed, traceparent=trace
    )


def _routed_anew(entry: Entry) -> Fact:
    drop = entry.drop
    trace = traceparent(drop.drop_id)
    return ReplayRequested(drop=drop, run=entry.run, as_landed=True, traceparent=trace)


def _is_alive(item: Item, patience: Patience) -> bool:
    if item.state is State.LOADING:
        return patience.is_on_its_way(item.updated_at, _LONG_LOAD)
    return patience.is_on_its_way(item.retry_at or item.updated_at)


def _was_turned_away_by_router(item: Item) -> bool:
    return item.state is State.REJECTED and item.stage == Stage.ROUTE


def _where(drop: Drop) -> str:
    return f"s3://{drop.bucket}/{drop.key}"


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

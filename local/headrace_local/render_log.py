"""What `status` and `show` print: the latest drops, the tables, and the story of one drop."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from headrace_local.api_client import DropItem, DropStory, Step, TableItem
from headrace_local.figures import ago, clock, count, instant, milliseconds, plain, rate, size
from headrace_local.render import LANDED, aligned, item_reason, state_text
from headrace_shared.log_schema import State

_SHORT_ID: Final = 13
_WHOLE_ID: Final = 36


def drops_table(items: Sequence[DropItem], now: datetime) -> RenderableType:
    """The latest drops, a line each."""
    table = aligned(
        ("drop", "left"),
        ("state", "left"),
        ("key", "left"),
        ("rows", "right"),
        ("size", "right"),
        ("took", "right"),
        ("landed", "right"),
    )
    length = short_id_length([str(item.drop_id) for item in items])
    for item in items:
        table.add_row(
            Text(str(item.drop_id)[:length], style="bold"),
            state_text(item.state),
            plain(item.key),
            "" if item.rows_loaded is None else count(item.rows_loaded),
            "" if item.bytes is None else size(item.bytes),
            milliseconds(item.duration_ms),
            ago(item.landed, now),
        )
    return table


def short_id_length(ids: Sequence[str]) -> int:
    """How many characters tell all of the ids apart: a beginning that `show` takes."""
    for length in range(_SHORT_ID, _WHOLE_ID):
        if len({text[:length] for text in ids}) == len(set(ids)):
            return length
    return _WHOLE_ID


def tables_table(tables: Sequence[TableItem], now: datetime) -> RenderableType:
    """The tables, a line each."""
    table = aligned(("table", "left"), ("rows", "right"), ("last load", "right"), ("drops", "left"))
    for item in tables:
        table.add_row(
            Text(f"{item.db_name}.{item.table_name}", style="bold"),
            _rows(item),
            ago(item.last_loaded_at, now) if item.last_loaded_at else "never",
            ", ".join(
                f"{number:,} {state}" for state, number in item.drops_by_state.items() if number
            ),
        )
    return table


def _rows(item: TableItem) -> str:
    if item.row_count is None:
        return ""
    return count(item.row_count) if item.row_count_is_exact else f"about {count(item.row_count)}"


def story(item: DropStory, now: datetime) -> RenderableType:
    """Everything about one drop: what it is, how it went, step by step, and why."""
    title = Text.assemble((plain(item.key), "bold"), "  ", state_text(item.state))
    facts = Table.grid(padding=(0, 2))
    for label, text in _facts(item, now):
        facts.add_row(Text(label, style="dim"), Text(plain(text)))
    parts: list[RenderableType] = [title, Padding(facts, (0, 0, 1, 2))]
    parts.append(Padding(timeline_table(item), (0, 0, 0, 2)))
    why = item_reason(item)
    return Group(*parts, Text(), why) if why is not None else Group(*parts)


def _facts(item: DropStory, now: datetime) -> list[tuple[str, str]]:
    facts = [("drop", str(item.drop_id))]
    if item.table_name:
        facts.append(("table", f"{item.db_name}.{item.table_name}, {item.action}"))
    version = f", version {item.version_id}" if item.version_id else ""
    facts.append(("object", f"s3://{item.bucket}/{item.key}{version}"))
    if item.bytes is not None:
        facts.append(("size", f"{size(item.bytes)} ({item.bytes:,} bytes)"))
    facts.append(("landed", f"{clock(item.landed)} ({ago(item.landed, now)})"))
    if item.state is State.LOADED and item.action != "schema":
        quarantined = item.rows_quarantined or 0
        facts.append(
            ("rows", f"{count(item.rows_loaded or 0)} loaded, {count(quarantined)} quarantined")
        )
    if item.action == "schema" and item.state is State.LOADED:
        facts.append(("changes", "; ".join(item.changes or ()) or "none: the table was as it says"))
    if item.duration_ms is not None:
        facts.append(("took", _took(item)))
    if item.attempts is not None and item.attempts > 1:
        facts.append(("tries", count(item.attempts)))
    if item.retry_at is not None and not item.ended:
        facts.append(("next try", clock(item.retry_at)))
    return facts


def _took(item: DropItem) -> str:
    whole = f"{milliseconds(item.duration_ms)} from landing to {item.state}"
    if item.load_ms is None:
        return whole
    speed = rate(item.bytes, item.load_ms) if item.state is State.LOADED else ""
    return f"{whole}; {milliseconds(item.load_ms)} of it the load{f' ({speed})' if speed else ''}"


def timeline_table(item: DropStory) -> Table:
    """Each step with its time and the milliseconds since the landing."""
    table = aligned(
        ("time", "left"),
        ("since landing", "right"),
        ("state", "left"),
        ("stage", "left"),
        ("status", "left"),
        ("try", "right"),
        ("", "left"),
    )
    table.add_row(instant(item.landed), "0 ms", state_text(LANDED), "", "", "", "")
    for step in item.timeline:
        table.add_row(*_step_cells(step, item.landed))
    return table


def _step_cells(step: Step, landed: datetime) -> tuple[RenderableType, ...]:
    since = round((step.at - landed).total_seconds() * 1000)
    return (
        instant(step.at),
        milliseconds(max(since, 0)),
        state_text(step.state),
        step.stage or "",
        step.status or "",
        str(step.attempt) if step.attempt else "",
        plain(step.message or ""),
    )

"""What `status` and `show` print: the latest drops, the tables, and the story of one drop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from headrace_local.api_client import DropItem, DropStory, Step, TableItem
from headrace_local.figures import (
    ago,
    clock,
    count,
    instant,
    milliseconds,
    plain,
    rate,
    shortened,
    size,
)
from headrace_local.render import LANDED, aligned, item_reason, state_text
from headrace_shared.log_schema import State

_SHORT_ID: Final = 13
_WHOLE_ID: Final = 36
_LEAST_KEY_WIDTH: Final = 20
_GAP: Final = 2


def drops_table(
    items: Sequence[DropItem], now: datetime, line_width: int | None = None
) -> RenderableType:
    """The latest drops, a line each: in a narrow terminal with fewer columns and shorter keys."""
    length = short_id_length([str(item.drop_id) for item in items])
    columns = [
        _Column("drop", [str(item.drop_id)[:length] for item in items]),
        _Column("state", [item.state.value for item in items]),
        _Column("key", [plain(item.key) for item in items]),
        _Column("rows", [_optional(count, item.rows_loaded) for item in items], side="right"),
        _Column("size", [_optional(size, item.bytes) for item in items], side="right"),
        _Column("took", [milliseconds(item.took_ms) for item in items], side="right"),
        _Column("landed", [ago(item.landed, now) for item in items], side="right"),
    ]
    if line_width is not None:
        columns = _fitted(columns, line_width)
    table = aligned(*((column.name, column.side) for column in columns))
    for row in zip(*(column.cells for column in columns), strict=True):
        state = state_text(row[1])
        table.add_row(Text(row[0], style="bold"), state, *row[2:])
    return table


@dataclass(frozen=True)
class _Column:
    name: str
    cells: Sequence[str]
    side: str = "left"

    @property
    def width(self) -> int:
        return max(cell_len(text) for text in (self.name, *self.cells)) + _GAP


def _fitted(columns: Sequence[_Column], line_width: int) -> list[_Column]:
    """Columns that say least go first, until the keys have room; then the keys are shortened."""
    left = list(columns)
    for name in ("size", "took"):
        if _room_for_keys(left, line_width) < _LEAST_KEY_WIDTH:
            left = [column for column in left if column.name != name]
    room = max(_room_for_keys(left, line_width), _LEAST_KEY_WIDTH // 2)
    return [
        replace(column, cells=[shortened(text, room) for text in column.cells])
        if column.name == "key"
        else column
        for column in left
    ]


def _room_for_keys(columns: Sequence[_Column], line_width: int) -> int:
    return line_width - _GAP - sum(column.width for column in columns if column.name != "key")


def _optional(told: Callable[[int], str], number: int | None) -> str:
    return "" if number is None else told(number)


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
    if item.row_count is None or item.row_count_is_exact:
        return _optional(count, item.row_count)
    # An estimate of none is only a table that the database has not looked at yet.
    return f"about {count(item.row_count)}" if item.row_count > 0 else "many"


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
        exact = f" ({item.bytes:,} bytes)" if item.bytes >= 1000 else ""
        facts.append(("size", size(item.bytes) + exact))
    facts.append(("landed", f"{clock(item.landed)} ({ago(item.landed, now)})"))
    facts += _rows_facts(item)
    facts += _links(item)
    if item.action == "schema" and item.state is State.LOADED:
        facts.append(("changes", "; ".join(item.changes or ()) or "none: the table was as it says"))
    if item.duration_ms is not None:
        facts.append(("took", _took(item)))
    if item.attempts is not None and item.attempts > 1:
        facts.append(("tries", count(item.attempts)))
    if item.retry_at is not None and not item.ended:
        facts.append(("next try", clock(item.retry_at)))
    return facts


def _rows_facts(item: DropStory) -> list[tuple[str, str]]:
    if item.state is State.LOADED and item.action != "schema":
        quarantined = count(item.rows_quarantined or 0)
        return [
            ("rows", f"{count(item.rows_loaded or 0)} loaded, {quarantined} quarantined"),
            *_tests_facts(item),
        ]
    if item.state is State.REVERTED and item.rows_removed is not None:
        return [("rows", f"{count(item.rows_removed)} taken out of the table")]
    return []


def _tests_facts(item: DropStory) -> list[tuple[str, str]]:
    tests = item.tests or ()
    failed = "; ".join(f"{one.label}: {one.message}" for one in tests if not one.passed)
    if not tests:
        return []
    passed = sum(one.passed for one in tests)
    return [("tests", f"{passed} of {len(tests)} passed{f'; {failed}' if failed else ''}")]


def _links(item: DropStory) -> list[tuple[str, str]]:
    links = (("corrects", item.corrects), ("corrected by", item.corrected_by))
    return [(label, str(drop_id)) for label, drop_id in links if drop_id is not None]


def _took(item: DropItem) -> str:
    since = "the request" if item.run else "landing"
    whole = f"{milliseconds(item.took_ms)} from {since} to {item.state}"
    if item.load_ms is None:
        return whole
    speed = "" if item.action == "schema" else rate(item.bytes, item.load_ms)
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
    told = item.reason.message if item.reason else None  # in full below the timeline
    for step in item.timeline:
        message = step.message if step.message != told else None
        table.add_row(*_step_cells(step, item.landed, message or ""))
    return table


def _step_cells(step: Step, landed: datetime, message: str) -> tuple[RenderableType, ...]:
    since = round((step.at - landed).total_seconds() * 1000)
    return (
        instant(step.at),
        milliseconds(max(since, 0)),
        state_text(step.state),
        step.stage or "",
        step.status or "",
        str(step.attempt) if step.attempt else "",
        plain(message),
    )

"""How drops, reasons and tables look: aligned, calm, and readable without colour.

A state is always a word, and a colour besides. Text that comes from files and keys is shown with
its control characters spelled out, so that no file can write on the user's terminal.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from headrace_local.api_client import DropItem
from headrace_local.figures import count, milliseconds, plain, rate, rows_word, shortened, size
from headrace_local.follow import Journey
from headrace_local.upload_attempt import UnknownLandingError
from headrace_shared.log_schema import State
from headrace_shared.reasons import BadRow, Reason

UPLOADING: Final = "uploading"
LANDED: Final = "landed"
NOT_UPLOADED: Final = "not sent"
UNKNOWN: Final = "unknown"

STYLES: Final = {
    UPLOADING: "dim",
    LANDED: "dim",
    NOT_UPLOADED: "bold red",
    UNKNOWN: "bold red",
    State.REQUESTED: "cyan",
    State.ROUTED: "cyan",
    State.LOADING: "cyan",
    State.WAITING: "yellow",
    State.LOADED: "green",
    State.REJECTED: "red",
    State.SUPERSEDED: "magenta",
    State.REVERTED: "magenta",
    State.FAILED: "bold red",
}

_STATE_WIDTH: Final = 10
_LABEL_WIDTH: Final = 6
_FIGURES_WIDTH: Final = 39
_LEAST_KEY_WIDTH: Final = 20
_PIPED_WIDTH: Final = 10_000


def show(console: Console, renderable: RenderableType) -> None:
    """Prints within the terminal's width; piped, every line as long as it is and nothing folded."""
    if console.is_terminal:
        console.print(renderable)
        return
    wide = Console(file=io.StringIO(), width=_PIPED_WIDTH, color_system=None, highlight=False)
    with wide.capture() as captured:
        wide.print(renderable)
    for line in captured.get().splitlines():
        console.print(Text(line.rstrip()), soft_wrap=True)


def state_text(state: str, width: int = 0) -> Text:
    """A state as a word in its colour."""
    return Text(f"{state:<{width}}", style=STYLES.get(state, ""))


def key_width(keys: Iterable[str], line_width: int | None, *, least: int = 0) -> int:
    """How wide the key's column is: as the longest key, as far as the line (if any) has room."""
    longest = max((cell_len(plain(key)) for key in keys), default=0)
    width = max(longest, least)
    if line_width is not None:
        width = min(width, line_width - _STATE_WIDTH - _FIGURES_WIDTH)
    return max(_LEAST_KEY_WIDTH, width)


def journey_line(journey: Journey, width: int, seconds_since_landing: float) -> Text:
    """One line: state, key, rows, rate, and milliseconds from landing to the end so far."""
    state = journey_state(journey)
    item = journey.item
    if item is not None and item.ended and item.took_ms is not None:
        spent: int | None = item.took_ms
    else:
        spent = round(seconds_since_landing * 1000) if journey.landed else None
    return Text.assemble(
        state_text(state, _STATE_WIDTH),
        _cell(shortened(journey.planned.key, width), width),
        Text(f"  {_rows(journey):>13}", style="" if journey.loaded else "dim"),
        Text(f"  {_speed(journey):>10}"),
        Text(f"  {milliseconds(spent):>10}", style="" if journey.ended else "dim"),
    )


def journey_state(journey: Journey) -> str:
    """The word for where a file is, from the upload on."""
    if journey.trouble is not None:
        return UNKNOWN if isinstance(journey.trouble, UnknownLandingError) else NOT_UPLOADED
    if journey.item is not None:
        return journey.item.state.value
    return LANDED if journey.landed else UPLOADING


def _cell(text: str, width: int) -> Text:
    return Text(text + " " * max(width - cell_len(text), 0))


def _rows(journey: Journey) -> str:
    item = journey.item
    if item is not None and item.state is State.REVERTED:
        return "" if item.rows_removed is None else f"{rows_word(item.rows_removed)} out"
    if item is None or item.state is not State.LOADED:
        return _sent(journey) if journey.landed is None else ""
    return "contract" if item.action == "schema" else rows_word(item.rows_loaded or 0)


def _sent(journey: Journey) -> str:
    whole = journey.planned.size_bytes
    if not whole:
        return size(journey.sent_bytes) if journey.sent_bytes else ""
    return f"{min(journey.sent_bytes * 100 // whole, 100)} %"


def _speed(journey: Journey) -> str:
    item = journey.item
    if item is None or item.state is not State.LOADED or item.action == "schema":
        return ""
    return rate(item.bytes, item.took_ms)


def journey_reason(journey: Journey) -> RenderableType | None:
    """What happened, where, and what to do, where there is something to say."""
    if journey.trouble is not None:
        found = journey.trouble
        return _labelled(
            [("what", found.what), ("where", found.where), ("to do", found.what_to_do)]
        )
    return item_reason(journey.item) if journey.item is not None else None


def item_reason(item: DropItem) -> RenderableType | None:
    """Why a drop is where it is; None for one that is loaded or on its way."""
    where = f"s3://{item.bucket}/{item.key} (drop {item.drop_id})"
    if item.state is State.SUPERSEDED:
        by = f" ({item.superseded_by})" if item.superseded_by else ""
        return _labelled(
            [
                ("what", f"A later drop had already replaced the table's content{by}."),
                ("where", where),
                ("to do", "Nothing: the table is as if the two had been loaded in their order."),
            ]
        )
    if item.state is State.LOADED and (item.rows_quarantined or item.warnings):
        return _to_look_at(item, where)
    if item.reason is None or item.state in (State.LOADED, State.REVERTED):
        return None
    return reason_block(item.reason, where)


def _to_look_at(item: DropItem, where: str) -> RenderableType:
    """The warnings of a loaded drop, and its rows in quarantine."""
    warnings = [("warning", one.message) for one in item.warnings or ()]
    kept = item.rows_quarantined or 0
    if not kept:
        return _labelled([*warnings, ("where", where)])
    verb, loaded = "is" if kept == 1 else "are", item.rows_loaded or 0
    what = f"{_bad_rows(kept)} of the file {verb} in quarantine; {_loaded(loaded)}."
    to_do = f"Correct and drop them: headrace quarantine {item.drop_id}"
    block = _labelled([("what", what), *warnings, ("where", where), ("to do", to_do)])
    return Group(block, _listed(item.bad_rows or ()))


def _loaded(rows: int) -> str:
    return f"{rows_word(rows)} {'is' if rows == 1 else 'are'} loaded"


def _bad_rows(number: int) -> str:
    return f"{count(number)} bad row{'' if number == 1 else 's'}"


def _listed(rows: Sequence[BadRow]) -> RenderableType:
    return Padding(bad_rows_table(rows), (0, 0, 0, _STATE_WIDTH + 7))


def reason_block(reason: Reason, where: str) -> RenderableType:
    """Labelled lines, and the bad rows laid out below them."""
    lines = [("what", reason.message), ("where", where), ("to do", reason.remedy)]
    if not reason.bad_rows:
        return _labelled(lines)
    return Group(_labelled(lines), _listed(reason.bad_rows))


def bad_rows_table(rows: Sequence[BadRow]) -> Table:
    """Line, column, value and reason of each bad row."""
    table = aligned(("line", "right"), ("column", "left"), ("value", "left"), ("reason", "left"))
    for row in rows:
        table.add_row(
            "" if row.line is None else count(row.line),
            plain(row.column or ""),
            Text(_value(row), style="bold"),
            plain(row.reason),
        )
    return table


def _value(row: BadRow) -> str:
    if row.value is None:
        return ""
    return plain(row.value) if row.value.strip() else f'"{plain(row.value)}"'


def _labelled(lines: Sequence[tuple[str, str]]) -> Padding:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(min_width=_LABEL_WIDTH)
    grid.add_column(overflow="fold")
    for label, text in lines:
        if text:
            grid.add_row(Text(f"{label}:", style="bold"), Text(plain(text)))
    return Padding(grid, (0, 0, 0, _STATE_WIDTH))


def aligned(*columns: tuple[str, str]) -> Table:
    """An empty table without lines; each column has a name and a side, `left` or `right`."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name, side in columns:
        table.add_column(name, justify="right" if side == "right" else "left", overflow="fold")
    return table

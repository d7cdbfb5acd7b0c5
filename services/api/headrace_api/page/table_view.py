"""What is shown of a table: its freshness, its road so far, and its contract, without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from headrace_api.page.drop_view import DropLine, Item, drop_line
from headrace_api.page.words import Moment, count, moment, several, share
from headrace_api.warehouse import StoredContract, Table
from headrace_shared.log_schema import State

_USUAL: Final = (("name", None), ("severity", "error"))
"""What a kept contract says of a test that says nothing of it."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What a chart draws: seconds since the epoch, rows, seconds taken; and the same in words."""

    at: Sequence[float]
    rows: Sequence[int]
    seconds: Sequence[float]
    label: str


@dataclass(frozen=True, slots=True)
class TableLine:
    """A table in a list."""

    name: str
    path: str
    fresh: Moment | None
    rows: str
    last: DropLine | None
    bad_share: str
    is_troubled: bool
    trouble: str
    chart: Chart


@dataclass(frozen=True, slots=True)
class ColumnView:
    """A column of a contract."""

    name: str
    type: str
    notes: str


@dataclass(frozen=True, slots=True)
class ContractView:
    """A contract that was dropped, and what became of it."""

    drop_id: str
    at: Moment | None
    word: str
    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class LineOfTime:
    """A drop on a table's time line; `kind` is `truncate`, `schema`, or empty."""

    drop: DropLine
    kind: str
    note: str


def table_line(table: Table, rows: str, items: Sequence[Item], now: datetime) -> TableLine:
    """A table by its newest drops, which come newest first."""
    data = [item for item in items if item.get("action") != "schema"]
    troubled = [one for one in data if one["state"] in {State.REJECTED, State.FAILED}]
    return TableLine(
        name=f"{table.db_name}.{table.table_name}",
        path=f"/tables/{table.db_name}/{table.table_name}",
        fresh=moment(table.last_loaded_at, now),
        rows=rows,
        last=drop_line(data[0], now) if data else None,
        bad_share=bad_share(data),
        is_troubled=bool(troubled),
        trouble=f"{several(len(troubled), 'drop')} of {len(data)}" if troubled else "",
        chart=chart_of(data),
    )


def row_words(rows: int | None, *, is_exact: bool) -> str:
    """`336,776`, `about 1,200,000`; empty where it is not known."""
    return count(rows) if is_exact or rows is None else f"about {count(rows)}"


def bad_share(items: Sequence[Item]) -> str:
    """The share of bad rows in what landed; a rejected file counts by the bad ones it has."""
    good = sum(int(item.get("rows_loaded") or 0) for item in items)
    bad = sum(_bad(item) for item in items)
    return share(bad, good + bad)


def chart_of(items: Sequence[Item]) -> Chart:
    """Rows and time taken of the drops that were loaded, the oldest first."""
    loaded = [one for one in reversed(items) if one["state"] == State.LOADED]
    at = [datetime.fromisoformat(one["landed_timestamp"]).timestamp() for one in loaded]
    rows = [int(one.get("rows_loaded") or 0) for one in loaded]
    seconds = [int(one.get("duration_ms") or 0) / 1_000 for one in loaded]
    label = "no loads yet"
    if loaded:
        label = f"{several(len(loaded), 'load')}: {_rows(rows)}, {_seconds(seconds)}"
    return Chart(at, rows, seconds, label)


def columns_of(contract: Mapping[str, Any]) -> list[ColumnView]:
    """The columns of a contract as it was dropped."""
    keys = contract.get("primary_key") or ()
    shown = []
    for column in contract.get("columns", ()):
        notes = [
            note
            for note, holds in (
                ("key", column["name"] in keys),
                ("not null", column.get("nullable") is False),
            )
            if holds
        ]
        shown.append(ColumnView(str(column["name"]), str(column["type"]), ", ".join(notes)))
    return shown


def tests_of(contract: Mapping[str, Any]) -> list[str]:
    """The tests of a contract, each as it is written there."""
    return [_test(one) for one in contract.get("tests") or ()]


def contract_view(stored: StoredContract, now: datetime) -> ContractView:
    """What a contract changed, or why it was refused."""
    if stored.state == "reverted":
        word, sentences = "reverted", ["It counts as never landed."]
    elif stored.state == "refused":
        why = (stored.reason or {}).get("message") or "It was refused."
        word, sentences = "refused", [str(why)]
    else:
        word = "in force" if stored.in_force else "replaced"
        sentences = list(stored.changes) or ["It changed nothing in the table."]
    at = moment(stored.applied_at or stored.landed_timestamp, now)
    return ContractView(str(stored.contract_id), at, word, sentences)


def line_of_time(items: Sequence[Item], now: datetime) -> list[LineOfTime]:
    """The drops of a table, with the truncates and the changes of its contract marked."""
    return [_on_line(item, now) for item in items]


def _on_line(item: Item, now: datetime) -> LineOfTime:
    action, state = item.get("action"), item["state"]
    done = state == State.LOADED
    notes = {
        ("schema", True): "; ".join(item.get("changes") or ()) or "the contract, without a change",
        ("schema", False): "a contract",
        ("truncate", True): "replaced every earlier row",
        ("truncate", False): "would replace every earlier row",
    }
    kind = action if action in {"truncate", "schema"} else ""
    return LineOfTime(drop_line(item, now), kind or "", notes.get((action or "", done), ""))


def _rows(rows: Sequence[int]) -> str:
    most = several(max(rows), "row")
    return most if len(rows) == 1 else f"{count(min(rows))} to {most} each"


def _seconds(seconds: Sequence[float]) -> str:
    most = f"{max(seconds):.1f} s from landing to loaded"
    return most if len(seconds) == 1 else f"{min(seconds):.1f} to {most}"


def _bad(item: Item) -> int:
    reason = item.get("reason") or {}
    return int(item.get("rows_quarantined") or reason.get("bad_row_count") or 0)


def _test(test: Any) -> str:
    if not isinstance(test, Mapping):
        return str(test)
    told = {name: value for name, value in test.items() if (name, value) not in _USUAL}
    return ", ".join(f"{name}: {_plain(value)}" for name, value in told.items())


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)

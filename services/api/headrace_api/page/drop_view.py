"""What is shown of a drop: from an item of the log to words, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from headrace_api.page.words import Moment, count, duration, moment, several, size, visible
from headrace_api.replaying import why_not
from headrace_shared.log_schema import AS_LANDED, END_STATES, STEP_PREFIX, State
from headrace_shared.reasons import TestResult

Item = Mapping[str, Any]

MARKS: Final[Mapping[State, str]] = {
    State.REQUESTED: "↻",
    State.ROUTED: "→",
    State.LOADING: "⋯",
    State.WAITING: "◷",
    State.LOADED: "✓",
    State.REJECTED: "✕",
    State.SUPERSEDED: "⤼",
    State.REVERTED: "↩",
    State.FAILED: "!",
}
"""Beside the word and the colour, for eyes that run down a column."""

_MEANINGS: Final[Mapping[State, str]] = {
    State.REQUESTED: "Somebody asked for it again; it is about to be routed.",
    State.ROUTED: "It stands in the loader's queue.",
    State.LOADING: "Its rows are being copied into the table.",
    State.WAITING: "It is tried again by itself.",
    State.LOADED: "Its rows are in the table.",
    State.REJECTED: "Nothing of it was loaded.",
    State.SUPERSEDED: "A later drop had already replaced the table's content. Nothing to do.",
    State.REVERTED: "It was reverted: it counts as never landed.",
    State.FAILED: "It lies in the dead-letter queue, and can be redriven or replayed.",
}


@dataclass(frozen=True, slots=True)
class StateWord:
    """A state as a word with a mark: never by colour alone."""

    name: str
    mark: str
    meaning: str


@dataclass(frozen=True, slots=True)
class DropLine:
    """A drop in a list."""

    drop_id: str
    state: StateWord
    table: str | None
    table_path: str | None
    action: str
    file: str
    key: str
    rows: str
    bad_rows: int
    size: str
    took: str
    landed: Moment | None
    message: str


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of a road. `after` is how long it took to come to it."""

    state: StateWord
    at: Moment | None
    after: str
    attempt: int
    message: str


@dataclass(frozen=True, slots=True)
class BadRowView:
    """One place in a file that could not be loaded."""

    line: str
    column: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class DropView:
    """Everything about one drop."""

    line: DropLine
    facts: Sequence[tuple[str, str]]
    steps: Sequence[StepView]
    what: str
    to_do: str
    bad_rows: Sequence[BadRowView]
    bad_rows_shown: str
    tests: Sequence[TestResult]
    changes: Sequence[str]
    links: Sequence[tuple[str, str]]
    may_be_replayed: bool
    has_quarantine: bool


def state_word(state: State) -> StateWord:
    """How a state is shown."""
    return StateWord(str(state), MARKS[state], _MEANINGS[state])


def drop_line(item: Item, now: datetime) -> DropLine:
    """A drop as one line."""
    state, table = State(item["state"]), table_of(item)
    quarantined = int(item.get("rows_quarantined") or 0)
    return DropLine(
        drop_id=item["drop_id"],
        state=state_word(state),
        table=".".join(table) if table else None,
        table_path="/tables/" + "/".join(table) if table else None,
        action=item.get("action") or "",
        file=visible(item.get("file") or item["key"]),
        key=visible(item["key"]),
        rows=_rows(item, state),
        bad_rows=quarantined or int((item.get("reason") or {}).get("bad_row_count") or 0),
        size=size(item.get("size_bytes")),
        took=duration(item.get("duration_ms")),
        landed=moment(item.get("landed_at") or item["landed_timestamp"], now),
        message=_message(item, state),
    )


def drop_view(item: Item, now: datetime, *, shows_values: bool) -> DropView:
    """A drop with its road.

    Args:
        shows_values: whether whoever asks may see what stands in rows.
    """
    state, reason = State(item["state"]), item.get("reason") or {}
    found = reason.get("bad_rows") or item.get("bad_rows") or ()
    line = drop_line(item, now)
    return DropView(
        line=line,
        facts=_facts(item, line),
        steps=steps_of(item, now),
        what=_message(item, state) or state_word(state).meaning,
        to_do=_to_do(item, state),
        bad_rows=[_bad_row(row, shows_values=shows_values) for row in found],
        bad_rows_shown=_shown(found, line.bad_rows),
        tests=[
            TestResult.model_validate(one) for one in reason.get("tests") or item.get("tests") or ()
        ],
        changes=item.get("changes") or (),
        links=_links(item),
        may_be_replayed=may_be_replayed(item, now),
        has_quarantine=line.bad_rows > 0,
    )


def steps_of(item: Item, now: datetime) -> list[StepView]:
    """The road, from the landing on."""
    landed = item.get("landed_at") or item["landed_timestamp"]
    steps = [step for name, step in sorted(item.items()) if name.startswith(STEP_PREFIX)]
    shown = [StepView(_LANDED, moment(landed, now), "", 1, "")]
    before = landed
    for step in steps:
        after, state = _between(before, step["at"]), State(step["state"])
        told = visible(step.get("message"))
        at = moment(step["at"], now)
        shown.append(StepView(state_word(state), at, after, int(step["attempt"]), told))
        before = max(before, step["at"])
    return shown


_LANDED: Final = StateWord("landed", "↓", "The file is in the lake.")


def was_lost(item: Item) -> bool:
    """Whether a verification found the drop: the event that should have routed it was lost."""
    return any(AS_LANDED in step for name, step in item.items() if name.startswith(STEP_PREFIX))


def may_be_replayed(item: Item, now: datetime) -> bool:
    """Whether a replay is offered: of what has ended, and can end in another way."""
    return State(item["state"]) in END_STATES and why_not(item, now) is None


def contains(item: Item, text: str) -> bool:
    """Whether a text stands in the key, the state, or the reason, in whatever case."""
    message = (item.get("reason") or {}).get("message") or ""
    where = f"{item['key']}\n{item['state']}\n{item['drop_id']}\n{message}"
    return text.casefold() in where.casefold()


def table_of(item: Item) -> tuple[str, str] | None:
    """The table of a drop; a rejected key may name none."""
    db_name, table_name = item.get("db_name"), item.get("table_name")
    return (db_name, table_name) if db_name and table_name else None


def summary(items: Iterable[Item]) -> str:
    """What moved, for those who listen: `2 loaded, 1 rejected`."""
    states = [str(item["state"]) for item in items]
    return ", ".join(f"{states.count(one)} {one}" for one in dict.fromkeys(states))


def _rows(item: Item, state: State) -> str:
    if state is State.REVERTED and item.get("rows_removed") is not None:
        return f"-{count(int(item['rows_removed']))}"
    if state is not State.LOADED or item.get("action") == "schema":
        return ""
    return count(int(item.get("rows_loaded") or 0))


def _message(item: Item, state: State) -> str:
    reason = item.get("reason")
    if reason and state not in {State.LOADED, State.REVERTED}:
        return visible(reason.get("message"))
    return " ".join(_to_look_at(item)) if state is State.LOADED else ""


def _to_look_at(item: Item) -> list[str]:
    """What is to be said of a loaded drop: its rows in quarantine, its warnings."""
    warnings = [visible(one.get("message")) for one in item.get("warnings") or ()]
    kept = int(item.get("rows_quarantined") or 0)
    if not kept:
        return warnings
    loaded = several(int(item.get("rows_loaded") or 0), "row")
    return [f"In quarantine: {several(kept, 'bad row')}. Loaded: {loaded}.", *warnings]


def _to_do(item: Item, state: State) -> str:
    if state is State.LOADED and item.get("rows_quarantined"):
        return "Download the quarantine, correct the rows, and drop them again."
    return visible((item.get("reason") or {}).get("remedy"))


def _facts(item: Item, line: DropLine) -> list[tuple[str, str]]:
    loaded = item.get("rows_loaded")
    retry = item.get("retry_at")
    found = [
        ("object", f"s3://{visible(item['bucket'])}/{line.key}"),
        ("version", visible(item.get("version_id"))),
        ("size", line.size),
        ("rows loaded", count(int(loaded)) if loaded is not None else ""),
        ("rows in quarantine", count(int(item.get("rows_quarantined") or 0) or None)),
        ("from landing to the end", line.took),
        ("the load alone", duration(item.get("load_ms"))),
        ("tries", count(int(item.get("attempts") or 0))),
        ("tried again at", f"{retry}" if retry else ""),
        ("drop id", item["drop_id"]),
    ]
    return [(name, value) for name, value in found if value]


def _links(item: Item) -> list[tuple[str, str]]:
    names = (
        ("superseded_by", "superseded by"),
        ("corrects", "corrects the bad rows of"),
        ("corrected_by", "its bad rows are corrected by"),
        ("contract_id", "loaded under the contract"),
    )
    return [(label, item[name]) for name, label in names if item.get(name)]


def _shown(found: Sequence[Mapping[str, Any]], bad_rows: int) -> str:
    """How many of the bad rows are shown; a row with several faults is there once for each."""
    rows = len({(row.get("record"), row.get("line")) for row in found})
    if rows < bad_rows:
        return f"The first {count(rows)} of {count(bad_rows)} bad rows"
    return "One bad row" if rows == 1 else f"All {count(rows)} bad rows"


def _bad_row(row: Mapping[str, Any], *, shows_values: bool) -> BadRowView:
    value = row.get("value") if row.get("value") is not None else row.get("raw")
    place = row.get("line") or row.get("record")
    return BadRowView(
        line=count(int(place)) if place is not None else "",
        column=visible(row.get("column")),
        value=visible(value) if shows_values else "not shown: needs the scope rows",
        reason=visible(row["reason"]) if shows_values else visible(row.get("code")),
    )


def _between(earlier: str, later: str) -> str:
    passed = datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
    return duration(max(0, round(passed.total_seconds() * 1_000)))

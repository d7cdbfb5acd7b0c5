"""`headrace replay`: drops are loaded again, whatever became of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.text import Text

from headrace_local import console
from headrace_local.api_client import ApiClient, DropItem
from headrace_local.errors import UserError
from headrace_local.fact_bus import BUS_VARIABLE, FactBus, events_client, find_bus
from headrace_local.figures import count, plain
from headrace_local.query_commands import find_drop
from headrace_local.render import state_text
from headrace_local.reruns import Asking, Reruns
from headrace_local.runs import (
    DEFAULT_STATES,
    end_states,
    moment_named,
    replay_of,
    table_named,
)
from headrace_local.target import API_VARIABLE
from headrace_shared.log_schema import State
from headrace_shared.reruns import requested_at

PATIENCE_SECONDS: Final = 300.0
_MANY: Final = 100
_STATE_WIDTH: Final = 10

BusName = Annotated[
    str | None,
    typer.Option(
        "--bus",
        help="The bus that requests go to; whoever names one speaks to AWS with its own "
        "credentials.",
        envvar=BUS_VARIABLE,
    ),
]
ApiUrl = Annotated[
    str | None, typer.Option("--api-url", help="Where the API is.", envvar=API_VARIABLE)
]
Timeout = Annotated[
    float, typer.Option("--timeout", help="Seconds to wait for the end of a wave.", min=0)
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Ask only; do not look what becomes of it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line for each drop.")]


@dataclass(frozen=True)
class Selection:
    """The drops of one table that are meant."""

    table: tuple[str, str]
    states: tuple[State, ...]
    since: datetime | None
    until: datetime | None

    def __str__(self) -> str:
        return f"{'.'.join(self.table)}, {' or '.join(self.states)}"

    def find(self, api: ApiClient, asked: int) -> Iterator[DropItem]:
        """Each, page after page.

        Args:
            asked: the run of this very request: a drop that bears it has had its turn, and was
                met again only because it has changed its state meanwhile.
        """
        for state in self.states:
            found = api.drops(
                table=self.table, state=state, landed_from=self.since, landed_to=self.until
            )
            yield from (item for item in found if item.run != asked)


def replay(  # noqa: PLR0913 - options of a command
    drop_ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DROP_ID",
            help="Ids of drops, or as much of each one's beginning as is unique.",
            show_default=False,
        ),
    ] = None,
    *,
    table: Annotated[
        str | None, typer.Option(help="Drops of this table instead: dev.users.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Of the table, those that landed at or after this time, or 7d, 6h ago."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Of the table, those that landed at or before this time.")
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            help="Of the table, those in this state; again for another. "
            "Without it: rejected and failed.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be replayed, and do nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help=f"Do not ask, however many: over {_MANY} it does.")
    ] = False,
    bus: BusName = None,
    api_url: ApiUrl = None,
    timeout: Timeout = PATIENCE_SECONDS,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Load drops again, whatever became of them, and follow each to its end.

    A drop keeps its place among the rows and is read under the contract that holds now. Exit
    status: 0 if all were loaded, 1 if one was not, 2 for a mistake in the call.

    headrace replay --table dev.users --since 7d --state failed
    """
    selection = _selection(drop_ids or [], table, since, until, state)
    target = find_bus(bus, api_url)
    asked = requested_at(datetime.now(UTC))
    with ApiClient(target.api_url) as api:
        if selection is not None and not yes and not dry_run:
            _confirm(api, selection, asked)
        items = selection.find(api, asked) if selection else _named(api, drop_ids or [])
        if dry_run:
            _list(items, as_json=as_json)
            return
        reruns = Reruns(
            api,
            FactBus(events_client(target), target.name),
            Asking(replay_of, State.LOADED, asked),
            wait=not no_wait,
            as_json=as_json,
            patience_seconds=timeout,
        )
        raise typer.Exit(reruns.run(_or_say_none(items, selection)))


def _selection(
    drop_ids: list[str],
    table: str | None,
    since: str | None,
    until: str | None,
    states: list[str] | None,
) -> Selection | None:
    """None where drops are named one by one."""
    if bool(drop_ids) == (table is not None):
        raise UserError(
            "Either drops or a table have to be named." if drop_ids else "No drop is named.",
            "headrace replay",
            "headrace replay DROP_ID, or headrace replay --table dev.users --state failed",
        )
    if table is None:
        if since or until or states:
            raise UserError(
                "--since, --until and --state choose among the drops of a table.",
                "headrace replay DROP_ID",
                "Name the table instead of drops (--table dev.users), or leave them out.",
            )
        return None
    now = datetime.now(UTC)
    return Selection(
        table_named(table),
        end_states(states) if states else DEFAULT_STATES,
        moment_named("--since", since, now) if since else None,
        moment_named("--until", until, now) if until else None,
    )


def _named(api: ApiClient, drop_ids: list[str]) -> list[DropItem]:
    """Each drop once, all of them found before anything is asked for."""
    found: dict[str, DropItem] = {}
    for text in drop_ids:
        item = find_drop(api, text)
        found[str(item.drop_id)] = item
    return list(found.values())


def _confirm(api: ApiClient, selection: Selection, asked: int) -> None:
    if not sys.stdin.isatty():
        return
    number = sum(1 for _ in selection.find(api, asked))
    if number <= _MANY:
        return
    if not typer.confirm(f"Replay {count(number)} drops ({selection})?", err=True):
        raise typer.Exit(1)


def _list(items: Iterator[DropItem] | list[DropItem], *, as_json: bool) -> None:
    number, out = 0, console.out()
    for item in items:
        number += 1
        if as_json:
            out.print(Text(item.model_dump_json(exclude_unset=True)), soft_wrap=True)
            continue
        line = Text.assemble(
            state_text(item.state, _STATE_WIDTH), f"{item.drop_id}  ", plain(item.key)
        )
        out.print(line, soft_wrap=True)
    if not as_json:
        drops = "drop" if number == 1 else "drops"
        out.print(Text(f"{count(number)} {drops} would be replayed."), soft_wrap=True)


def _or_say_none(
    items: Iterator[DropItem] | list[DropItem], selection: Selection | None
) -> Iterator[DropItem]:
    any_found = False
    for item in items:
        any_found = True
        yield item
    if not any_found:
        console.err().print(Text(f"There is no such drop: {selection}."), soft_wrap=True)

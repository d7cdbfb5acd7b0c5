"""`headrace revert`: drops count as never landed."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.text import Text

from headrace_local import console
from headrace_local.api_client import ApiClient, DropItem
from headrace_local.fact_bus import FactBus, events_client, find_bus
from headrace_local.figures import count, plain
from headrace_local.query_commands import find_drop
from headrace_local.replay_command import (
    PATIENCE_SECONDS,
    ApiUrl,
    AsJson,
    BusName,
    NoWait,
    Timeout,
)
from headrace_local.reruns import Asking, Reruns
from headrace_local.runs import check_revertable, revert_of
from headrace_shared.drop import Action
from headrace_shared.log_schema import State
from headrace_shared.reruns import requested_at

_EFFECTS: Final = {
    Action.APPEND: "Its rows leave the table.",
    Action.TRUNCATE: "Its rows leave the table, and the rows that it had removed come back: the "
    "drops that landed before it are loaded again.",
    Action.UPSERT: "Its rows leave the table, and the earlier rows of its keys come back: the "
    "drops that brought them are loaded again.",
    Action.SCHEMA: "The table gets the shape that it had without this contract, and the drops "
    "that were read under it are loaded again.",
}


def revert(  # noqa: PLR0913 - options of a command
    drop_ids: Annotated[
        list[str],
        typer.Argument(
            metavar="DROP_ID",
            help="Ids of drops, or as much of each one's beginning as is unique.",
            show_default=False,
        ),
    ],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    bus: BusName = None,
    api_url: ApiUrl = None,
    timeout: Timeout = PATIENCE_SECONDS,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Undo drops: each counts as never landed. A replay undoes that.

    The rows of a drop leave its table. What the drop had removed or replaced comes back: earlier
    rows behind a truncate, earlier values behind an upsert, the version before behind a corrected
    file. On a terminal it asks first. Exit status: 0 if all are reverted, 1 if one is not, 2 for
    a mistake in the call.
    """
    target = find_bus(bus, api_url)
    with ApiClient(target.api_url) as api:
        items = _checked(api, drop_ids, as_json=as_json)
        if dry_run:
            _explain(items, as_json=as_json)
            return
        if items and not yes:
            _confirm(items)
        reruns = Reruns(
            api,
            FactBus(events_client(target), target.name),
            Asking(revert_of, State.REVERTED, requested_at(datetime.now(UTC))),
            wait=not no_wait,
            as_json=as_json,
            patience_seconds=timeout,
        )
        raise typer.Exit(reruns.run(items))


def _checked(api: ApiClient, drop_ids: list[str], *, as_json: bool) -> list[DropItem]:
    """Those that are not reverted yet; all are found and checked before one is asked for."""
    found = {item.drop_id: item for item in (find_drop(api, text) for text in drop_ids)}
    for item in found.values():
        check_revertable(item)
    for item in found.values():
        if item.state is State.REVERTED:
            already = f"Drop {item.drop_id} is reverted already."
            text = item.model_dump_json(exclude_unset=True) if as_json else already
            console.out().print(Text(text), soft_wrap=True)
    return [item for item in found.values() if item.state is not State.REVERTED]


def _rows(item: DropItem) -> int:
    """Rows that the drop brought; later drops may have removed some of them since."""
    return item.rows_loaded or 0 if item.state is State.LOADED else 0


def _explain(items: list[DropItem], *, as_json: bool) -> None:
    out = console.out()
    for item in items:
        if as_json:
            out.print(Text(item.model_dump_json(exclude_unset=True)), soft_wrap=True)
            continue
        rows = f"{count(_rows(item))} rows"
        out.print(Text.assemble(f"{item.drop_id}  ", plain(item.key), f"  {rows}"), soft_wrap=True)
        out.print(Text(f"  {_EFFECTS[Action(item.action)]}" if item.action else ""), soft_wrap=True)
    if not as_json:
        out.print(Text(f"{_summary(items)} would be reverted."), soft_wrap=True)


def _summary(items: list[DropItem]) -> str:
    drops = "drop" if len(items) == 1 else "drops"
    return f"{count(len(items))} {drops} with {count(sum(map(_rows, items)))} rows"


def _confirm(items: list[DropItem]) -> None:
    if not sys.stdin.isatty():
        return
    _explain(items, as_json=False)
    typer.confirm("Revert?", err=True, abort=True)

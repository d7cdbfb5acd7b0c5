"""`headrace revert`: the rows of drops are taken out of their tables again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from headrace_local import console
from headrace_local.api_client import ApiClient, DropItem
from headrace_local.fact_bus import FactBus, events_client, find_bus
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
from headrace_shared.log_schema import State
from headrace_shared.reruns import requested_at


def revert(
    drop_ids: Annotated[
        list[str],
        typer.Argument(
            metavar="DROP_ID",
            help="Ids of loaded drops, or as much of each one's beginning as is unique.",
            show_default=False,
        ),
    ],
    *,
    bus: BusName = None,
    api_url: ApiUrl = None,
    timeout: Timeout = PATIENCE_SECONDS,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Take the rows of drops out of their tables again; a replay brings them back.

    What a drop itself had taken away stays away. Exit status: 0 if the rows of all are out, 1 if
    one's are not, 2 for a mistake in the call.
    """
    target = find_bus(bus, api_url)
    asked = requested_at(datetime.now(UTC))
    with ApiClient(target.api_url) as api:
        items = _loaded(api, drop_ids, as_json=as_json)
        reruns = Reruns(
            api,
            FactBus(events_client(target), target.name),
            Asking(revert_of, State.REVERTED, asked),
            wait=not no_wait,
            as_json=as_json,
            patience_seconds=timeout,
        )
        raise typer.Exit(reruns.run(items))


def _loaded(api: ApiClient, drop_ids: list[str], *, as_json: bool) -> list[DropItem]:
    """Those whose rows are in their table; all are found and checked before one is asked for."""
    found = {item.drop_id: item for item in (find_drop(api, text) for text in drop_ids)}
    for item in found.values():
        check_revertable(item)
    for item in found.values():
        if item.state is State.REVERTED:
            told = f"Drop {item.drop_id} is reverted already."
            text = item.model_dump_json(exclude_unset=True) if as_json else told
            console.out().print(Text(text), soft_wrap=True)
    return [item for item in found.values() if item.state is State.LOADED]

"""`headrace status` and `headrace show`: what the log says, on the terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.text import Text

from headrace_local import console
from headrace_local.api_client import ApiClient, DropItem, DropStory, TableItem
from headrace_local.errors import UserError
from headrace_local.render import show as print_aligned
from headrace_local.render_log import drops_table, story, tables_table
from headrace_local.target import API_VARIABLE, find_api

_SECONDS_DIGITS: Final = 8
"""A drop id begins with its landing second: so many digits of it name one second."""

_LEAST_DIGITS: Final = 5
"""These name 68 minutes; fewer would ask for whole days."""

_NOTICED_LAG_SECONDS: Final = 5.0

_CANDIDATES: Final = 5_000
_COUNTED_TABLES: Final = 20

ApiUrl = Annotated[
    str | None, typer.Option("--api-url", help="Where the API is.", envvar=API_VARIABLE)
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


def status(
    *,
    limit: Annotated[int, typer.Option(help="How many drops.", min=1, max=500)] = 15,
    api_url: ApiUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show the latest drops and the tables."""
    with ApiClient(find_api(api_url)) as api:
        drops = list(islice(api.drops(limit=limit), limit))
        tables = _told_tables(api)
        lag = api.log_lag_seconds()
    if as_json:
        shown = {"drops": [_plain(item) for item in drops], "tables": [_plain(t) for t in tables]}
        _print_json({**shown, "log_lag_seconds": lag})
        return
    _print_status(drops, tables)
    _print_lag(lag)


def show(
    drop_id: Annotated[
        str,
        typer.Argument(
            metavar="DROP_ID|KEY",
            help="The id of a drop, or as much of its beginning as is unique; or the key of its "
            "file, for the latest drop of that key.",
        ),
    ],
    *,
    api_url: ApiUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show the whole story of one drop: what it is, every step with its time, and why."""
    with ApiClient(find_api(api_url)) as api:
        item = find_drop(api, drop_id)
    if as_json:
        _print_json(_plain(item))
        return
    print_aligned(console.out(), story(item, datetime.now(UTC)))


def find_drop(api: ApiClient, text: str) -> DropStory:
    """The drop with this id, the only one whose id begins so, or the latest one of this key.

    Raises:
        UserError: it is no key and no beginning of an id, too short a one, or of no or several
            drops.
    """
    if "/" in text:
        return _latest_of(api, text)
    digits = text.strip().lower().replace("-", "")
    if not re.fullmatch(r"[0-9a-f]{1,32}", digits):
        raise UserError(
            "That is not a drop id.",
            text,
            "Give one as `headrace status` lists them, or its first digits.",
        )
    if len(digits) == 32:
        return api.drop(UUID(digits))
    if len(digits) < _LEAST_DIGITS:
        raise UserError(
            "That is too short to tell drops apart.",
            text,
            f"Give at least {_LEAST_DIGITS} digits; `headrace status` lists ids.",
        )
    return api.drop(_only(_candidates(api, digits), text))


def _latest_of(api: ApiClient, key: str) -> DropStory:
    found = next(iter(api.drops(key=key, limit=1)), None)
    if found is None:
        raise UserError(
            "The log has no drop of this key.",
            key,
            "Give the whole key, without s3:// and the bucket. `headrace status` lists the latest "
            "drops.",
        )
    return api.drop(found.drop_id)


def _candidates(api: ApiClient, digits: str) -> list[UUID]:
    first = int(digits[:_SECONDS_DIGITS].ljust(_SECONDS_DIGITS, "0"), 16)
    last = int(digits[:_SECONDS_DIGITS].ljust(_SECONDS_DIGITS, "f"), 16)
    landed = api.drops(
        landed_from=datetime.fromtimestamp(first, UTC), landed_to=datetime.fromtimestamp(last, UTC)
    )
    within = islice(landed, _CANDIDATES)
    return [item.drop_id for item in within if item.drop_id.hex.startswith(digits)]


def _only(found: Sequence[UUID], text: str) -> UUID:
    if not found:
        raise UserError(
            "No drop has an id that begins so.", text, "`headrace status` lists the latest."
        )
    if len(found) > 1:
        some = ", ".join(str(drop_id) for drop_id in found[:3])
        raise UserError(
            f"{len(found)} drops have ids that begin so.", text, f"Give more digits: {some}"
        )
    return found[0]


def _told_tables(api: ApiClient) -> list[TableItem]:
    """The tables, the latest loaded first; only so many with their rows, which cost a request."""
    never = datetime.min.replace(tzinfo=UTC)
    tables = sorted(api.tables(), key=lambda table: table.last_loaded_at or never, reverse=True)
    counted, rest = tables[:_COUNTED_TABLES], tables[_COUNTED_TABLES:]
    return [api.table(table.db_name, table.table_name) for table in counted] + rest


def _print_status(drops: Sequence[DropItem], tables: Sequence[TableItem]) -> None:
    out, now = console.out(), datetime.now(UTC)
    if not drops and not tables:
        out.print("Nothing has been dropped yet.")
        out.print("headrace drop FILE dev/append/user_data/ drops a file.")
        return
    out.print(Text("Latest drops", style="bold"))
    print_aligned(out, drops_table(drops, now, out.width if out.is_terminal else None))
    out.print()
    out.print(Text("Tables", style="bold"))
    print_aligned(out, tables_table(tables, now))
    if any(item.state != "loaded" for item in drops):
        out.print()
        out.print(Text("headrace show DROP tells what happened to one and why.", style="dim"))


def _print_lag(seconds: float | None) -> None:
    if seconds is None:
        return
    line = f"Log lag: {seconds:,.1f} s"
    if seconds >= _NOTICED_LAG_SECONDS:
        line += ". What happened to drops since is not shown yet; is a logger running?"
    console.out().print()
    console.out().print(Text(line, style="yellow" if seconds >= _NOTICED_LAG_SECONDS else "dim"))


def _plain(item: DropItem | TableItem) -> dict[str, Any]:
    return item.model_dump(mode="json", exclude_unset=True)


def _print_json(document: Any) -> None:
    console.out().print(Text(json.dumps(document, indent=2)), soft_wrap=True)

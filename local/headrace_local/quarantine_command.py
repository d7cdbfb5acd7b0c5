"""`headrace quarantine`: the rows that could not be loaded, and how to correct them."""

from __future__ import annotations

import json
import re
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from headrace_local import console
from headrace_local.api_client import ApiClient, DropItem
from headrace_local.errors import UserError
from headrace_local.figures import clock, count, plain
from headrace_local.quarantined import (
    Quarantined,
    correcting_key,
    correcting_name,
    exported,
    quarantined,
)
from headrace_local.query_commands import ApiUrl, AsJson, find_drop
from headrace_local.render import aligned, bad_rows_table, state_text
from headrace_local.render import show as print_aligned
from headrace_local.runs import table_named
from headrace_local.target import find_api, find_quarantine
from headrace_shared.drop import Action

QUARANTINE_VARIABLE: Final = "QUARANTINE_BUCKET"

_DROP_ID: Final = re.compile(r"[0-9a-f-]{5,36}\Z")
_MOST_LOOKED_AT: Final = 5_000


def quarantine(
    what: Annotated[
        str,
        typer.Argument(
            metavar="TABLE|DROP_ID",
            help="dev.users: its drops with bad rows. A drop: the rows themselves.",
            show_default=False,
        ),
    ],
    *,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Write the drop's rows as they stood in its file, under its header, into this "
            "folder or file; - for standard output."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="How many drops or rows.", min=1)] = 50,
    bucket: Annotated[
        str | None,
        typer.Option(help="The quarantine's bucket.", envvar=QUARANTINE_VARIABLE),
    ] = None,
    api_url: ApiUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show the rows that could not be loaded, and write them into a file for correction.

    Drop the corrected file under the name that --export gives it: the log links the two drops,
    and a second upload under that name replaces the rows of the first.

    headrace quarantine dev.users

    headrace quarantine 6b003641 --export .
    """
    with ApiClient(find_api(api_url)) as api:
        if "." in what:
            _list(api, table_named(what), limit, as_json=as_json)
            return
        if _DROP_ID.match(what) is None:
            raise UserError(
                "That is neither a table nor the id of a drop.",
                what,
                "Give a table as dev.users, or a drop's id as `headrace quarantine dev.users` "
                "shows it.",
            )
        item = find_drop(api, what)
    kept = quarantined(find_quarantine(bucket, api_url), item)
    if export is not None:
        _export(kept, item, export)
    else:
        _show(kept, item, limit, as_json=as_json)


def _list(api: ApiClient, table: tuple[str, str], limit: int, *, as_json: bool) -> None:
    looked_at = islice(api.drops(table=table), _MOST_LOOKED_AT)
    found = list(islice((one for one in looked_at if _bad_rows(one)), limit))
    if as_json:
        _print_json([one.model_dump(mode="json", exclude_none=True) for one in found])
        return
    if not found:
        console.out().print(f"No drop of {'.'.join(table)} has bad rows.")
        return
    listed = aligned(
        ("drop", "left"),
        ("landed", "left"),
        ("state", "left"),
        ("loaded", "right"),
        ("bad rows", "right"),
        ("file", "left"),
        ("corrected by", "left"),
    )
    for one in found:
        listed.add_row(
            str(one.drop_id),
            clock(one.landed),
            state_text(one.state),
            count(one.rows_loaded or 0),
            count(_bad_rows(one)),
            plain(one.file or one.key),
            str(one.corrected_by or ""),
        )
    print_aligned(console.out(), listed)


def _bad_rows(item: DropItem) -> int:
    if item.rows_quarantined:
        return item.rows_quarantined
    return (item.reason.bad_row_count or 0) if item.reason else 0


def _show(kept: Quarantined, item: DropItem, limit: int, *, as_json: bool) -> None:
    if as_json:
        _print_json({"about": kept.about, "rows": kept.rows[:limit]})
        return
    rows = len(kept.rows)
    state = "in quarantine" if _others_loaded(kept) else "for which the drop was rejected"
    out = console.out()
    out.print(
        f"{count(rows)} bad row{'' if rows == 1 else 's'} {state}: s3://{item.bucket}/{plain(item.key)}"
    )
    told = list(islice(kept.bad_rows(), limit))
    print_aligned(out, bad_rows_table(told))
    if rows > limit:
        out.print(f"... and more: --limit {rows} shows all.")
    out.print(Text(_advice(kept, item)), soft_wrap=True)


def _export(kept: Quarantined, item: DropItem, where: Path) -> None:
    content = exported(kept)
    if str(where) == "-":
        typer.get_binary_stream("stdout").write(content)
        return
    path = where / correcting_name(item) if where.is_dir() else where
    if path.exists():
        raise UserError("That file is there already.", str(path), "Name another one.")
    path.write_bytes(content)
    written = f"{count(len(kept.rows))} rows written to {path}. "
    if _others_loaded(kept) and item.corrects is None:
        place = f"{item.db_name}/{_action(item)}/{item.table_name}/{correcting_key(item)}"
        advice = f"Correct them, then: headrace drop {quote(str(path))} {quote(place)}"
    else:
        advice = _advice(kept, item)
    console.out().print(Text(written + advice), soft_wrap=True)


def _others_loaded(kept: Quarantined) -> bool:
    """Whether the drop was loaded without these rows; else it was rejected."""
    return bool(kept.about.get("set_aside"))


def _advice(kept: Quarantined, item: DropItem) -> str:
    """What corrects the rows without a second copy, or a loss, of the other rows of the file."""
    again = f"headrace drop FILE {quote(item.key)}"
    if not _others_loaded(kept):
        return f"No row of the file is in the table. Correct the rows in the file, then: {again}"
    if item.corrects is not None:
        return f"Correct the rows in your file and replace this version of it: {again}"
    return f"To correct them: headrace quarantine {item.drop_id} --export {correcting_name(item)}"


def _action(item: DropItem) -> str:
    """How corrected rows are dropped: a truncate would remove the good rows of the file."""
    return "append" if item.action == Action.TRUNCATE else str(item.action)


def _print_json(document: Any) -> None:
    console.out().print(Text(json.dumps(document, indent=2, ensure_ascii=False)), soft_wrap=True)

"""`headrace keys`: makes keys of the API, lists and revokes them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from headrace_local import console
from headrace_local.api_keys import listed, put_key, revoke
from headrace_local.aws_errors import told_aws_errors
from headrace_local.errors import UserError
from headrace_local.figures import plain
from headrace_local.render import show as print_aligned
from headrace_local.target import (
    Credentials,
    client_config,
    credentials_of,
    running_here,
    session,
)
from headrace_shared.api_keys import (
    EVERY_TABLE,
    MOST_NAME,
    ApiKey,
    PatternError,
    Scope,
    TablePattern,
    make_key,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE_VARIABLE: Final = "KEYS_TABLE"

_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}
_LONGEST: Final = timedelta(days=3_660)


class Task(StrEnum):
    """What is to be done."""

    CREATE = "create"
    LIST = "list"
    REVOKE = "revoke"


@dataclass(frozen=True)
class KeysTarget:
    """The table of keys of one platform."""

    table: str
    endpoint_url: str | None = None
    credentials: Credentials | None = None


def keys(  # noqa: PLR0913 - each is an option
    task: Annotated[
        Task,
        typer.Argument(
            help="create: make one, and show it once. list: show all. revoke: end one.",
            show_default=False,
        ),
    ],
    key_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The one to revoke.", show_default=False)
    ] = None,
    *,
    name: Annotated[
        str | None, typer.Option(help="Of a new key: who or what uses it, as the log has it.")
    ] = None,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="Of a new key: what it may ask for; repeat it.  [default: read]"),
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Of a new key: what it sees, like sales.*; repeat it.  [default: *.*]",
        ),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="90d", help="Of a new key: after hours, days, weeks.")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            help="The DynamoDB table of keys; whoever names one speaks to AWS with its own "
            "credentials.",
            envvar=TABLE_VARIABLE,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document instead of text.")
    ] = False,
) -> None:
    """Make, list and revoke keys of the API. A key is shown once; only its hash is kept.

    A revoked key stops within 30 seconds.
    """
    target = find_keys(table)
    if task is Task.CREATE:
        _create(target, name, scope or [Scope.READ], tables or [str(EVERY_TABLE)], expires, as_json)
    elif task is Task.LIST:
        _list(target, as_json)
    else:
        _revoke(target, key_id, as_json)


def find_keys(table: str | None) -> KeysTarget:
    """The table that an option or the environment names, or that of `stack.json`.

    Raises:
        UserError: nothing names one, and no platform runs here.
    """
    if table is not None:
        return KeysTarget(table)
    stack = running_here(f"--table, or {TABLE_VARIABLE}")
    return KeysTarget(stack.keys_table, stack.aws_endpoint_url, credentials_of(stack))


def parse_lifetime(text: str) -> timedelta:
    """`12h`, `90d` or `4w`.

    Raises:
        UserError: it is none of them.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text.strip().lower())
    lifetime = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if lifetime is None or lifetime > _LONGEST:
        raise UserError(
            f"{text!r} is no time after which a key ends.",
            f"--expires {text}",
            "Write hours, days or weeks, ten years at most: 12h, 90d, 4w.",
        )
    return lifetime


def _create(
    target: KeysTarget,
    name: str | None,
    scopes: Sequence[Scope],
    tables: Sequence[str],
    expires: str | None,
    as_json: bool,  # noqa: FBT001 - as the command has it
) -> None:
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise UserError(
            f"A key needs a name of 1 to {MOST_NAME} printable characters.",
            f"--name {name or ''}",
            "Say who or what uses it: --name nightly-report",
        )
    lifetime = parse_lifetime(expires) if expires is not None else None
    now = datetime.now(UTC).replace(microsecond=0)
    text, made = make_key(name, scopes, _patterns(tables), now, lifetime=lifetime)
    with _told(target, "dynamodb:PutItem"):
        put_key(_client(target), target.table, made)
    out = console.out()
    if as_json:
        out.print(Text(json.dumps({"key": text} | as_document(made))), soft_wrap=True)
        return
    # The key alone on the standard output: KEY=$(headrace keys create ...)
    out.print(Text(text), soft_wrap=True)
    about = f"Key {made.key_id} ({name}): {_rights(made)}; {_end(made)}. It is not shown again."
    console.err().print(Text(plain(about), style="dim"), soft_wrap=True)


def _patterns(texts: Sequence[str]) -> list[TablePattern]:
    try:
        return [TablePattern.of(text) for text in texts]
    except PatternError as error:
        raise UserError(f"{error}.", "--tables", "Quote the star: --tables 'sales.*'") from None


def _list(target: KeysTarget, as_json: bool) -> None:  # noqa: FBT001
    with _told(target, "dynamodb:Scan"):
        found = list(listed(_client(target), target.table))
    out = console.out()
    if as_json:
        out.print(Text(json.dumps([as_document(one) for one in found], indent=2)), soft_wrap=True)
        return
    if not found:
        out.print("No keys. headrace keys create --name NAME makes one.")
        return
    lines = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for title in ("id", "name", "may", "last used", "until"):
        lines.add_column(title)
    for one in found:
        used = _day(one.last_used_at) if one.last_used_at else "never"
        cells = (one.key_id, one.name, _rights(one), used, _end(one))
        lines.add_row(*(Text(plain(cell)) for cell in cells))
    print_aligned(out, lines)


def _revoke(target: KeysTarget, key_id: str | None, as_json: bool) -> None:  # noqa: FBT001
    if key_id is None:
        raise UserError(
            "Which key is to be revoked is not said.",
            "headrace keys revoke",
            "Give its id, as headrace keys list shows it.",
        )
    with _told(target, "dynamodb:UpdateItem"):
        found = revoke(_client(target), target.table, key_id)
    if found is None:
        raise UserError("There is no key of this id.", key_id, "headrace keys list shows all.")
    out = console.out()
    if as_json:
        out.print(Text(json.dumps(as_document(found))), soft_wrap=True)
        return
    out.print(Text(plain(f"Key {key_id} ({found.name}) is revoked; it stops within 30 seconds.")))


def as_document(key: ApiKey) -> dict[str, Any]:
    """For `--json`: what is known of a key; its hash stays where it is."""
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "tables": [str(pattern) for pattern in key.tables],
        "created_at": key.created_at.isoformat(),
        "expires_at": _instant(key.expires_at),
        "revoked_at": _instant(key.revoked_at),
        "last_used_at": _instant(key.last_used_at),
    }


def _rights(key: ApiKey) -> str:
    return f"{', '.join(sorted(key.scopes))} on {', '.join(map(str, key.tables))}"


def _end(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {_day(key.revoked_at)}"
    if key.expires_at is None:
        return "never expires"
    words = "expired" if key.expires_at <= datetime.now(UTC) else "expires"
    return f"{words} {_day(key.expires_at)}"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _instant(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _client(target: KeysTarget) -> DynamoDBClient:
    return session(target.credentials).client(
        "dynamodb", endpoint_url=target.endpoint_url, config=client_config()
    )


def _told(target: KeysTarget, right: str) -> AbstractContextManager[None]:
    return told_aws_errors(target.table, right=right, named_by=f"--table or {TABLE_VARIABLE}")

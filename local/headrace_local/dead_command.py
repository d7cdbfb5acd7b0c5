"""`headrace dead`: what lies in a dead-letter queue, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from headrace_local import console
from headrace_local.api_client import ApiClient, ApiUnreachableError, DropItem
from headrace_local.errors import CommandError
from headrace_local.figures import clock, count, plain
from headrace_local.queues import Letter, find_queues, look, sqs_client, waiting
from headrace_local.render import show as print_aligned
from headrace_local.target import API_VARIABLE
from headrace_shared.dead_letters import Said, Unreadable, read

_MOST: Final = 500

Service = Annotated[
    str, typer.Argument(metavar="SERVICE", help="router, loader or logger.", show_default=False)
]
DeadUrl = Annotated[
    str | None,
    typer.Option(
        "--dead-url",
        help="The dead-letter queue; whoever names one speaks to AWS with its own credentials. "
        "[env var: LOADER_DEAD_URL ...]",
    ),
]


@dataclass(frozen=True)
class Told:
    """A dead letter, what it says, and what the log knows of its drop.

    Args:
        item: None where the log knows nothing, or was not asked.
        unasked: why it was not asked.
    """

    letter: Letter
    content: Said | Unreadable
    item: DropItem | None = None
    unasked: str | None = None


def dead(
    service: Service,
    *,
    limit: Annotated[int, typer.Option(help="How many messages.", min=1, max=_MOST)] = 50,
    dead_url: DeadUrl = None,
    api_url: Annotated[
        str | None, typer.Option("--api-url", help="Where the API is.", envvar=API_VARIABLE)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document instead of text.")
    ] = False,
) -> None:
    """Show what lies in a service's dead-letter queue, and why. Nothing is taken out.

    `headrace redrive SERVICE` moves it back to the inbox once its cause is mended.
    """
    target = find_queues(service, dead_url, None, api_url)
    sqs = sqs_client(target)
    letters = look(sqs, target.dead_url, limit)
    total = max(waiting(sqs, target.dead_url), len(letters))
    found = list(_told(letters, target.api_url))
    if as_json:
        document = {
            "service": service,
            "queue": target.dead_url,
            "about": total,
            "messages": [as_document(one) for one in found],
        }
        console.out().print(Text(json.dumps(document, indent=2)), soft_wrap=True)
        return
    _print(service, found, total)


def _told(letters: Sequence[Letter], api_url: str | None) -> Iterator[Told]:
    if api_url is None:
        for letter in letters:
            yield Told(letter, read(letter.body), unasked="no address of the API is known")
        return
    with ApiClient(api_url) as api:
        unasked: str | None = None
        for letter in letters:
            content, item = read(letter.body), None
            if isinstance(content, Said) and unasked is None:
                try:
                    item = _item(api, content)
                except CommandError as error:
                    unasked = str(error)
            yield Told(letter, content, item, unasked)


def _item(api: ApiClient, content: Said) -> DropItem | None:
    """What the log has of the drop; None if nothing."""
    try:
        return api.drop(content.drop_id)
    except ApiUnreachableError:
        raise
    except CommandError as error:
        if error.exit_status == 2:
            return None
        raise


def as_document(told: Told) -> dict[str, Any]:
    """For `--json`: what is unknown is null."""
    letter, content, item = told.letter, told.content, told.item
    document: dict[str, Any] = {
        "message_id": letter.message_id,
        "sent_at": _instant(letter.sent_at),
        "first_received_at": _instant(letter.first_received_at),
        "receive_count": letter.receives,
    }
    if isinstance(content, Unreadable):
        return document | {
            "unreadable": plain(content.why),
            "beginning": plain(content.beginning),
        }
    return document | {
        "kind": content.kind,
        "drop_id": str(content.drop_id),
        "table": content.table or _table(item),
        "key": content.key,
        "state": item.state.value if item else None,
        "last_error": item.reason.model_dump(mode="json") if item and item.reason else None,
    }


def _table(item: DropItem | None) -> str | None:
    return f"{item.db_name}.{item.table_name}" if item and item.table_name else None


def _instant(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _print(service: str, found: Sequence[Told], total: int) -> None:
    out = console.out()
    if not found:
        out.print(f"No dead letters of the {service}.")
        return
    for told in found:
        out.print(_title(told), soft_wrap=True)
        lines = Table.grid(padding=(0, 2))
        for label, text in _lines(told):
            lines.add_row(Text(label, style="dim"), Text(plain(text)))
        print_aligned(out, Padding(lines, (0, 0, 0, 2)))
    shown = f"{count(len(found))} of about {count(total)}" if total > len(found) else count(total)
    letters = "dead letter" if total == 1 else "dead letters"
    out.print(Text(f"{shown} {letters}. headrace redrive {service} moves them back."))


def _title(told: Told) -> Text:
    content = told.content
    if isinstance(content, Unreadable):
        return Text("unreadable message", style="bold red")
    return Text.assemble((content.kind, "bold"), "  ", plain(content.key))


def _lines(told: Told) -> Iterator[tuple[str, str]]:
    content, letter = told.content, told.letter
    if isinstance(content, Said):
        yield "drop", str(content.drop_id)
        if table := content.table or _table(told.item):
            yield "table", table
    yield "message", letter.message_id
    if letter.first_received_at:
        yield "first received", clock(letter.first_received_at)
    yield "received", f"{_times(letter.receives)}, with this look"
    if isinstance(content, Unreadable):
        yield "why", content.why
        yield "begins", content.beginning
    else:
        yield from _last_error(told)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{count(number)} times"


def _last_error(told: Told) -> Iterator[tuple[str, str]]:
    item = told.item
    if told.unasked is not None and item is None:
        yield "state", f"not known: {told.unasked}"
    elif item is None:
        yield "state", "the log does not know the drop"
    else:
        yield "state", item.state.value
        if item.reason is not None:
            yield "last error", item.reason.message
            yield "to do", item.reason.remedy

"""`headrace redrive`: dead letters back to their inbox."""

from __future__ import annotations

import json
from typing import Annotated, Final

import typer
from rich.text import Text

from headrace_local import console
from headrace_local.dead_command import DeadUrl, Service
from headrace_local.errors import UserError
from headrace_local.figures import count
from headrace_local.queues import find_queues, inbox_variable, sqs_client, waiting
from headrace_local.redriving import Moved, Redrive

_PATIENCE_SECONDS: Final = 300.0


def redrive(
    service: Service,
    *,
    dead_url: DeadUrl = None,
    inbox_url: Annotated[
        str | None,
        typer.Option(
            help="The inbox, where the dead-letter queue is named too. "
            "[env var: LOADER_INBOX_URL ...]"
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds after which this stops waiting.", min=0)
    ] = _PATIENCE_SECONDS,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document instead of text.")
    ] = False,
) -> None:
    """Move a service's dead letters back to its inbox, once their cause is mended.

    Exit status: 0 if all are back, 1 if some are left, 2 for a mistake in the call.
    """
    target = find_queues(service, dead_url, inbox_url, None)
    if target.inbox_url is None:
        raise UserError(
            "The dead-letter queue is named, but not the inbox.",
            target.dead_url,
            f"Give --inbox-url or {inbox_variable(service)}.",
        )
    sqs = sqs_client(target)
    progress = _silent if as_json else _Told().progress
    moving = Redrive(sqs, target.dead_url, target.inbox_url, timeout, progress)
    # Of a queue that was empty a minute ago SQS may still count none: its own task sees them.
    moved = moving.run(waiting(sqs, target.dead_url))
    _conclude(service, moved, as_json=as_json)
    raise typer.Exit(0 if moved.finished else 1)


class _Told:
    """A line each time a quarter more is moved, so that a log is not flooded."""

    def __init__(self) -> None:
        self._quarters = 0

    def progress(self, number: int, about: int) -> None:
        quarters = 4 * number // about if about else 0
        if quarters > self._quarters and number < about:
            self._quarters = quarters
            text = f"{count(number)} of about {count(about)} moved"
            console.err().print(Text(text, style="dim"), soft_wrap=True)


def _silent(number: int, about: int) -> None:
    """Nothing is told on the way."""


def _conclude(service: str, moved: Moved, *, as_json: bool) -> None:
    out = console.out()
    if as_json:
        document = {
            "service": service,
            "moved": moved.number,
            "finished": moved.finished,
            "by": "move_task" if moved.by_sqs else "one_by_one",
        }
        out.print(Text(json.dumps(document)), soft_wrap=True)
        return
    out.print(Text(_sentence(service, moved)), soft_wrap=True)


def _sentence(service: str, moved: Moved) -> str:
    if moved.number == 0 and moved.finished:
        return f"No dead letters of the {service}: nothing to move."
    way = "by SQS itself" if moved.by_sqs else "one by one: this SQS has no message move tasks"
    messages = "message" if moved.number == 1 else "messages"
    text = f"{count(moved.number)} {messages} moved to the inbox of the {service} ({way})."
    if moved.finished:
        return text
    rest = (
        "SQS goes on moving the others; run the command again to watch."
        if moved.by_sqs
        else f"Some are left, or hidden for a moment: headrace dead {service}"
    )
    return f"{text} {rest}"

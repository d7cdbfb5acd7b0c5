"""`headrace up`: the platform in the foreground, with a calm live status."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from headrace_local import console
from headrace_local.errors import UserError
from headrace_local.platform import INBOX_SERVICES, Platform, PlatformOptions
from headrace_local.stack import DATA_FOLDER, Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from rich.live import Live

_MOST_PROCESSES: Final = 32
_REFRESH_SECONDS: Final = 1.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    *,
    scale: Annotated[
        str, typer.Option(help="Processes of a service, as in loader=3,router=2.")
    ] = "",
    data: Annotated[Path, typer.Option(help="Folder that keeps the data between runs.")] = Path(
        DATA_FOLDER
    ),
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Keep no data between runs.")
    ] = False,
    api_port: Annotated[int | None, typer.Option(min=1, max=65535, help="8080 if free.")] = None,
    aws_port: Annotated[int | None, typer.Option(min=1, max=65535, help="A free one.")] = None,
    pg_port: Annotated[int | None, typer.Option(min=1, max=65535, help="A free one.")] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every process's log lines.")
    ] = False,
) -> None:
    """Start the platform on this machine and stay with it until Ctrl-C."""
    options = PlatformOptions(
        data_dir=data,
        ephemeral=ephemeral,
        scale=parsed_scale(scale),
        api_port=api_port,
        aws_port=aws_port,
        pg_port=pg_port,
        on_line=_show_line if verbose else lambda _name, _line: None,
        on_event=_show_event,
    )
    asyncio.run(_stay(options, live=console.out().is_terminal and not verbose))


def parsed_scale(text: str) -> dict[str, int]:
    """`loader=3,router=2` as a mapping.

    Raises:
        UserError: it does not have that form, or names what cannot be scaled.
    """
    scale: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.strip().partition("=")
        if name not in INBOX_SERVICES or not count.isdecimal():
            raise _bad_scale(part, f"Name services as in loader=3; {', '.join(INBOX_SERVICES)}.")
        if not 1 <= int(count) <= _MOST_PROCESSES:
            raise _bad_scale(part, f"Choose 1 to {_MOST_PROCESSES} processes.")
        scale[name] = int(count)
    return scale


def ready_block(stack: Stack, seconds: float) -> str:
    """What a user copies: every address, and the next commands."""
    return "\n".join(
        (
            f"Headrace is ready ({seconds:.1f} s).",
            "",
            f"  API            {stack.api_url}/v1/drops",
            f"  documentation  {stack.api_url}/docs",
            f"  warehouse      {stack.warehouse_dsn}",
            f"  S3 endpoint    {stack.aws_endpoint_url}  (bucket {stack.lake_bucket})",
            f"  log table      {stack.log_table}",
            "",
            "In another terminal, in this folder:",
            "",
            "  headrace drop contract.json dev/schema/user_data/",
            "  headrace drop users.csv dev/append/user_data/",
            "  headrace status",
            '  eval "$(headrace env)"; aws s3 cp users.csv s3://$LAKE_BUCKET/dev/append/user_data/',
            "",
            "Ctrl-C ends it.",
        )
    )


async def _stay(options: PlatformOptions, *, live: bool) -> None:
    platform, stop = Platform(options), asyncio.Event()
    _on_signals(platform, stop)
    started = time.monotonic()
    starting = asyncio.create_task(platform.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        return
    try:
        stack = await starting
        console.out().print(ready_block(stack, time.monotonic() - started), markup=False)
        await (_watch(platform, stack, stop) if live else stop.wait())
    finally:
        stopping.cancel()
        console.out().print("Ending ...")
        await platform.stop()
    console.out().print("Ended; no process is left.")


def _on_signals(platform: Platform, stop: asyncio.Event) -> None:
    def hear() -> None:
        if stop.is_set():
            platform.kill()
        stop.set()

    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, hear)


async def _watch(platform: Platform, stack: Stack, stop: asyncio.Event) -> None:
    from rich.live import Live

    with Live(console=console.out(), auto_refresh=False, transient=True) as live:
        while not stop.is_set():
            await _refresh(live, platform, stack)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _REFRESH_SECONDS)


async def _refresh(live: Live, platform: Platform, stack: Stack) -> None:
    backlog = await asyncio.to_thread(_backlog, stack)
    live.update(_status(platform, backlog), refresh=True)


def _status(platform: Platform, backlog: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("process", "state", "pid", "restarts", "in its inbox"):
        table.add_column(title, justify="left" if title in {"process", "state"} else "right")
    for process in platform.processes:
        state = Text("running", "green") if process.running else Text("restarting", "yellow")
        waiting = backlog.get(process.name, "")
        table.add_row(
            process.name, state, str(process.pid or ""), str(process.restarts or ""), waiting
        )
    return table


def _backlog(stack: Stack) -> dict[str, str]:
    """Messages that wait and messages in hand, per inbox; empty while the emulator is away."""
    from botocore.exceptions import BotoCoreError, ClientError

    found = {}
    sqs = _sqs(stack)
    for service, url in stack.inboxes.items():
        with suppress(BotoCoreError, ClientError):
            attributes = sqs.get_queue_attributes(
                QueueUrl=url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                ],
            )["Attributes"]
            waiting = int(attributes["ApproximateNumberOfMessages"])
            in_hand = int(attributes["ApproximateNumberOfMessagesNotVisible"])
            found[service] = str(waiting + in_hand)
    return found


@cache
def _sqs_at(endpoint_url: str, region: str, key_id: str, secret: str) -> SQSClient:
    import boto3

    session = boto3.Session(key_id, secret, region_name=region)
    return session.client("sqs", endpoint_url=endpoint_url)


def _sqs(stack: Stack) -> SQSClient:
    return _sqs_at(
        stack.aws_endpoint_url,
        stack.aws_region,
        stack.aws_access_key_id,
        stack.aws_secret_access_key,
    )


def _show_line(name: str, line: str) -> None:
    console.out().print(Text.assemble((f"{name:<10} ", "cyan"), line))


def _show_event(message: str) -> None:
    console.err().print(Text(message, "yellow"))


def _bad_scale(part: str, what_to_do: str) -> UserError:
    return UserError(f"{part!r} is not a way to scale.", "--scale", what_to_do)

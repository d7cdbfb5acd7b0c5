"""What `headrace up` shows: one calm table on a terminal, one plain line per change in a pipe."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from headrace_local.figures import plain
from headrace_local.platform import Platform, PlatformOptions
from headrace_local.render import STYLES
from headrace_local.services import INBOX_SERVICES
from headrace_local.stack import DATA_FOLDER, FILE_NAME, PLACE_VARIABLE, Stack
from headrace_local.tally import Tally, log_line
from headrace_shared.log_schema import State

_TURN_SECONDS: Final = 1.0
_DEPTH_TURNS: Final = 5
"""While nothing is under way, queues are asked about at every fifth turn only."""

_UNDER_WAY: Final = frozenset({State.ROUTED, State.LOADING, State.WAITING})
_NAME_STYLES: Final = {
    "aws": "blue",
    "postgres": "magenta",
    "router": "cyan",
    "loader": "green",
    "logger": "yellow",
    "api": "bright_blue",
    "verifier": "bright_magenta",
}
_WARNING_LEVELS: Final = frozenset({"warning", "error", "critical"})
_SHOWN_FIRST: Final = ("timestamp", "level", "event")
_NOT_SHOWN: Final = frozenset({*_SHOWN_FIRST, "service", "logger", "trace_id"})


def ready_block(
    stack: Stack, options: PlatformOptions, seconds: float
) -> tuple[RenderableType, ...]:
    """Everything that a user copies: every address, and the next commands."""
    folder = options.data_dir
    kept = "nothing is kept" if options.ephemeral else f"{folder} (kept between runs)"
    addresses = {
        "API": stack.api_url,
        "API key": stack.api_key,
        "API documents": f"{stack.api_url}/docs",
        "Lake": f"s3://{stack.lake_bucket}",
        "AWS endpoint": stack.aws_endpoint_url,
        "Warehouse": stack.warehouse_dsn,
        "Data": kept,
        "Logs": str(folder / "logs"),
    }
    lines = [Text(f"  {name:<15}{value}") for name, value in addresses.items()]
    return (
        Text(f"Ready in {seconds:.1f} s.", style="bold green"),
        Text(),
        *lines,
        Text(),
        Text("Next, in another terminal:", style="bold"),
        *(Text(f"  {command}") for command in _next_commands(options)),
        Text(),
    )


def _next_commands(options: PlatformOptions) -> list[str]:
    place = options.data_dir.resolve() / FILE_NAME
    found_anyway = options.data_dir.name == DATA_FOLDER
    return [
        *([] if found_anyway else [f"export {PLACE_VARIABLE}={place}"]),
        "headrace drop FILE... dev/append/user_data/",
        "headrace status",
        'eval "$(headrace env)"; psql "$WAREHOUSE_DSN"',
        'curl -H "Authorization: Bearer $HEADRACE_API_KEY" "$HEADRACE_API_URL/v1/drops"',
    ]


@dataclass(frozen=True)
class Depth:
    """Messages of one inbox."""

    waiting: int
    in_work: int
    dead: int


class _View:
    """What both views do: say lines, hear processes, count drops."""

    def __init__(self, out: Console, *, verbose: bool) -> None:
        self._out = out
        self._verbose = verbose
        self._tally = Tally()

    def say(self, *lines: RenderableType) -> None:
        """Prints lines that stay."""
        for line in lines:
            self._out.print(line, soft_wrap=True)

    def on_event(self, message: str) -> None:
        """Something happened to a process."""
        self.say(Text(plain(message), style="yellow"))

    def on_line(self, name: str, line: str) -> None:
        """A process wrote a line."""
        if self._verbose:
            self.say(verbose_line(name, line))
        if name.partition("-")[0] == "logger" and self._tally.hear(line):
            self.on_tally()

    def on_tally(self) -> None:
        """A count has changed."""


class PipedView(_View):
    """One plain line per change; of the counts at most one a second."""

    def __init__(self, out: Console, *, verbose: bool) -> None:
        super().__init__(out, verbose=verbose)
        self._changed = asyncio.Event()

    def on_tally(self) -> None:
        """Told at the next turn, together with what comes until then."""
        self._changed.set()

    async def watch(self, platform: Platform, stack: Stack, until: asyncio.Event) -> None:  # noqa: ARG002
        """Tells changes until the event is set."""
        ended, told = asyncio.create_task(until.wait()), Text()
        while not ended.done():
            changed = asyncio.create_task(self._changed.wait())
            await asyncio.wait({ended, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            if self._changed.is_set():
                self._changed.clear()
                await asyncio.wait({ended}, timeout=_TURN_SECONDS)
                if told != (told := drops_line(self._tally.counts)):
                    self.say(told)


class TerminalView(_View):
    """A table of the processes and queues below everything that is said."""

    async def watch(self, platform: Platform, stack: Stack, until: asyncio.Event) -> None:
        """Keeps the table up to date until the event is set."""
        depths: Mapping[str, Depth] = {}
        ask = _depth_reader(stack)
        with Live(console=self._out, auto_refresh=False, transient=True) as live:
            turn = 0
            while not until.is_set():
                if turn % _DEPTH_TURNS == 0 or _UNDER_WAY & self._tally.counts.keys():
                    with suppress(Exception):  # the emulator may be coming back just now
                        depths = await asyncio.to_thread(ask)
                live.update(self._table(platform, depths), refresh=True)
                turn += 1
                with suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), _TURN_SECONDS)

    def _table(self, platform: Platform, depths: Mapping[str, Depth]) -> RenderableType:
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
        table.add_column("process")
        for name in ("pid", "restarts", "waiting", "in work", "dead"):
            table.add_column(name, justify="right")
        for process in platform.processes:
            depth = depths.get(process.name)
            table.add_row(
                Text(process.name, style=_style(process.name)),
                Text(str(process.pid)) if process.pid else Text("down", style="bold red"),
                _figure(process.restarts, "yellow"),
                *(
                    (_figure(depth.waiting), _figure(depth.in_work), _figure(depth.dead, "red"))
                    if depth
                    else ("", "", "")
                ),
            )
        return Group(table, Text(), drops_line(self._tally.counts))


def _style(process_name: str) -> str:
    return _NAME_STYLES.get(process_name.partition("-")[0], "")


def _figure(number: int, style: str = "") -> Text:
    return Text(f"{number:,}", style=style if number else "dim")


def drops_line(counts: Mapping[State, int]) -> Text:
    """`drops since the start: 3 loaded, 1 rejected`."""
    if not counts:
        return Text("no drops since the start", style="dim")
    parts = [(f"{number:,} {state}", STYLES[state]) for state, number in counts.items()]
    line = Text("drops since the start: ")
    return line.append_text(Text(", ").join(Text(text, style=style) for text, style in parts))


def verbose_line(name: str, line: str) -> Text:
    """A process's line after its name; a service's JSON as the event and its fields."""
    told = log_line(line)
    text = Text(f"{name:<10} ", style=_style(name))
    if told is None:
        return text.append(plain(line), style="default")
    style = "bold yellow" if told.get("level") in _WARNING_LEVELS else "default"
    text.append(f"{str(told.get('timestamp', ''))[11:23]} ", style="dim")
    text.append(plain(str(told.get("event", ""))), style=style)
    for field, value in told.items():
        if field not in _NOT_SHOWN and value is not None:
            text.append(f" {field}=", style="dim").append(plain(str(value)), style="default")
    return text


def _depth_reader(stack: Stack) -> Any:
    """A function that asks SQS for every inbox's depth. Blocks."""
    import boto3

    sqs = boto3.client(
        "sqs",
        endpoint_url=stack.aws_endpoint_url,
        region_name=stack.aws_region,
        aws_access_key_id=stack.aws_access_key_id,
        aws_secret_access_key=stack.aws_secret_access_key,
    )

    def number(url: str, *names: Any) -> list[int]:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return [int(found[name]) for name in names]

    def ask() -> dict[str, Depth]:
        depths = {}
        for service in INBOX_SERVICES:
            waiting, in_work = number(
                stack.inboxes[service],
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
            )
            dead = number(stack.dead_letter_queues[service], "ApproximateNumberOfMessages")
            depths[service] = Depth(waiting, in_work, *dead)
        return depths

    return ask

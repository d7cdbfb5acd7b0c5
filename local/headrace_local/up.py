"""`headrace up`: the platform in the foreground, with a calm live status."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from headrace_local import console, stack
from headrace_local.errors import UserError
from headrace_local.platform import API_PORT, Platform, PlatformOptions
from headrace_local.routes_file import routes_in
from headrace_local.services import SERVICES
from headrace_local.stack import Stack
from headrace_local.up_view import PipedView, TerminalView, ready_block

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOST_PROCESSES: Final = 32


def up(  # noqa: PLR0913 - options of a command
    *,
    scale: Annotated[
        str,
        typer.Option(
            metavar="SERVICE=N,...", help="Several processes of a service: loader=3,router=2."
        ),
    ] = "",
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Where data is kept between runs.")
    ] = Path(stack.DATA_FOLDER),
    routes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A JSON or YAML list of routes: raw/orders/dt={dt}/*.csv -> shop/append/orders",
        ),
    ] = None,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Keep nothing: begin empty, and remove all.")
    ] = False,
    api_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help="Of the API.  [default: 8080 if free]", show_default=False
        ),
    ] = None,
    aws_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help="Of the AWS emulator.  [default: any]", show_default=False
        ),
    ] = None,
    pg_port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, help="Of Postgres.  [default: any]", show_default=False),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show the log lines of every process.")
    ] = False,
) -> None:
    """Start the whole platform on this machine, and keep it running until Ctrl-C.

    Ctrl-C finishes what is under way and ends every process; a second one ends them at once.
    """
    options = PlatformOptions(
        data_dir=data,
        ephemeral=ephemeral,
        scale=parse_scale(scale),
        routes=routes_in(routes) if routes is not None else (),
        api_port=api_port,
        aws_port=aws_port,
        pg_port=pg_port,
        preferred_api_port=API_PORT,
    )
    raise typer.Exit(asyncio.run(Up(options, verbose=verbose).run()))


def parse_scale(text: str) -> dict[str, int]:
    """`loader=3,router=2` as service -> processes.

    Raises:
        UserError: an unknown service, no number, or too many processes.
    """
    scale = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        service, _, number = part.partition("=")
        if service not in SERVICES or not number.isdecimal():
            raise UserError(
                f"{part!r} does not say how many processes of which service.",
                f"--scale {text}",
                f"Write SERVICE=N, with commas between; services are {', '.join(SERVICES)}.",
            )
        scale[service] = int(number)
    for service, count in scale.items():
        most = 1 if service in ("api", "verifier") else _MOST_PROCESSES
        if not 1 <= count <= most:
            raise UserError(
                f"{count} processes of {service} cannot be run.",
                f"--scale {text}",
                f"Choose 1 to {most}." if most > 1 else f"There is one process of {service}.",
            )
    return scale


class Up:
    """One run, from the start to the last process's end."""

    def __init__(self, options: PlatformOptions, *, verbose: bool) -> None:
        out = console.out()
        make_view = TerminalView if out.is_terminal else PipedView
        self._view = make_view(out, verbose=verbose)
        self._interrupted = asyncio.Event()
        self._platform = Platform(
            replace(options, on_line=self._view.on_line, on_event=self._view.on_event)
        )

    async def run(self) -> int:
        """The exit status: 0 after Ctrl-C or SIGTERM, however early it came."""
        self._hear_signals()
        started = time.monotonic()
        self._view.say("Starting the platform; Ctrl-C ends it.")
        found = await self._start()
        try:
            if found is not None:
                seconds = time.monotonic() - started
                self._view.say(*ready_block(found, self._platform.options, seconds))
                await self._view.watch(self._platform, found, self._interrupted)
            self._view.say("Ending the platform.")
        finally:
            await self._platform.stop()
        self._view.say("Ended; no process is left.")
        return 0

    async def _start(self) -> Stack | None:
        """None if a signal came first."""
        starting = asyncio.create_task(self._platform.start())
        interrupted = asyncio.create_task(self._interrupted.wait())
        await asyncio.wait({starting, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        interrupted.cancel()
        if starting.done():
            return starting.result()
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        return None

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()

        def on_signal(number: int) -> None:
            if self._interrupted.is_set():
                self._platform.kill()
                os._exit(128 + number)
            self._interrupted.set()

        for number in _SIGNALS:
            loop.add_signal_handler(number, on_signal, number)

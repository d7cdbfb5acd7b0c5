"""`headrace demo`: the platform on this machine, and the main job before the user's eyes."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from headrace_local import console, demo_data
from headrace_local.demo_story import Story
from headrace_local.errors import UserError
from headrace_local.platform import API_PORT, Platform, PlatformOptions
from headrace_local.stack import DATA_FOLDER, FILE_NAME, PLACE_VARIABLE, Stack, find_stack, read

_FILES_FOLDER: Final = "demo-data"
_INTERRUPTED: Final = 130
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def demo(
    *,
    leave: Annotated[
        bool,
        typer.Option(
            "--exit",
            help="End the platform after the last line; on a terminal it stays up until Ctrl-C.",
        ),
    ] = False,
    data: Annotated[
        Path, typer.Option(help="Where the demo's files, stack.json and the logs go.")
    ] = Path(DATA_FOLDER),
) -> None:
    """Load real public data before your eyes: contracts, files, mistakes, a query, a request.

    Uses the platform that runs here, if one does. Else it starts one, and at the end removes it
    and its data again.
    """
    stays = not leave and sys.stdin.isatty() and sys.stdout.isatty()
    raise typer.Exit(asyncio.run(Demo(data, stays=stays).run()))


class Demo:
    """One run: the story is told in a thread, while this loop keeps the platform and hears signals.

    Args:
        folder: holds the demo's files, `stack.json` and the logs.
        stays: whether a platform of its own stays up after the last line, until Ctrl-C.
    """

    def __init__(self, folder: Path, *, stays: bool) -> None:
        self._folder = folder
        self._stays = stays
        self._started = time.monotonic()
        self._stop_story = threading.Event()
        self._interrupted = asyncio.Event()
        self._platform: Platform | None = None

    async def run(self) -> int:
        """The exit status: 0 when the story was told to its end."""
        self._hear_signals()
        _say(("Headrace demo", "bold"), ": every flight that left New York City in 2013")
        preparing = asyncio.create_task(
            asyncio.to_thread(demo_data.prepare, self._folder / _FILES_FOLDER)
        )
        try:
            stack = await self._find_or_start()
            if stack is None:
                return _INTERRUPTED
            stays = self._stays or self._platform is None
            story = Story(stack, await preparing, self._stop_story, stays=stays)
            if not await asyncio.to_thread(story.tell):
                return _INTERRUPTED
            await self._end()
            return 0
        finally:
            await asyncio.wait({preparing})
            if self._platform is not None:
                with _spinner("Ending the platform"):
                    await self._platform.stop()
                if self._interrupted.is_set():
                    _say("The platform has ended; no process is left behind.")

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()

        def on_signal(number: int) -> None:
            if self._interrupted.is_set():
                if self._platform is not None:
                    self._platform.kill()
                os._exit(128 + number)
            self._interrupted.set()
            self._stop_story.set()

        for number in _SIGNALS:
            loop.add_signal_handler(number, on_signal, number)

    async def _find_or_start(self) -> Stack | None:
        """The platform that is running, or a new one; None if interrupted."""
        try:
            stack = self._running()
        except UserError:
            return await self._start()
        _say("Uses the platform that is running already; it goes on afterwards.")
        return stack

    def _running(self) -> Stack:
        if self._folder == Path(DATA_FOLDER):
            return find_stack()
        stack = read(self._folder / FILE_NAME)
        if not stack.is_alive:
            raise UserError("The platform has ended.", str(self._folder), "Start it again.")
        return stack

    async def _start(self) -> Stack | None:
        self._platform = Platform(
            PlatformOptions(
                data_dir=self._folder,
                ephemeral=True,
                preferred_api_port=API_PORT,
                on_event=_tell_event,
            )
        )
        with _spinner("Starting the platform"):
            starting = asyncio.create_task(self._platform.start())
            interrupted = asyncio.create_task(self._interrupted.wait())
            await asyncio.wait({starting, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                with suppress(asyncio.CancelledError):
                    await starting
                return None
            interrupted.cancel()
        stack = starting.result()
        seconds = time.monotonic() - self._started
        _say(
            "An emulator of AWS (S3, EventBridge, SQS, DynamoDB), Postgres, and the services "
            "router, loader, logger, api and verifier run on this machine: "
            f"ready in {seconds:.1f} s."
        )
        if self._folder != Path(DATA_FOLDER):
            place = shlex.quote(str(self._folder.absolute() / FILE_NAME))
            _say("Other terminals find it with: ", f"export {PLACE_VARIABLE}={place}")
        return stack

    async def _end(self) -> None:
        """The last lines, and the wait for Ctrl-C where the platform stays up for a while."""
        took = f"The demo took {time.monotonic() - self._started:.1f} s."
        if self._platform is None:
            _say(took)
        elif self._stays:
            _say(
                took,
                " The platform stays up: ",
                ("Ctrl-C", "bold"),
                " ends it and removes its data.",
            )
            await self._interrupted.wait()
        else:
            _say(
                took, " The platform ends now, with its data; `headrace up` starts one that stays."
            )


def _say(*parts: str | tuple[str, str]) -> None:
    console.out().print(Text.assemble(*parts), soft_wrap=not console.out().is_terminal)


def _tell_event(message: str) -> None:
    console.err().print(Text(message, style="yellow"))


def _spinner(text: str) -> AbstractContextManager[object]:
    out = console.out()
    return out.status(text) if out.is_terminal else nullcontext()

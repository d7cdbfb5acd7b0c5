"""Where the commands print: coloured on a terminal, plain when piped or with NO_COLOR."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from headrace_local.errors import CommandError


@cache
def out() -> Console:
    """The console on standard output. Never wraps or shortens a line that is piped."""
    return _console(stderr=False)


@cache
def err() -> Console:
    """The console on standard error."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # rich reads NO_COLOR and TERM=dumb itself.
    return Console(stderr=stderr, highlight=False, soft_wrap=not stream.isatty())


def show_error(error: CommandError) -> None:
    """The three lines of an error on standard error."""
    from rich.text import Text

    console = err()
    console.print(Text.assemble(("error: ", "bold red"), error.what))
    console.print(Text.assemble(("where: ", "bold"), error.where))
    console.print(Text.assemble(("to do: ", "bold"), error.what_to_do))

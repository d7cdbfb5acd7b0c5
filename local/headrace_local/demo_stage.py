"""What the demo prints around the drops: headings, the commands that it stands for, addresses."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from headrace_local import render
from headrace_local.figures import plain


class Stage:
    """Prints on one console; what people copy from is never folded."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._acts = 0

    def act(self, title: str, sentence: str) -> None:
        """The next numbered heading, and what it is about."""
        self._acts += 1
        self.console.print()
        self.console.print(Text.assemble((f"{self._acts}. {title}. ", "bold"), sentence))

    def heading(self, title: str) -> None:
        """A heading without a number."""
        self.console.print()
        self.console.print(Text(title, style="bold"))

    def command(self, line: str) -> None:
        """What a user would have typed."""
        self.console.print(Text(f"$ {line}", style="dim"), soft_wrap=True)

    def quote(self, text: str) -> None:
        """Somebody else's text, set off from ours."""
        render.show(self.console, Padding(Text(_plain_lines(text), style="dim"), (0, 0, 0, 2)))

    def tip(self, comment: str, *commands: str) -> None:
        """Commands to copy, and what they are for."""
        self.console.print(Text(f"  # {comment}", style="dim"), soft_wrap=True)
        for command in commands:
            self.console.print(Text(f"  {command}"), soft_wrap=True)

    def pairs(self, *lines: tuple[str, str]) -> None:
        """Two columns."""
        width = max(len(left) for left, _ in lines)
        for left, right in lines:
            self.console.print(Text.assemble(f"  {left:<{width}}  ", right), soft_wrap=True)


def _plain_lines(text: str) -> str:
    """As `plain`, line by line."""
    return "\n".join(plain(line) for line in text.splitlines())


def command_name() -> str:
    """How to call this command line from here: its path, unless the PATH leads to it."""
    called = Path(sys.argv[0])
    found = shutil.which("headrace")
    if called.name != "headrace" or (found and Path(found).samefile(called)):
        return "headrace"
    return shown(called.resolve())


def shown(path: Path) -> str:
    """The path from here, if it lies below; else from the root."""
    absolute = path.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def quoted(path: Path) -> str:
    """The path as a shell takes it, as short as can be from here."""
    return shlex.quote(shown(path))

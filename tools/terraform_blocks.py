"""Terraform files as blocks and arguments: as much of HCL as `terraform fmt` leaves to be read.

Formatted text has one shape: a block begins in its level's first column and ends with a brace
there, and so does an argument that goes over several lines. A test runs `terraform fmt -check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

TERRAFORM: Final = Path(__file__).resolve().parent.parent / "infra" / "terraform"

_BLOCK: Final = re.compile(r'(\w+)((?: "[^"]*")*) \{(?P<closed>\s*\})?$')
_ARGUMENT: Final = re.compile(r"([\w-]+|\"[^\"]+\")\s*=\s?(.*)$")
_HEREDOC: Final = re.compile(r"<<-?(\w+)$")
_CLOSES: Final = ("}", "]", ")")


@dataclass(frozen=True)
class Block:
    """`kind "label" ... { body }`, and the comment that stands right above it."""

    kind: str
    labels: tuple[str, ...]
    body: str
    comment: str
    file: Path
    line: int

    @property
    def name(self) -> str:
        """Its last label."""
        return self.labels[-1]

    def arguments(self) -> dict[str, str]:
        """Argument -> its expression as it is written."""
        return dict(_arguments(self.body))

    def inner(self) -> list[Block]:
        """The blocks in it, one level down."""
        return list(_blocks(self.body, self.file, self.line))


def modules(root: Path = TERRAFORM) -> list[Path]:
    """Every folder with .tf files of its own: the root, and what is under it."""
    return sorted({path.parent for path in root.rglob("*.tf") if ".terraform" not in path.parts})


def blocks(module: Path, kind: str | None = None) -> list[Block]:
    """The blocks of a module's files, those of one kind if asked, file by file."""
    found = [
        block for path in sorted(module.glob("*.tf")) for block in _blocks(path.read_text(), path)
    ]
    return [block for block in found if kind is None or block.kind == kind]


def text(expression: str) -> str:
    """What a string says, be it quoted or a heredoc; an expression of another kind as it is."""
    if expression.startswith('"'):
        return expression[1:-1].replace('\\"', '"').replace("\\n", "\n")
    if _HEREDOC.match(expression.splitlines()[0]):
        return dedent("\n".join(expression.splitlines()[1:-1]))
    return expression


def _blocks(source: str, file: Path, offset: int = 0) -> Iterator[Block]:
    lines = source.splitlines()
    comment: list[str] = []
    at = 0
    while at < len(lines):
        found = _BLOCK.match(lines[at])
        end = at if not found or found["closed"] else _end(lines, at)
        if found:
            labels = tuple(re.findall(r'"([^"]*)"', found[2]))
            body = dedent("\n".join(lines[at + 1 : end]))
            yield Block(found[1], labels, body, " ".join(comment), file, offset + at + 1)
        line = lines[at]
        comment = [*comment, line.lstrip("# ")] if line.startswith("# ") else []
        at = (end if found else _skipped(lines, at)) + 1


def _skipped(lines: list[str], at: int) -> int:
    """The last line of an argument that begins here; other lines are one line."""
    found = _ARGUMENT.match(lines[at])
    return _argument_end(lines, at, found[2]) if found else at


def _end(lines: list[str], at: int) -> int:
    """Where a block ends: the next brace in the first column."""
    return next(i for i in range(at + 1, len(lines)) if lines[i].startswith("}"))


def _arguments(body: str) -> Iterator[tuple[str, str]]:
    lines = body.splitlines()
    at = 0
    while at < len(lines):
        found = _ARGUMENT.match(lines[at])
        if found:
            end = _argument_end(lines, at, found[2])
            yield found[1].strip('"'), "\n".join([found[2], *lines[at + 1 : end + 1]])
            at = end
        elif (block := _BLOCK.match(lines[at])) and not block["closed"]:
            at = _end(lines, at)
        at += 1


def _argument_end(lines: list[str], at: int, first: str) -> int:
    """The last line of an argument: of a heredoc its mark, else the last that goes on."""
    if heredoc := _HEREDOC.search(first):
        return next(i for i in range(at + 1, len(lines)) if lines[i].strip() == heredoc[1])
    end = at
    while end + 1 < len(lines) and _goes_on(lines[end + 1]):
        end += 1
    return end


def _goes_on(line: str) -> bool:
    return line.startswith((" ", *_CLOSES))

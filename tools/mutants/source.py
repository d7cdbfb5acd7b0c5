"""A module as text and as a tree, and a small change of it: a mutation."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

Positioned = ast.expr | ast.stmt


@dataclass(frozen=True, slots=True)
class Mutation:
    """Bytes `start` to `end` of a module become `replacement`; `line` is where they begin."""

    start: int
    end: int
    replacement: bytes
    line: int
    operator: str


class Source:
    """The text of a module, which mutations refer to by byte offsets."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    @cached_property
    def tree(self) -> ast.Module:
        """The module as Python reads it."""
        return ast.parse(self.text)

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *accumulate(map(len, self.text.splitlines(keepends=True)))]

    def span(self, node: Positioned) -> tuple[int, int]:
        """Where a node begins and ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._line_starts[node.lineno - 1] + node.col_offset
        return start, self._line_starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: Positioned) -> bytes:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def change(self, start: int, end: int, replacement: bytes, operator: str) -> Mutation:
        """The mutation of these bytes."""
        return Mutation(start, end, replacement, self.text.count(b"\n", 0, start) + 1, operator)

    def mutated(self, mutation: Mutation) -> bytes:
        """The whole module after a mutation."""
        return self.text[: mutation.start] + mutation.replacement + self.text[mutation.end :]

    def compiles(self, mutation: Mutation) -> bool:
        """Whether the mutation is still Python."""
        try:
            ast.parse(self.mutated(mutation))
        except (SyntaxError, ValueError):
            return False
        return True

    def shown(self, mutation: Mutation) -> tuple[str, str]:
        """The lines that the mutation touches, before and after it, without their indent."""
        first = self.text.rfind(b"\n", 0, mutation.start) + 1
        last = self.text.find(b"\n", mutation.end)
        last = len(self.text) if last < 0 else last
        before = self.text[first:last]
        after = (
            self.text[first : mutation.start]
            + mutation.replacement
            + self.text[mutation.end : last]
        )
        return _one_line(before), _one_line(after)


def _one_line(text: bytes) -> str:
    return " ".join(text.decode().split())

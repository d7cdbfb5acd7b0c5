"""Which tests execute which lines, and so which tests are worth running on a mutant."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from tools.mutants.sample import Mutant
from tools.mutants.source import Source

_FIRST: Final = "tests/unit/"
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Reached:
    """What a run of all tests has shown.

    Args:
        lines: module -> line -> the tests that execute it.
        seconds: how long each test took that passed.
    """

    lines: Mapping[str, Mapping[int, Collection[str]]]
    seconds: Mapping[str, float]

    def tests(self, module: str, lines: Iterable[int]) -> set[str]:
        """The tests that passed and execute one of these lines."""
        found = self.lines.get(module, {})
        reached = set[str]().union(*(found.get(line, ()) for line in lines))
        return {test for test in reached if test in self.seconds}


@dataclass(frozen=True, slots=True)
class Choice:
    """The tests for a mutant, in their order: unit tests, then others as far as the time allows.

    Args:
        others_left_out: how many tests that execute the line the time does not allow.
    """

    unit: Sequence[str]
    others: Sequence[str]
    others_left_out: int


def chosen(mutant: Mutant, texts: Mapping[str, bytes], reached: Reached, seconds: float) -> Choice:
    """The tests that may see a mutant.

    Args:
        texts: the modules that may use what the mutant's module defines.
        seconds: how long the tests beside the unit tests may take, as they did unchanged.
    """
    found = _tests(mutant, texts, reached)
    unit = sorted(test for test in found if test.startswith(_FIRST))
    others = _one_of_each_file_first(found - {*unit}, reached.seconds)
    taken, spent = list[str](), 0.0
    for test in others:
        spent += reached.seconds[test]
        if spent <= seconds or not taken:
            taken.append(test)
    return Choice(unit, taken, len(others) - len(taken))


def _tests(mutant: Mutant, texts: Mapping[str, bytes], reached: Reached) -> set[str]:
    """Those that execute the statement; where it runs at import, those of what uses its name."""
    tree = Source(texts[mutant.module]).tree
    line = mutant.mutation.line
    function = _function_at(tree, line)
    if function is not None and function.body[0].lineno <= line:
        return reached.tests(mutant.module, _statement_lines(function, line))
    if function is not None:  # a default
        return reached.tests(mutant.module, _lines(function))
    names = _defined_by(tree, line)
    used = set[str]().union(
        *(reached.tests(module, _users(Source(text).tree, names)) for module, text in texts.items())
    )
    return used or reached.tests(mutant.module, _lines(tree))


def _statement_lines(function: Function, line: int) -> Iterable[int]:
    """The lines of the innermost statement, or of its head where it has a body."""
    within = [
        node for node in ast.walk(function) if isinstance(node, ast.stmt) and line in _lines(node)
    ]
    innermost = min(within, key=lambda node: len(_lines(node)))
    body = [
        node.lineno
        for node in ast.walk(innermost)
        if isinstance(node, ast.stmt) and node is not innermost
    ]
    if not body:
        return _lines(innermost)
    return range(innermost.lineno, min(body)) if line < min(body) else [line]


def _defined_by(tree: ast.Module, line: int) -> set[str]:
    """The names at module level that a statement defines, and those that are made of them."""
    made = {
        name: {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        for node in tree.body
        for name in _targets(node)
    }
    names = {name for node in tree.body if line in _lines(node) for name in _targets(node)}
    while more := {name for name, parts in made.items() if parts & names} - names:
        names |= more
    return names


def _targets(node: ast.stmt) -> list[str]:
    match node:
        case ast.Assign(targets=targets):
            return [one.id for one in targets if isinstance(one, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.ClassDef(name=name):
            return [name]
    return []


def _users(tree: ast.Module, names: set[str]) -> Iterator[int]:
    """The lines of the functions that use one of the names."""
    for function in ast.walk(tree):
        if isinstance(function, Function):
            words = {_word(node) for node in ast.walk(function)}
            if words & names:
                yield from _lines(function)


def _word(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return None


def _function_at(tree: ast.AST, line: int) -> Function | None:
    found = [node for node in ast.walk(tree) if isinstance(node, Function) and line in _lines(node)]
    return max(found, key=lambda node: node.lineno, default=None)


def _lines(node: ast.AST) -> range:
    first = getattr(node, "lineno", 1)
    last = getattr(node, "end_lineno", None) or max(
        (getattr(one, "end_lineno", 0) or 0 for one in ast.walk(node)), default=first
    )
    return range(first, last + 1)


def _one_of_each_file_first(tests: Iterable[str], seconds: Mapping[str, float]) -> list[str]:
    """Tests of one file see the same things: those of many files see more in the same time."""
    by_file: defaultdict[str, list[str]] = defaultdict(list)
    for test in sorted(tests, key=lambda one: (seconds[one], one)):
        by_file[test.partition("::")[0]].append(test)
    rounds = zip_longest(*by_file.values())
    return [test for one in rounds for test in one if test is not None]

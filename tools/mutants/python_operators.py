"""Small changes of Python code that a test ought to notice.

Left alone: annotations, decorators, docstrings, assertions (they state what is so), messages (the
text of f-strings), and calls of the log.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from tools.mutants.source import Mutation, Positioned, Source

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[bytes, tuple[bytes, ...]]]] = {
    ast.Lt: (rb"<", (b"<=", b">")),
    ast.LtE: (rb"<=", (b"<", b">=")),
    ast.Gt: (rb">", (b">=", b"<")),
    ast.GtE: (rb">=", (b">", b"<=")),
    ast.Eq: (rb"==", (b"!=",)),
    ast.NotEq: (rb"!=", (b"==",)),
    ast.Is: (rb"\bis\b", (b"is not",)),
    ast.IsNot: (rb"\bis\s+not\b", (b"is",)),
    ast.In: (rb"\bin\b", (b"not in",)),
    ast.NotIn: (rb"\bnot\s+in\b", (b"in",)),
}
_ARITHMETIC: Final[dict[type[ast.operator], tuple[bytes, bytes]]] = {
    ast.Add: (rb"\+", b"-"),
    ast.Sub: (rb"-", b"+"),
    ast.Mult: (rb"\*", b"//"),
    ast.Div: (rb"/", b"*"),
    ast.FloorDiv: (rb"//", b"*"),
    ast.Mod: (rb"%", b"*"),
    ast.BitOr: (rb"\|", b"&"),
    ast.BitAnd: (rb"&", b"|"),
    ast.LShift: (rb"<<", b">>"),
    ast.RShift: (rb">>", b"<<"),
}
_CALLS: Final = {"min": b"max", "max": b"min", "any": b"all", "all": b"any"}
_REMOVED: Final = (ast.Raise, ast.Break, ast.Continue, ast.AugAssign, ast.Delete)
_LOGS: Final = ("_log", "logger")


def python_mutations(source: Source) -> Iterator[Mutation]:
    """Every mutation of the code of a module."""
    for node in _nodes(source.tree):
        yield from _of_node(source, node)


def _of_node(source: Source, node: ast.AST) -> Iterator[Mutation]:
    match node:
        case ast.expr():
            yield from _expression(source, node)
        case ast.stmt():
            yield from _statement(source, node)
    for test in _tests(node):
        yield from _condition(source, test)


def _expression(source: Source, node: ast.expr) -> Iterator[Mutation]:
    match node:
        case ast.Compare():
            yield from _comparisons(source, node)
        case ast.BoolOp():
            yield from _and_or(source, node)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield _replaced(source, node, b"(" + source.of(operand) + b")", "not")
        case ast.BinOp():
            yield from _arithmetic(source, node)
        case ast.Constant():
            yield from _constant(source, node)
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
            yield _replaced(source, node.func, _CALLS[name], "call")


def _comparisons(source: Source, node: ast.Compare) -> Iterator[Mutation]:
    sides = pairwise([node.left, *node.comparators])
    for operator, (left, right) in zip(node.ops, sides, strict=True):
        written, others = _COMPARISONS[type(operator)]
        for other in others:
            yield from _between(source, left, right, written, other, "comparison")


def _and_or(source: Source, node: ast.BoolOp) -> Iterator[Mutation]:
    is_and = isinstance(node.op, ast.And)
    written, other = (rb"\band\b", b"or") if is_and else (rb"\bor\b", b"and")
    for left, right in pairwise(node.values):
        yield from _between(source, left, right, written, other, "and, or")
    for value in node.values:
        yield _replaced(source, value, b"True" if is_and else b"False", "operand")


def _arithmetic(source: Source, node: ast.BinOp) -> Iterator[Mutation]:
    if type(node.op) in _ARITHMETIC:
        written, other = _ARITHMETIC[type(node.op)]
        yield from _between(source, node.left, node.right, written, other, "arithmetic")


def _constant(source: Source, node: ast.Constant) -> Iterator[Mutation]:
    if isinstance(node.value, bool):
        yield _replaced(source, node, str(not node.value).encode(), "constant")
    elif isinstance(node.value, int | float):
        yield _replaced(source, node, f"{node.value + 1}".encode(), "constant")


def _tests(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            return [test]
        case ast.comprehension(ifs=tests):
            return tests
        case ast.match_case(guard=ast.expr() as guard):
            return [guard]
    return []


def _condition(source: Source, test: ast.expr) -> Iterator[Mutation]:
    """A comparison and a `not` have operators of their own."""
    is_not = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    if not (isinstance(test, ast.Compare) or is_not):
        yield _replaced(source, test, b"not (" + source.of(test) + b")", "condition")


def _statement(source: Source, node: ast.stmt) -> Iterator[Mutation]:
    match node:
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield _replaced(source, value, b"None", "return")
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield _replaced(source, node, b"pass", "statement")
        case _ if isinstance(node, _REMOVED):
            yield _replaced(source, node, b"pass", "statement")


def _replaced(source: Source, node: Positioned, replacement: bytes, operator: str) -> Mutation:
    return source.change(*source.span(node), replacement, operator)


def _between(
    source: Source, left: ast.expr, right: ast.expr, written: bytes, other: bytes, operator: str
) -> Iterator[Mutation]:
    """What is written between two nodes, beside brackets and comments, replaced."""
    start, end = source.span(left)[1], source.span(right)[0]
    gap = re.sub(rb"#[^\n]*", lambda comment: b" " * len(comment[0]), source.text[start:end])
    found = re.search(written, gap)
    if found:
        yield source.change(start + found.start(), start + found.end(), other, operator)


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The node and those within it, in their order, that are not left alone."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list", "type_params"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _is_left_alone(child):
                    yield from _nodes(child)


def _is_left_alone(node: ast.AST) -> bool:
    match node:
        case ast.Assert() | ast.JoinedStr():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return name in _LOGS
    return False

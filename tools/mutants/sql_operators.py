"""Small changes of the SQL in a module: statements and the fragments they are composed of.

Left alone: SQL's comments and quoted texts, placeholders, and what is filled in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from tools.mutants.source import Mutation, Positioned, Source

_BEGINS_SQL: Final = re.compile(
    r"\s*(--|select\b|insert into\b|update\b|delete from\b|create\b|alter\b|truncate\b|drop\b"
    r"|with (recursive )?\w+ (\(.*\) )?as\b|lock table\b|copy\b|merge into\b|exists ?\()"
)
_TAKES_SQL: Final = frozenset({"SQL", "execute", "executemany"})
_HIDDEN: Final = re.compile(
    rb"--[^\n]*|%\(\w+\)s|%s|\{[^{}]*\}|'[^'\n]*'|::\w+(?:\[\])?|\$\w*\$|->>?|#>>?|=>"
)

_SWAPS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (rb"\band\b(?! current row)", b"or"),
    (rb"\bor\b(?! replace)", b"and"),
    (rb"\bnot exists\b", b"exists"),
    (rb"(?<!not )(?<!if )\bexists\b", b"not exists"),
    (rb"\bis not null\b", b"is null"),
    (rb"\bis null\b", b"is not null"),
    (rb"\bis not distinct from\b", b"is distinct from"),
    (rb"\bis distinct from\b", b"is not distinct from"),
    (rb"\bnot in\b", b"in"),
    (rb"(?<=and )not (?!exists|in\b)|(?<=where )not (?!exists|in\b)", b""),
    (rb"<>", b"="),
    (rb"<=", b"<"),
    (rb">=", b">"),
    (rb"(?<![<>=])<(?![>=])", b"<="),
    (rb"(?<![<>=])<(?![>=])", b">"),
    (rb"(?<![<>=])>(?![>=])", b">="),
    (rb"(?<![<>=])>(?![>=])", b"<"),
    (rb"(?<![<>=:])=(?![>=])", b"<>"),
    (rb"\btrue\b", b"false"),
    (rb"\bfalse\b", b"true"),
    (rb"\bmin\(", b"max("),
    (rb"\bmax\(", b"min("),
    (rb"\bgreatest\(", b"least("),
    (rb"\bleast\(", b"greatest("),
    (rb" desc\b", b""),
    (rb" asc\b", b" desc"),
    (rb"\bunion all\b", b"union"),
    (rb"\bdistinct (?!from|on)", b""),
    (rb" for (?:no key )?update\b", b""),
    (rb" \+ ", b" - "),
    (rb" - ", b" + "),
)
_NUMBER: Final = re.compile(rb"(?<![\w.$])\d+(?![\w.])")
_TERM: Final = re.compile(rb"(?<=\n)[ \t]*(?:and|or) [^\n]*")


def sql_mutations(source: Source) -> Iterator[Mutation]:
    """Every mutation of the SQL of a module."""
    for node in _sql_texts(source.tree):
        start, _ = source.span(node)
        shown = _without_hidden(source.of(node))
        for pattern, other in _SWAPS:
            for found in re.finditer(pattern, shown):
                yield _change(source, start, found, other)
        for found in _NUMBER.finditer(shown):
            yield _change(source, start, found, str(int(found[0]) + 1).encode())
        for found in _TERM.finditer(shown):
            if found[0].count(b"(") == found[0].count(b")") and b'"' not in found[0]:
                yield _change(source, start, found, b"")


def _change(source: Source, start: int, found: re.Match[bytes], other: bytes) -> Mutation:
    return source.change(start + found.start(), start + found.end(), other, "SQL")


def _without_hidden(text: bytes) -> bytes:
    """The text, as long as it was, with spaces where nothing is to be changed."""
    return _HIDDEN.sub(lambda hidden: b"\x00" * len(hidden[0]), text)


def _sql_texts(tree: ast.Module) -> Iterator[Positioned]:
    """The string literals that are SQL, or are handed to what takes SQL."""
    handed = {id(one) for call in ast.walk(tree) for one in _handed_over(call)}
    for node in ast.walk(tree):
        text = _text(node)
        if text is not None and (id(node) in handed or _BEGINS_SQL.match(text)):
            assert isinstance(node, ast.expr)
            yield node


def _handed_over(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[text, *_]):
            return [text] if name in _TAKES_SQL else []
    return []


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return text
    return None

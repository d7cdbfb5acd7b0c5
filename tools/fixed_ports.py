"""Tests take free ports: on a fixed one, another program may answer in place of ours."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# Port 1 (tcpmux) is where tests connect in order to be refused.
_ADDRESS: Final = re.compile(r"(?:127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1\]):(?!1\b)\d+")
_NAMED: Final = re.compile(r"(?:^|[_.])port$", re.IGNORECASE)
_OF_SOCKETS: Final = frozenset({"bind", "connect", "create_connection", "create_server"})
_HIGHEST: Final = 65_535


def fixed_ports(root: Path) -> list[str]:
    """Places in tests that write down the number of a port, which they listen on or connect to.

    Unit tests run no server: there, the address of one is a value like any other.
    """
    return [
        f"{path.relative_to(root)}:{number}: a fixed port; take a free one (headrace_local.ports)"
        for path in sorted((root / "tests").rglob("*.py"))
        for number in sorted(set(_lines(path, with_values="unit" not in path.parts)))
    ]


def _lines(path: Path, *, with_values: bool) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        ports = [*_of_sockets(node), *(_named(node) if with_values else ())]
        if any(map(_is_port, ports)) or (with_values and _is_address_in_text(node)):
            yield node.lineno  # type: ignore[attr-defined]  # expressions and statements have one


def _is_address_in_text(node: ast.AST) -> bool:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return False
    return _ADDRESS.search(node.value) is not None


def _of_sockets(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _OF_SOCKETS:
        pairs = [one for one in node.args if isinstance(one, ast.Tuple) and len(one.elts) == 2]
        yield from (one.elts[1] for one in pairs)


def _named(node: ast.AST) -> Iterator[ast.AST | None]:
    """What has the name of a port."""
    if isinstance(node, ast.keyword) and _NAMED.search(node.arg or ""):
        yield node.value
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(_NAMED.search(ast.unparse(one)) for one in targets):
            yield node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and _NAMED.search(str(key.value)):
                yield value


def _is_port(node: ast.AST | None) -> bool:
    """Whether it is a number from 1 to the highest port, as number or text; 0 is any free port."""
    if not isinstance(node, ast.Constant):
        return False
    text = str(node.value)
    return text.isdecimal() and 0 < int(text) <= _HIGHEST

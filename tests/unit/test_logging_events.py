"""The catalogue of log events is complete, and nothing in it is invented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from headrace_shared.events import CATALOGUE
from tools.layout import services, shared

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def test_logged_events_are_those_of_the_catalogue() -> None:
    assert set(_logged()) == set(CATALOGUE)


NAME = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z_]+")


def test_names_are_a_noun_and_a_participle() -> None:
    assert [name for name in CATALOGUE if not NAME.fullmatch(name)] == []


def _logged() -> Iterator[str]:
    for package in (shared(ROOT), *services(ROOT)):
        for module in package.modules():
            for node in ast.walk(ast.parse(module.read_text("utf-8"))):
                if isinstance(node, ast.Call) and _is_log_call(node.func):
                    yield from _names(node, module)


def _is_log_call(called: ast.expr) -> bool:
    return (
        isinstance(called, ast.Attribute)
        and called.attr in LEVELS
        and isinstance(called.value, ast.Name)
        and called.value.id in ("_log", "log", "logger")
    )


def _names(call: ast.Call, module: Path) -> Iterator[str]:
    """Plain texts, or a choice between two: what is put together cannot be looked up."""
    name = call.args[0] if call.args else None
    for choice in (name.body, name.orelse) if isinstance(name, ast.IfExp) else (name,):
        assert isinstance(choice, ast.Constant), f"{module}:{call.lineno} logs no plain name"
        assert isinstance(choice.value, str)
        yield choice.value

"""Who may import what: services know no other service, and use only what their own lock holds."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.layout import SERVICES, Distribution, distributions, shared
from tools.locks import read_lock


@dataclass(frozen=True)
class Import:
    """One imported top-level package, where, and whether only a type checker sees it."""

    package: str
    place: str
    typing_only: bool


def forbidden_imports(root: Path) -> list[str]:
    """Imports that would tie packages together which must be deployable one by one."""
    service_packages = {f"headrace_{name}" for name in SERVICES}
    wrong = []
    for ours in distributions(root):
        allowed = {ours.package, "headrace_shared"}
        for one in _imports_of(ours, root):
            known = one.package in service_packages | {"headrace_local", "headrace_shared"}
            if known and one.package not in allowed:
                wrong.append(f"{one.place}: {ours.package} must not import {one.package}")
    return wrong


def unlocked_imports(root: Path) -> list[str]:
    """Third-party imports that the package does not declare, or that its lock does not hold."""
    providers = packages_distributions()
    base = _declared(shared(root))
    wrong = []
    for ours in distributions(root):
        declared, locked = base | _declared(ours), set(read_lock(ours.lock))
        for one in _imports_of(ours, root):
            if _is_third_party(one):
                wrong += _judge(one, _providers(one, providers), declared, locked, ours.lock.name)
    return wrong


def _judge(
    one: Import, names: set[str], declared: set[str], locked: set[str], lock_name: str
) -> list[str]:
    if not names & locked:
        return [f"{one.place}: {one.package} is not in {lock_name}"]
    if not names & declared:
        return [f"{one.place}: {one.package} is not declared in pyproject.toml"]
    return []


def _providers(one: Import, providers: Mapping[str, Sequence[str]]) -> set[str]:
    return {canonicalize_name(name) for name in providers.get(one.package, [one.package])}


def _is_third_party(one: Import) -> bool:
    ours = one.package.startswith("headrace_")
    return not (ours or one.typing_only or one.package in sys.stdlib_module_names)


def _declared(ours: Distribution) -> set[str]:
    names: set[str] = set()
    for requirement in ours.requirements():
        names.add(canonicalize_name(requirement.name))
        names |= _brought_by_extras(requirement)
    return names


def _brought_by_extras(requirement: Requirement) -> set[str]:
    """Asking for `psycopg[pool]` declares psycopg-pool."""
    try:
        inner = [Requirement(text) for text in requires(requirement.name) or []]
    except PackageNotFoundError:
        return set()
    return {
        canonicalize_name(one.name)
        for one in inner
        for extra in requirement.extras
        if one.marker and one.marker.evaluate({"extra": extra})
    }


def _imports_of(ours: Distribution, root: Path) -> Iterator[Import]:
    for path in sorted(ours.modules()):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typing_only = _typing_only_nodes(tree)
        for node in ast.walk(tree):
            for package in _top_level_names(node):
                place = f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"
                yield Import(package, place, id(node) in typing_only)


def _top_level_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module.partition(".")[0]]
    return []


def _typing_only_nodes(tree: ast.Module) -> set[int]:
    return {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }

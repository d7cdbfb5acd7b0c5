"""Whether the locks are whole: hashed, current with the pyproject.toml files, and of one mind."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.layout import (
    BUILD_LOCK,
    DEV_LOCK,
    EMULATOR_LOCK,
    POLICY_LOCK,
    distributions,
    services,
    shared,
)


def read_lock(path: Path) -> dict[str, str]:
    """Canonical name -> version of everything that the lock holds."""
    return {name: version for name, version, _ in _entries(path)}


def unhashed(root: Path) -> list[str]:
    """Locked versions without a hash: anybody on the way could swap their files."""
    return [
        f"{path.relative_to(root)}: {name} has no hash"
        for path in [*_locks(root), root / POLICY_LOCK]
        for name, _, hashed in _entries(path)
        if not hashed
    ]


def stale(root: Path) -> list[str]:
    """What a pyproject.toml asks for and its locks do not give: somebody forgot `make lock`."""
    base = shared(root).requirements()
    development = [one for ours in distributions(root) for one in ours.requirements()]
    wrong = _unmet(root / DEV_LOCK, development + _group(root, "dev"), root)
    wrong += _unmet(root / BUILD_LOCK, _group(root, "build"), root)
    wrong += _unmet(root / EMULATOR_LOCK, _group(root, "emulator"), root)
    wrong += _unmet(root / POLICY_LOCK, _group(root, "policy"), root)
    for service in services(root):
        wrong += _unmet(service.lock, base + service.requirements(), root)
    return wrong


def drifted(root: Path) -> list[str]:
    """Versions that an image would install and the tests do not run with."""
    tested = read_lock(root / DEV_LOCK)
    return [
        f"{path.relative_to(root)}: {name} is {version}, in {DEV_LOCK} {tested.get(name, 'absent')}"
        for path in _locks(root)
        for name, version in read_lock(path).items()
        if tested.get(name) != version
    ]


def _locks(root: Path) -> list[Path]:
    """Those of what runs with our code; the scanner's is held to nobody's versions."""
    shared_ones = [root / name for name in (DEV_LOCK, BUILD_LOCK, EMULATOR_LOCK)]
    return [*shared_ones, *(service.lock for service in services(root))]


def _entries(path: Path) -> list[tuple[str, str, bool]]:
    """Name, version and whether it is hashed, one for each requirement of the lock."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    found: list[tuple[str, str, bool]] = []
    for line in lines:
        name, _, rest = line.partition("==")
        version = rest.split()[0] if rest else ""
        found.append((canonicalize_name(name.strip()), version, "--hash=sha256:" in line))
    return found


def _unmet(lock: Path, wanted: list[Requirement], root: Path) -> list[str]:
    held = read_lock(lock)
    return [
        f"{lock.relative_to(root)}: {one} is asked for, {held.get(name, 'nothing')} is locked"
        for one in wanted
        if not _meets(held, name := canonicalize_name(one.name), one)
    ]


def _meets(held: Mapping[str, str], name: str, wanted: Requirement) -> bool:
    return name in held and wanted.specifier.contains(held[name], prereleases=True)


def _group(root: Path, name: str) -> list[Requirement]:
    with (root / "pyproject.toml").open("rb") as file:
        entries: list[Any] = tomllib.load(file)["dependency-groups"][name]
    return [Requirement(entry) for entry in entries if isinstance(entry, str)]

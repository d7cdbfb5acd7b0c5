"""Runs every measurement and keeps the table in `benchmarks/README.md`."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

import structlog

from benchmarks import measures
from benchmarks.batching import batching
from benchmarks.figure import Figure, table_of
from benchmarks.keeping import keep
from benchmarks.recovery import recovery
from benchmarks.verifying import verifying
from headrace_local.platform import PlatformOptions
from tests.running_platform import running


def main() -> None:
    """One run on a fresh platform, from start to the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        options = PlatformOptions(data_dir=folder / "data", ephemeral=True)
        started = time.monotonic()
        with running(options) as platform:
            ready = Figure(
                "`headrace up` to ready", f"{time.monotonic() - started:.1f} s", "data folder made"
            )
            figures = [_told(ready)]
            figures += [_told(one) for one in measures.idle(platform)]
            figures += [_told(one) for one in measures.latency(platform)]
            figures += [_told(one) for one in measures.small_files(platform)]
            figures += [_told(one) for one in batching(platform.stack.warehouse_dsn)]
            figures += [_told(one) for one in verifying(platform)]
            figures += [_told(one) for one in measures.big_file(platform, folder)]
            figures += [_told(one) for one in measures.memory(platform, folder)]
    figures += [_told(one) for one in recovery()]
    _keep(figures)


def _told(figure: Figure) -> Figure:
    sys.stdout.write(f"{figure.what}: {figure.figure}  {figure.beside}\n")
    sys.stdout.flush()
    return figure


def _keep(figures: list[Figure]) -> None:
    keep("make bench", table_of(figures))


if __name__ == "__main__":
    main()

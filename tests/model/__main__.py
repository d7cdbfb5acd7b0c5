"""A long search: `python -m tests.model 2000` looks at so many worlds and tells what it saw."""

from __future__ import annotations

import logging
import random
import sys
import tempfile
import time
from pathlib import Path

import structlog
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from headrace_local.platform import PlatformOptions
from headrace_local.ports import free_port
from tests.model.bench import Bench, bench
from tests.model.machine import Machine
from tests.model.test_model import QUIET
from tests.running_platform import running

_WORLDS = 2_000
_ROUND = 200
"""Worlds after which it tells what it has seen so far."""


def main() -> None:
    """Ends with a traceback and the world to look at, if loader and model disagree in one."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else _WORLDS
    with tempfile.TemporaryDirectory(prefix="headrace-model-") as name:
        options = PlatformOptions(
            data_dir=Path(name) / "data", ephemeral=True, api_port=free_port()
        )
        with running(options) as platform, bench(platform.stack.warehouse_dsn) as on:
            started = time.monotonic()
            while (left := worlds - on.seen["worlds"]) > 0:
                number = random.SystemRandom().randrange(10**9)
                sys.stdout.write(f"seed {number}\n")
                _search(on, min(left, _ROUND), number)
                _tell(on, time.monotonic() - started)


def _search(on: Bench, worlds: int, number: int) -> None:
    run_state_machine_as_test(
        seed(number)(type("World", (Machine,), {"on": on})),
        settings=settings(QUIET, derandomize=False, max_examples=worlds, stateful_step_count=30),
    )


def _tell(on: Bench, seconds: float) -> None:
    seen = ", ".join(f"{number:,} {what}" for what, number in on.seen.items())
    at = on.crashes.at
    sys.stdout.write(
        f"{seen}, {at.total():,} crashes before statements {min(at)} to {max(at)}; "
        f"{seconds:.0f} s\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()

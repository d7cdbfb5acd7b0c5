"""Runs chaos for `CHAOS_MINUTES` and prints its figures; exit status 1 if anything is wrong."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Plan, run


def main() -> int:
    """One run on a platform of its own, in a temporary folder."""
    minutes = float(os.environ.get("CHAOS_MINUTES") or 3)
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(10**9))
    _tell(f"seed {seed}, {minutes:g} minutes; CHAOS_SEED={seed} does it again")
    plan = Plan(
        seed,
        seconds=minutes * 60,
        tables=20,
        files_per_second=8,
        pause_seconds=4,
        postgres_restarts=max(1, round(minutes)),
    )
    with tempfile.TemporaryDirectory(prefix="headrace-chaos-") as name:
        report = run(plan, Path(name), _tell)
    _tell(str(report))
    return 0 if report.is_good else 1


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""`make mutants`: tries a sample of mutants of the core modules, and prints what the tests saw."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Sequence

from tools.house import ROOT
from tools.mutants.equivalents import Equivalent, is_equivalent, outdated, read_equivalents
from tools.mutants.measuring import TESTS, measured
from tools.mutants.report import line, table, verdict
from tools.mutants.sample import Mutant, modules, sample
from tools.mutants.trying import Fate, Trial, Tried
from tools.mutants.workspace import workspace


def main() -> int:
    """0 where at least 95 % of the mutants that are not equivalent were killed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    count, seed = _number("MUTANTS", 60), _number("SEED", secrets.randbelow(10**6))
    print(f"mutants: {count} with SEED={seed}", flush=True)
    listed = read_equivalents()
    every = {one: (ROOT / one).read_bytes() for one in modules(ROOT, ())}
    if faults := outdated(listed, every):
        print("\n".join(faults), file=sys.stderr)
        return 1
    wanted = {one: every[one] for one in modules(ROOT, os.environ.get("MODULES", "").split())}
    tried = _try_all(sample(wanted, count, seed), every, listed, seed)
    print(f"\n{table(tried)}\n")
    text, is_enough = verdict(tried)
    print(f"SEED={seed}: {text}")
    return 0 if is_enough else 1


def _try_all(
    drawn: Sequence[Mutant], every: dict[str, bytes], listed: list[Equivalent], seed: int
) -> list[Tried]:
    tests = os.environ.get("TESTS", "").split() or TESTS
    with workspace(ROOT) as copy:
        print("mutants: one run shows which test executes which line", flush=True)
        reached, failing = measured(copy, sorted(every), tests, ROOT / ".mutants")
        for test in failing:
            print(f"mutants: fails unchanged, and is left out: {test}", flush=True)
        trial = Trial(copy, every, reached, _number("SECONDS_EACH", 60), seed)
        return _clear(trial, list(_fates(trial, drawn, listed)))


def _fates(trial: Trial, drawn: Sequence[Mutant], listed: list[Equivalent]) -> Iterator[Tried]:
    """Each mutant's fate, as long as the time of the whole run lasts."""
    end = time.monotonic() + 60 * _number("MINUTES", 60)
    for number, mutant in enumerate(drawn, start=1):
        if time.monotonic() > end:
            print(f"mutants: the time is over after {number - 1} of {len(drawn)}", flush=True)
            return
        known = is_equivalent(mutant, listed)
        tried = Tried(mutant, Fate.EQUIVALENT) if known else trial.fate(mutant)
        print(line(number, tried), flush=True)
        yield tried


def _clear(trial: Trial, tried: list[Tried]) -> list[Tried]:
    """A test that fails without the mutant has not killed it."""
    fallen = trial.fallen(sorted({one.killed_by for one in tried if one.killed_by}))
    for test in sorted(fallen):
        print(f"mutants: fails unchanged now: {test}", flush=True)
    return [Tried(one.mutant, Fate.UNCLEAR) if one.killed_by in fallen else one for one in tried]


def _number(name: str, otherwise: int) -> int:
    return int(os.environ.get(name) or otherwise)


if __name__ == "__main__":
    sys.exit(main())

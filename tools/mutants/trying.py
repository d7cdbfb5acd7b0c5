"""Is a mutant seen? The tests that may see it are run on it, unit tests first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tools.mutants.reached import Choice, Reached, chosen
from tools.mutants.sample import Mutant
from tools.mutants.source import Source
from tools.mutants.workspace import Run, Workspace

_START_SECONDS: Final = 60
"""For a start of pytest, of the emulator and of Postgres on a busy machine."""

_SLOWER: Final = 5
"""So many times as long as it took unchanged may a test take: a longer one hangs."""

_LEAST_SECONDS: Final = 10
"""What a short test may take in any case, and a longer one beside."""


class Fate(StrEnum):
    """What became of a mutant."""

    UNIT = "killed by unit tests"
    OTHERS = "killed by other tests"
    TIME = "killed by the time limit"
    UNREACHED = "no test executes the line"
    SURVIVED = "survived"
    EQUIVALENT = "equivalent"
    UNCLEAR = "unclear: the test fails without it, too"


SEEN: Final = frozenset({Fate.UNIT, Fate.OTHERS, Fate.TIME})


@dataclass(frozen=True, slots=True)
class Tried:
    """A mutant and its fate; `killed_by` is the first test that failed."""

    mutant: Mutant
    fate: Fate
    killed_by: str = ""
    left_out: int = 0


@dataclass(frozen=True)
class Trial:
    """What mutants are tried with.

    Args:
        texts: the modules, unchanged.
        seconds: how long the tests beside the unit tests may take for one mutant.
    """

    copy: Workspace
    texts: Mapping[str, bytes]
    reached: Reached
    seconds: float
    seed: int

    def fate(self, mutant: Mutant) -> Tried:
        """Runs the tests that may see the mutant."""
        choice = chosen(mutant, self.texts, self.reached, self.seconds)
        if not choice.unit and not choice.others:
            return Tried(mutant, Fate.UNREACHED)
        changed = Source(self.texts[mutant.module]).mutated(mutant.mutation)
        with self.copy.changed(mutant.module, changed):
            return self._tried(mutant, choice)

    def fallen(self, tests: Sequence[str]) -> frozenset[str]:
        """Those of the tests that fail on the modules unchanged."""
        return frozenset(self._run(tests).failed) if tests else frozenset()

    def _tried(self, mutant: Mutant, choice: Choice) -> Tried:
        for tests, fate in ((choice.unit, Fate.UNIT), (choice.others, Fate.OTHERS)):
            run = self._run(tests, "-x") if tests else None
            if run is not None and not run.in_time:
                return Tried(mutant, Fate.TIME)
            if run is not None and not run.is_green:
                return Tried(mutant, fate, run.failed[0] if run.failed else "")
        return Tried(mutant, Fate.SURVIVED, left_out=choice.others_left_out)

    def _run(self, tests: Sequence[str], *options: str) -> Run:
        seconds = [self.reached.seconds[test] for test in tests]
        return self.copy.run(
            tests,
            *options,
            f"--timeout={_LEAST_SECONDS + _SLOWER * max(seconds):.0f}",
            *("-p", "no:randomly", f"--hypothesis-seed={self.seed}"),
            seconds=_START_SECONDS + _SLOWER * sum(seconds),
        )

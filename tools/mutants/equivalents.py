"""Mutants that change nothing that could be observed: listed one by one, each with the reason."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.mutants.sample import Mutant, mutants_of

LIST: Final = Path(__file__).with_name("equivalents.toml")


@dataclass(frozen=True, slots=True)
class Equivalent:
    """The lines that a mutation touches, before and after it, and why no test can see it."""

    module: str
    before: str
    after: str
    reason: str

    def is_of(self, mutant: Mutant) -> bool:
        """Whether the mutant is the one that is listed."""
        return (mutant.module, mutant.before, mutant.after) == (
            self.module,
            self.before,
            self.after,
        )


def read_equivalents(path: Path = LIST) -> list[Equivalent]:
    """The list."""
    with path.open("rb") as file:
        return [Equivalent(**entry) for entry in tomllib.load(file).get("equivalent", [])]


def outdated(listed: Iterable[Equivalent], texts: Mapping[str, bytes]) -> list[str]:
    """The entries that are of no mutant any more, or give no reason, each with what is wrong."""
    return [
        f"{entry.module}: {entry.after!r}: {fault}"
        for entry in listed
        for fault in _faults(entry, mutants_of(entry.module, texts.get(entry.module, b"")))
    ]


def is_equivalent(mutant: Mutant, listed: Iterable[Equivalent]) -> bool:
    """Whether the mutant is on the list."""
    return any(entry.is_of(mutant) for entry in listed)


def _faults(entry: Equivalent, made: Collection[Mutant]) -> list[str]:
    faults = []
    if not any(map(entry.is_of, made)):
        faults.append("no mutant of the module is this one; remove the entry, or write it anew")
    if not entry.reason.strip():
        faults.append("the reason is missing")
    return faults

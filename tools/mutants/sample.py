"""Which modules are changed, and a random sample of the changes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Final

from tools.mutants.python_operators import python_mutations
from tools.mutants.source import Mutation, Source
from tools.mutants.sql_operators import sql_mutations

CORE: Final = (
    "shared/headrace_shared/inbox.py",
    "shared/headrace_shared/trying.py",
    "shared/headrace_shared/deliveries.py",
    "shared/headrace_shared/sqs.py",
    "shared/headrace_shared/bus.py",
    "shared/headrace_shared/coalescing.py",
    "shared/headrace_shared/drop.py",
    "shared/headrace_shared/evolution.py",
    "shared/headrace_shared/contract.py",
    "shared/headrace_shared/api_keys.py",
    "services/router/headrace_router/routing.py",
    "services/loader/headrace_loader/*.py",
    "services/logger/headrace_logger/states.py",
    "services/verifier/headrace_verifier/judging.py",
    "services/api/headrace_api/cursors.py",
    "services/api/headrace_api/authentication.py",
    "services/api/headrace_api/rows/query.py",
)
"""Where a wrong decision loses, doubles or shows rows. `*` reaches into folders, too."""

_LEFT_OUT: Final = ("*/__main__.py", "*/settings.py", "*/inference/*")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mutation of a module; `module` is its path from the root."""

    module: str
    mutation: Mutation
    before: str
    after: str


def modules(root: Path, wanted: Iterable[str]) -> list[str]:
    """The core modules; with `wanted`, those whose path holds one of these texts.

    Raises:
        ValueError: one of the texts is in no path.
    """
    paths = {path.relative_to(root).as_posix() for path in _candidates(root)}
    core = {one for one in paths if any(fnmatch(one, pattern) for pattern in CORE)}
    texts = list(wanted)
    for text in texts:
        if not any(text in path for path in core):
            raise ValueError(f"MODULES: {text!r} is in the path of no core module")
    return sorted(one for one in core if not texts or any(text in one for text in texts))


def mutants_of(module: str, text: bytes) -> list[Mutant]:
    """Every mutant of a module, each once, in the order of the text; some are no Python."""
    source = Source(text)
    found = {
        (one.start, one.end, one.replacement): one
        for one in (*python_mutations(source), *sql_mutations(source))
    }
    return [Mutant(module, found[key], *source.shown(found[key])) for key in sorted(found)]


def sample(texts: Mapping[str, bytes], count: int, seed: int) -> list[Mutant]:
    """At most so many mutants, shared out over the modules; the same seed gives the same ones."""
    # Which mutants are drawn, not a secret.
    chance = random.Random(seed)  # noqa: S311
    drawn: list[Iterator[Mutant]] = []
    for module in sorted(texts):
        found = mutants_of(module, texts[module])
        chance.shuffle(found)
        source = Source(texts[module])
        drawn.append(filter(partial(_is_python, source), found))
    chance.shuffle(drawn)
    return list(_in_turn(drawn, count))


def _is_python(source: Source, mutant: Mutant) -> bool:
    return source.compiles(mutant.mutation)


def _in_turn(drawn: list[Iterator[Mutant]], count: int) -> Iterator[Mutant]:
    while drawn and count > 0:
        for one in list(drawn):
            mutant = next(one, None)
            if mutant is None:
                drawn.remove(one)
            elif count > 0:
                count -= 1
                yield mutant


def _candidates(root: Path) -> Iterator[Path]:
    for folder in ("shared", "services"):
        for path in (root / folder).rglob("*.py"):
            if not any(fnmatch(path.relative_to(root).as_posix(), one) for one in _LEFT_OUT):
                yield path

"""What a run prints: each mutant that no test has seen, and the share that was, by module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from tools.mutants.trying import SEEN, Fate, Tried

ENOUGH: Final = 0.95
"""The share of the mutants that are not equivalent that tests have to kill."""

_COUNTED: Final = (Fate.UNIT, Fate.OTHERS, Fate.TIME, Fate.SURVIVED, Fate.UNREACHED)
_HEAD: Final = "| module | tried | unit | others | time | survived | unreached | share |"


def share(tried: Iterable[Tried]) -> float | None:
    """The share that was killed; None where nothing counts."""
    counted = [one.fate in SEEN for one in tried if one.fate in _COUNTED]
    return sum(counted) / len(counted) if counted else None


def line(number: int, tried: Tried) -> str:
    """A mutant and its fate."""
    mutant = tried.mutant
    text = f"{number:4} {tried.fate}: {mutant.module}:{mutant.mutation.line}"
    if tried.killed_by:
        return f"{text} ({tried.killed_by})"
    if tried.fate in SEEN:
        return text
    left_out = f"\n       {tried.left_out} tests had no time" if tried.left_out else ""
    return f"{text}\n     - {mutant.before}\n     + {mutant.after}{left_out}"


def table(tried: Sequence[Tried]) -> str:
    """The figures by module, in Markdown."""
    modules = sorted({one.mutant.module for one in tried})
    rows = [
        _row(module, [one for one in tried if one.mutant.module == module]) for module in modules
    ]
    return "\n".join([_HEAD, "|---|" + 7 * "---:|", *rows, _row("all", tried)])


def verdict(tried: Sequence[Tried]) -> tuple[str, bool]:
    """The last line, and whether enough mutants were killed."""
    found = share(tried)
    if found is None:
        return "No mutant was tried.", False
    fates = Counter(one.fate for one in tried)
    text = (
        f"{_percent(found)} of {sum(fates[fate] for fate in _COUNTED)} mutants killed "
        f"({ENOUGH:.0%} wanted); {fates[Fate.EQUIVALENT]} equivalent, "
        f"{fates[Fate.UNCLEAR]} unclear."
    )
    return text, found >= ENOUGH


def _row(name: str, tried: Sequence[Tried]) -> str:
    fates = Counter(one.fate for one in tried)
    figures = [sum(fates[fate] for fate in _COUNTED), *(fates[fate] for fate in _COUNTED)]
    return f"| {name} | {' | '.join(map(str, figures))} | {_percent(share(tried))} |"


def _percent(part: float | None) -> str:
    return "" if part is None else f"{part:.1%}"

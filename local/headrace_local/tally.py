"""How many drops are where since the platform started, read from the logger's own log lines.

Nothing is polled for it, so a platform that idles stays idle.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from headrace_shared.log_schema import State

_ENDS: Final = frozenset({State.LOADED, State.REJECTED, State.SUPERSEDED})
"""Nothing follows these, so that their drops need not be remembered one by one. `failed` is not
among them: a redrive brings such a drop back."""


class Tally:
    """Counts drops by state."""

    def __init__(self) -> None:
        self._ended: Counter[State] = Counter()
        self._others: dict[str, State] = {}

    def hear(self, line: str) -> bool:
        """Takes one line of a logger's output; whether a count has changed."""
        told = log_line(line)
        if told is None or told.get("event") != "log.updated":
            return False
        try:
            drop_id, state = str(told["drop_id"]), State(told["state"])
        except (KeyError, ValueError):
            return False
        if state in _ENDS:
            self._others.pop(drop_id, None)
            self._ended[state] += 1
        else:
            self._others[drop_id] = state
        return True

    @property
    def counts(self) -> dict[State, int]:
        """State -> drops, in the road's order; states without drops are left out."""
        found = self._ended + Counter(self._others.values())
        return {state: found[state] for state in State if found[state]}


def log_line(line: str) -> dict[str, Any] | None:
    """The fields of a line that a service logged; None for any other text."""
    if not line.startswith("{"):
        return None
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None

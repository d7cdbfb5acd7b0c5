"""What changed between two looks at the log? Decided without I/O.

A drop's `state_order` only ever grows, so that a look at a stale replica tells nothing twice and
nothing backwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from headrace_shared.log_schema import END_STATES, KEY, State

Item = Mapping[str, Any]

MOST_KNOWN: Final = 5_000
"""Drops that are kept in mind; beyond it the oldest are forgotten, those that ended first."""

_OVERLAP: Final = timedelta(seconds=10)
"""A fact may come to the log later than another that happened after it: what is told again begins
this long before what was told last."""

_SEPARATOR: Final = "_"


class Sight:
    """What has been seen of the log, by drop."""

    def __init__(self) -> None:
        self._seen: dict[str, Item] = {}

    def look(self, items: Iterable[Item]) -> list[Item]:
        """Takes in what the log holds now; the drops that moved, in the order in which they did."""
        moved: dict[str, Item] = {}
        for item in items:
            if item["state_order"] > self._order(item[KEY]):
                self._seen[item[KEY]] = moved[item[KEY]] = item
        self._forget()
        return in_order(moved.values())

    def unfinished_beside(self, items: Iterable[Item]) -> list[str]:
        """Drops last seen on their way that are not among `items`: they may have ended since."""
        there = {item[KEY] for item in items}
        return [
            drop_id
            for drop_id, item in self._seen.items()
            if drop_id not in there and not _ended(item)
        ]

    def knows(self, item: Item) -> bool:
        """Whether the drop has been seen, in whatever state."""
        return item[KEY] in self._seen

    def since(self, event_id: str) -> list[Item]:
        """Of what is in mind, the drops that moved since that event, or shortly before it.

        Raises:
            ValueError: it is no id of an event.
        """
        moment, _, drop_id = event_id.partition(_SEPARATOR)
        told = datetime.fromisoformat(moment)
        if not drop_id or told.tzinfo is None:
            raise ValueError("no id of an event")
        from_here = _text(told - _OVERLAP)
        later = [one for one in self._seen.values() if one["updated_at"] >= from_here]
        return [one for one in in_order(later) if id_of(one) != event_id]

    def _order(self, drop_id: str) -> int:
        known = self._seen.get(drop_id)
        return -1 if known is None else int(known["state_order"])

    def _forget(self) -> None:
        excess = len(self._seen) - MOST_KNOWN
        if excess > 0:
            oldest = sorted(self._seen, key=lambda one: (not _ended(self._seen[one]), one))
            for drop_id in oldest[:excess]:
                del self._seen[drop_id]


def in_order(items: Iterable[Item]) -> list[Item]:
    """By the moment at which they came to their state."""
    return sorted(items, key=lambda item: (item["updated_at"], item[KEY]))


def id_of(item: Item) -> str:
    """The id of the event that a drop came to this state."""
    return f"{item['updated_at']}{_SEPARATOR}{item[KEY]}"


def _ended(item: Item) -> bool:
    return State(item["state"]) in END_STATES


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

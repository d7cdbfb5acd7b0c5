"""Which drop is loaded next: load slots are shared out by table.

One table holds at most half of the slots, so that a free one is there for every other table at any
time: a load cannot be interrupted, so the other half is not lent out either. Of the tables that
wait, the one that holds the fewest slots is next; among equals, the drop that has waited longest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiter:
    """A drop that waits for a slot. `order`: smaller is earlier."""

    table: str
    order: int


def share(slots: int) -> int:
    """The slots that one table may hold: half of them, and never none."""
    return max(1, slots // 2)


def next_waiter(
    waiters: Iterable[Waiter],
    held: Mapping[str, int],
    slots: int,
    allowance: Callable[[str], int],
) -> Waiter | None:
    """Who gets a slot now; None: no slot is free, or every waiter's table has what it may have.

    Args:
        held: table -> slots that it holds.
        allowance: how many slots a table may hold at this moment, its share at most.
    """
    if sum(held.values()) >= slots:
        return None
    able = (one for one in waiters if held.get(one.table, 0) < allowance(one.table))
    return min(able, key=lambda one: (held.get(one.table, 0), one.order), default=None)

"""Events of one drop that wait together are one write, and the item is the same as one by one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_logger.gathering import GatheredUpdates
from headrace_logger.states import Item, Update, Written, applied, together, update_for
from headrace_shared.errors import TransientError
from headrace_shared.facts import (
    DropReverted,
    DropRouted,
    Fact,
    LoadFailed,
    LoadStarted,
    LoadSucceeded,
    ReplayRequested,
    RevertRequested,
)
from headrace_shared.reasons import Reason
from headrace_shared.testing.builders import EPOCH, a_drop
from headrace_shared.testing.clock import settle

REASON = Reason(code="temporarily_unavailable", message="The table is locked.")
RUN = 1_795_176_240_123


def at(second: int, **given_: Any) -> dict[str, Any]:
    return {"drop": a_drop(), "occurred_at": EPOCH + timedelta(seconds=second), **given_}


HISTORY: list[Fact] = [
    DropRouted(**at(1)),
    LoadStarted(**at(2), attempt=1),
    LoadFailed(**at(3), attempt=1, final=False, reason=REASON, retry_in_seconds=2.5),
    LoadSucceeded(**at(4), attempt=2, rows_loaded=7, bytes=10, duration_ms=31),
    RevertRequested(**at(5, run=RUN)),
    DropReverted(**at(6, run=RUN), attempt=1, rows_removed=7),
    ReplayRequested(**at(7, run=RUN + 1)),
    DropRouted(**at(8, run=RUN + 1)),
]
UPDATES = [update_for(fact, expiry_days=0) for fact in HISTORY]


class HeldLog:
    """A `gathering.Log` over the pure fold, whose writes wait until they are let go."""

    def __init__(self, *, failing: int = 0) -> None:
        self.items: dict[str, Item] = {}
        self.written: list[Update] = []
        self.go = asyncio.Event()
        self.under_way = self.most_under_way = 0
        self._failing = failing

    async def write(self, update: Update) -> Written:
        self.written.append(update)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.go.wait()
        self.under_way -= 1
        if self._failing:
            self._failing -= 1
            raise TransientError("throttled")
        before = self.items.get(update.key, {})
        self.items[update.key] = applied(before, update)
        moved = before.get("state_order", -1) < update.order
        return Written(moved, before.get("state") if moved else None)

    async def link(self, corrected: UUID, by: UUID) -> None:
        raise AssertionError


@given(st.lists(st.sampled_from(UPDATES), min_size=1, max_size=12), st.data())
def test_gathered_updates_make_the_item_that_single_ones_make(
    updates: list[Update], data: st.DataObject
) -> None:
    single: Item = {}
    gathered: Item = {}
    for update in updates:
        single = applied(single, update)
    left = updates
    while left:
        size = data.draw(st.integers(1, len(left)))
        for _, update in together(left[:size]):
            gathered = applied(gathered, update)
        left = left[size:]
    assert gathered == single


@given(st.permutations(UPDATES))
def test_each_final_state_is_written_and_the_states_between_are_not(updates: list[Update]) -> None:
    writes = together(updates)
    assert [update.attributes["state"] for _, update in writes] == ["loaded", "reverted", "routed"]
    for place, update in writes:
        assert updates[place].attributes == update.attributes
    steps = [name for _, update in writes for name in update.steps]
    assert sorted(steps) == sorted(name for update in UPDATES for name in update.steps)


async def submitted(log: HeldLog, updates: list[Update], *, writes: int = 1) -> list[Any]:
    """What became of the first update, which holds the log, and of those that came meanwhile."""
    gathered = GatheredUpdates(log, writes=writes)
    tasks = [asyncio.create_task(gathered.write(update)) for update in updates]
    await settle()
    log.go.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_waits_for_a_drop_is_one_write() -> None:
    other = update_for(DropRouted(drop=a_drop("dev/append/users/b.csv")), expiry_days=0)
    log = HeldLog()
    written = await submitted(log, [other, *UPDATES[:4]])
    assert [update.attributes["state"] for update in log.written] == ["routed", "loaded"]
    assert written[1:] == [*[Written(moved=False)] * 3, Written(moved=True)]
    whole: Item = {}
    for update in UPDATES[:4]:
        whole = applied(whole, update)
    assert log.items[UPDATES[0].key] == whole


async def test_failed_write_fails_every_event_that_was_in_it() -> None:
    log = HeldLog(failing=1)
    written = await submitted(log, UPDATES[:4])
    assert all(isinstance(one, TransientError) for one in written)
    assert log.items == {}


@pytest.mark.parametrize("writes", [1, 3])
async def test_so_many_items_are_written_at_a_time(writes: int) -> None:
    drops = [a_drop(f"dev/append/users/{number}.csv") for number in range(8)]
    updates = [update_for(DropRouted(drop=drop), expiry_days=0) for drop in drops]
    log = HeldLog()
    assert await submitted(log, updates, writes=writes) == [Written(moved=True)] * 8
    assert log.most_under_way == writes

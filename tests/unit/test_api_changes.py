"""What moved between two looks: told once, never backwards, and never less than how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_api.events.changes import MOST_KNOWN, Sight, id_of
from headrace_shared.log_schema import State, state_order

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROAD = (State.ROUTED, State.LOADING, State.WAITING, State.LOADED)


def item(drop: int, place: int) -> dict[str, Any]:
    state = ROAD[place]
    at = NOON + timedelta(seconds=drop * 10 + place)
    return {
        "drop_id": f"drop-{drop:04d}",
        "state": str(state),
        "state_order": state_order(state, 1),
        "updated_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


looks = st.lists(st.dictionaries(st.integers(0, 9), st.integers(0, 3)), max_size=12)
"""Each look: some of the drops, at any place of their road, as a stale replica may have them."""


@given(looks)
def test_a_state_is_told_once_and_never_backwards(seen: Sequence[dict[int, int]]) -> None:
    sight, told = Sight(), dict[str, int]()
    for look in seen:
        for moved in sight.look(item(drop, place) for drop, place in look.items()):
            assert moved["state_order"] > told.get(moved["drop_id"], -1)
            told[moved["drop_id"]] = moved["state_order"]


@given(looks)
def test_what_was_told_last_is_the_furthest_that_was_seen(seen: Sequence[dict[int, int]]) -> None:
    sight, told, furthest = Sight(), dict[str, int](), dict[str, int]()
    for look in seen:
        items = [item(drop, place) for drop, place in look.items()]
        for one in items:
            known = furthest.get(one["drop_id"], -1)
            furthest[one["drop_id"]] = max(known, one["state_order"])
        told |= {one["drop_id"]: one["state_order"] for one in sight.look(items)}
    assert told == furthest


@given(looks)
def test_the_same_look_again_tells_nothing(seen: Sequence[dict[int, int]]) -> None:
    sight = Sight()
    for look in seen:
        items = [item(drop, place) for drop, place in look.items()]
        sight.look(items)
        assert sight.look(items) == []


@given(looks)
def test_unfinished_drops_out_of_view_are_looked_for(seen: Sequence[dict[int, int]]) -> None:
    sight, furthest = Sight(), dict[int, int]()
    for look in seen:
        sight.look(item(drop, place) for drop, place in look.items())
        for drop, place in look.items():
            # Waiting comes after loading, and loaded after both.
            furthest[drop] = max(furthest.get(drop, -1), place)
    expected = {f"drop-{drop:04d}" for drop, place in furthest.items() if place < 3}
    assert set(sight.unfinished_beside([])) == expected


def test_moves_are_told_in_the_order_in_which_they_happened() -> None:
    moved = Sight().look([item(3, 0), item(1, 2), item(2, 1)])
    assert [one["drop_id"] for one in moved] == ["drop-0001", "drop-0002", "drop-0003"]


def test_who_comes_back_hears_what_moved_since_and_shortly_before() -> None:
    sight = Sight()
    sight.look([item(drop, 3) for drop in range(6)])
    heard = [one["drop_id"] for one in sight.since(id_of(item(3, 3)))]
    assert heard == ["drop-0002", "drop-0004", "drop-0005"]


@pytest.mark.parametrize(
    "event_id", ["", "x", "2026-11-20T12:00:00Z", "2026-11-20T12:00:00_x", "_"]
)
def test_an_id_of_something_else_is_none_of_ours(event_id: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|no id"):
        Sight().since(event_id)


def test_what_ended_long_ago_is_forgotten_first() -> None:
    sight = Sight()
    sight.look([item(0, 0), *(item(drop, 3) for drop in range(1, MOST_KNOWN + 100))])
    assert sight.knows(item(0, 0))
    assert not sight.knows(item(1, 3))
    assert sight.knows(item(MOST_KNOWN + 99, 3))

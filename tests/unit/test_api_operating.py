"""What the API's operations decide without I/O: replays, figures, tests, answers given again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace_api.answers import RequestName
from headrace_api.operations.data_tests import latest_results
from headrace_api.problems import unreachable
from headrace_api.remembered import Remembered
from headrace_api.replaying import asked_replay, why_not
from headrace_api.settings import ApiSettings
from headrace_api.stats import HOUR, by_hour, percentile, since
from headrace_shared.dead_letters import Said, place
from headrace_shared.drop import drop_id_bounds
from headrace_shared.log_schema import State
from headrace_shared.reruns import later_run, logged_drop, requested_at

NOW = datetime(2026, 11, 20, 12, 34, 56, tzinfo=UTC)
NEEDED = {
    "log_table": "log",
    "warehouse_dsn": "postgresql://h/d",
    "cursor_secret": "a secret of the tests",
    "anonymous": True,
}


def an_item(state: State = State.REJECTED, **changes: Any) -> dict[str, Any]:
    return {
        "drop_id": str(uuid4()),
        "bucket": "lake",
        "key": "dev/append/t/a.csv",
        "etag": "e",
        "size_bytes": 12,
        "landed_at": "2026-11-20T12:00:00.000Z",
        "db_name": "dev",
        "action": "append",
        "table_name": "t",
        "file": "a.csv",
        "state": str(state),
        "updated_at": "2026-11-20T12:34:00.000Z",
        **changes,
    }


@pytest.mark.parametrize("state", State)
def test_drop_that_stands_still_can_be_replayed_in_any_state(state: State) -> None:
    assert why_not(an_item(state, updated_at="2026-11-20T12:00:00.000Z"), NOW) is None


@pytest.mark.parametrize("state", [State.REQUESTED, State.ROUTED, State.LOADING])
def test_drop_that_moved_just_now_is_on_its_way(state: State) -> None:
    assert "on its way" in (why_not(an_item(state), NOW) or "")


@pytest.mark.parametrize("part", ["db_name", "table_name", "action"])
def test_drop_of_a_bad_key_would_only_be_rejected_again(part: str) -> None:
    assert "good key" in (why_not(an_item(State.REJECTED, **{part: None}), NOW) or "")


def test_run_that_is_asked_for_is_later_than_the_present_one() -> None:
    asked = requested_at(NOW)
    assert asked_replay(an_item(), asked).run == asked
    assert asked_replay(an_item(run=asked + 5), asked).run == asked + 6 == later_run(asked + 5, 1)


def test_drop_of_an_item_is_the_one_that_landed() -> None:
    item = an_item(action="sell")
    drop = logged_drop(item)
    assert (str(drop.drop_id), drop.size_bytes, drop.action) == (item["drop_id"], 12, None)


@given(st.lists(st.integers(0, 1000), min_size=1), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_percentile_is_the_smallest_value_that_covers_the_share(
    values: list[int], share: float
) -> None:
    found = percentile(values, share)
    assert found is not None
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_percentile_of_nothing_is_none() -> None:
    assert percentile([], 0.5) is None


def test_hours_have_their_drops_and_those_without_are_there() -> None:
    begin = since(NOW, 3)
    assert begin == datetime(2026, 11, 20, 10, tzinfo=UTC)
    first, _ = drop_id_bounds(begin + timedelta(minutes=59), None)
    again, _ = drop_id_bounds(begin + 2 * HOUR, None)
    early, _ = drop_id_bounds(begin - timedelta(seconds=1), None)
    figures: dict[str, Any] = {
        "rows_loaded": 3,
        "rows_quarantined": 1,
        "size_bytes": 10,
        "duration_ms": 40,
    }
    items = [
        an_item(State.LOADED, drop_id=str(first), **figures),
        an_item(State.LOADED, drop_id=str(again), run=5, **figures),
        an_item(State.FAILED, drop_id=str(again)),
        an_item(State.LOADED, drop_id=str(early), **figures),
    ]
    one, none, two = by_hour(items, begin, 3).values()
    assert (one.rows_loaded, one.rows_quarantined, one.size_bytes) == (3, 1, 10)
    assert (one.loaded_after_ms, two.loaded_after_ms) == ([40], [])
    assert dict(two.drops_by_state) == {State.LOADED: 1, State.FAILED: 1}
    assert not none.drops_by_state


def test_latest_result_of_a_test_wins_also_where_it_was_the_reason() -> None:
    def result(label: str, *, passed: bool) -> dict[str, Any]:
        return {"label": label, "kind": "unique", "severity": "error", "passed": passed}

    landed: dict[str, Any] = {"landed_timestamp": "2026-11-20T12:00:00Z"}
    late = an_item(reason={"tests": [result("a", passed=False)]}, **landed)
    early = an_item(
        State.LOADED, tests=[result("a", passed=True), result("b", passed=True)], **landed
    )
    told = latest_results([an_item(**landed), late, early])
    assert [(one.label, one.passed, one.drop_id) for one in told] == [
        ("a", False, UUID(late["drop_id"])),
        ("b", True, UUID(early["drop_id"])),
    ]


def test_request_is_known_by_caller_operation_and_key() -> None:
    names = [
        RequestName.of(*parts, {"a": 1})
        for parts in (("x", "replay", "k"), ("y", "replay", "k"), ("x", "redrive", "k"))
    ]
    assert len({name.key for name in names}) == 3
    assert all(name.key.startswith("answer#") for name in names)
    same, other = (RequestName.of("x", "replay", "k", {"a": n}) for n in (1, 2))
    assert same == names[0]
    assert (other.key, other.content == same.content) == (same.key, False)


async def test_value_is_made_once_for_all_who_ask_and_anew_after_its_time() -> None:
    clock, made = [0.0], list[int]()
    remembered: Remembered[int] = Remembered(5, lambda: clock[0])

    async def make() -> int:
        await asyncio.sleep(0)
        made.append(1)
        return len(made)

    assert await asyncio.gather(*(remembered.get("a", make) for _ in range(3))) == [1, 1, 1]
    assert await remembered.get("b", make) == 2
    clock[0] = 5
    assert await remembered.get("a", make) == 3


async def test_failure_is_not_remembered() -> None:
    remembered: Remembered[int] = Remembered(5)

    async def fail() -> int:
        raise OverflowError("too much")

    async def make() -> int:
        return 1

    with pytest.raises(OverflowError, match="too much"):
        await remembered.get("a", fail)
    assert await remembered.get("a", make) == 1


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (Said("Drop Routed", uuid4(), "dev.users", "x"), ("dev", "users")),
        (Said("Object Created", uuid4(), None, "Dev/append/Users/2026/a.csv"), ("dev", "users")),
        (Said("Object Created", uuid4(), None, "dev/append/a.csv"), None),
        (Said("Object Created", uuid4(), None, "dev/append/no-name/a.csv"), None),
        (Said("Drop Rejected", uuid4(), None, "nonsense"), None),
    ],
)
def test_letter_is_of_the_table_that_it_names(said: Said, found: tuple[str, str] | None) -> None:
    assert place(said) == found


def test_queues_are_read_from_pairs() -> None:
    pairs = "router=http://a/1?b=c, loader=http://a/2"
    made = ApiSettings.model_validate(NEEDED | {"inboxes": pairs, "dead_letter_queues": pairs})
    assert made.inboxes == {"router": "http://a/1?b=c", "loader": "http://a/2"}


@pytest.mark.parametrize(
    "wrong", [{"inboxes": "router"}, {"inboxes": "=x"}, {"dead_letter_queues": "router=x"}]
)
def test_queues_without_a_way_back_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ApiSettings.model_validate(NEEDED | wrong)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        ("the warehouse: gone", "The warehouse"),
        ("the quarantine: gone", "The quarantine"),
        ("the dead letters: the warehouse", "The queue of the dead letters"),
        ("publishing facts: gone", "The bus"),
        ("the log: gone", "The log"),
    ],
)
def test_problem_names_what_cannot_be_reached(error: str, what: str) -> None:
    assert unreachable(error) == what

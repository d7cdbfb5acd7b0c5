"""Pages end early where a filter leaves little, and still lose no drop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_api import log_store
from headrace_api.log_store import DropFilter, DynamoDBLogStore
from headrace_shared.drop import drop_id
from headrace_shared.log_schema import RECENT_SHARDS, State, recent_partition, table_partition

READ_AT_ONCE = 2
FIRST = datetime(2026, 9, 25, tzinfo=UTC)

Log = list[tuple[UUID, State]]


class FewAtOnce:
    """DynamoDB's queries, with very small pages: a filter applies after the read, as there."""

    def __init__(self, log: Log, at_once: int = READ_AT_ONCE) -> None:
        self.items = sorted(((str(one), state) for one, state in log), reverse=True)
        self.at_once = at_once
        self.queries, self.items_read = 0, 0

    async def query(self, **query: Any) -> dict[str, Any]:
        values = {name: value["S"] for name, value in query["ExpressionAttributeValues"].items()}
        start = query.get("ExclusiveStartKey", {"drop_id": {"S": "g"}})["drop_id"]["S"]
        there = [
            (one, state)
            for one, state in self.items
            if values[":low"] <= one <= values[":high"]
            and one < start
            and values[":partition"] in {table_partition("dev", "t"), recent_partition(UUID(one))}
        ]
        size = min(self.at_once, query.get("Limit", self.at_once))
        wanted = {value for name, value in values.items() if name.startswith(":state")}
        read = there[:size]
        self.queries, self.items_read = self.queries + 1, self.items_read + len(read)
        answer: dict[str, Any] = {
            "Items": [
                {"drop_id": {"S": one}, "state": {"S": state}}
                for one, state in read
                if not wanted or state in wanted
            ]
        }
        if there[size:]:
            answer["LastEvaluatedKey"] = {"drop_id": {"S": read[-1][0]}}
        return answer


@st.composite
def logs(draw: st.DrawFn) -> Log:
    days = draw(st.lists(st.integers(0, 50), max_size=40))
    states = st.sampled_from([State.LOADED, State.SUPERSEDED])
    return [(_id(day, place), draw(states)) for place, day in enumerate(days)]


def _id(day: int, place: int) -> UUID:
    at = FIRST + timedelta(days=day)
    return drop_id(
        landed_at=at, sequencer=None, bucket="b", key=str(place), version_id=None, etag="e"
    )


@settings(max_examples=150, deadline=None)
@given(
    log=logs(),
    limit=st.integers(1, 5),
    reads=st.integers(-8, 3),
    state=st.none() | st.just(State.LOADED),
    tables=st.none() | st.just([("dev", "t")]),
)
def test_pages_give_each_wanted_drop_once_however_few_reads_one_may_cost(
    log: Log, limit: int, reads: int, state: State | None, tables: list[tuple[str, str]] | None
) -> None:
    store = DynamoDBLogStore(cast("Any", FewAtOnce(log)), "log")
    states = None if state is None else frozenset({state})
    found, after = list[str](), None
    usual, log_store.MOST_READS = log_store.MOST_READS, reads  # type: ignore[misc]
    try:
        for _ in range(200):
            wanted = DropFilter(tables, None, FIRST + timedelta(days=60), states, None, after)
            page = asyncio.run(store.page(wanted, limit))
            assert len(page.items) <= limit
            found += [item["drop_id"] for item in page.items]
            after = page.last
            if after is None:
                break
    finally:
        log_store.MOST_READS = usual  # type: ignore[misc]
    assert after is None
    kept = {str(one) for one, of in log if state is None or of is state}
    assert found == sorted(kept, reverse=True)


@pytest.mark.parametrize(
    ("tables", "partitions"), [([("dev", "t")], 1), (None, RECENT_SHARDS)], ids=["of one", "of all"]
)
def test_page_costs_the_same_however_deep_it_is(
    tables: list[tuple[str, str]] | None, partitions: int
) -> None:
    """So a log of ten million drops is paged as fast at its end as at its beginning."""
    limit, log = 50, [(_id(1, place), State.LOADED) for place in range(3_000)]
    dynamodb = FewAtOnce(log, at_once=1_000)
    store, after, pages = DynamoDBLogStore(cast("Any", dynamodb), "log"), None, 0
    while pages == 0 or after is not None:
        dynamodb.queries = dynamodb.items_read = 0
        wanted = DropFilter(tables, FIRST, FIRST + timedelta(days=2), None, None, after)
        after, pages = asyncio.run(store.page(wanted, limit)).last, pages + 1
        assert dynamodb.queries == partitions
        assert dynamodb.items_read <= partitions * (limit + 1)
    assert pages == len(log) / limit


def test_more_tables_than_a_filter_takes_are_read_one_by_one() -> None:
    """DynamoDB's IN has at most a hundred values."""
    for number, by_attention in ((100, True), (101, False)):
        tables = [("dev", f"t{place}") for place in range(number)]
        wanted = DropFilter(tables, None, None, frozenset({State.REJECTED}), None, None)
        assert wanted.needs_attention is by_attention

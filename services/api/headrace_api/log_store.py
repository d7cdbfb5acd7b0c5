"""Reads the log in DynamoDB: by key conditions alone, never by a scan."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from headrace_shared.attribute_values import plain_item
from headrace_shared.aws import transient_aws_errors
from headrace_shared.drop import drop_id_bounds, landing_time
from headrace_shared.log_schema import (
    ATTENTION,
    ATTENTION_STATES,
    BY_TABLE,
    EXPIRY,
    INDEX_KEYS,
    KEY,
    PROGRESS,
    RECENT,
    State,
    recent_partitions,
    table_partition,
)

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import QueryInputTypeDef

MOST_MONTHS: Final = 24
"""How many months without a single drop are looked through before the search ends."""
MOST_READS: Final = 40
"""Queries that one page may cost; where a filter leaves little, the page ends early."""

_LONGEST_WAIT: Final = timedelta(days=14)
"""SQS keeps no message longer:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"""

_MOST_UNFINISHED: Final = 1_000

_MOST_IN: Final = 100
"""Values that an IN may have:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html"""

UNFINISHED_STATES: Final = ATTENTION_STATES - {State.REJECTED}
"""What the ledger does not know: it records how a drop ended."""

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DropFilter:
    """Which drops are asked for, and which of their attributes; None means all. `tables` are
    (db_name, table_name)."""

    tables: Sequence[tuple[str, str]] | None
    landed_from: datetime | None
    landed_to: datetime | None
    states: frozenset[State] | None
    key: str | None
    after: UUID | None
    attributes: tuple[str, ...] | None = None

    @property
    def needs_attention(self) -> bool:
        """Whether the sparse index `attention` can tell everything that is asked for."""
        if self.tables is not None and len(self.tables) > _MOST_IN:
            return False
        return self.states is not None and self.states <= ATTENTION_STATES


@dataclass(frozen=True, slots=True)
class Page:
    """`last` is where the next page begins; None when there is nothing further."""

    items: list[Item]
    last: UUID | None


class _Budget:
    def __init__(self, reads: int) -> None:
        self.left = reads


class DynamoDBLogStore:
    """Raises TransientError when the table cannot be reached."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    async def ping(self) -> None:
        """Really asks the table."""
        with transient_aws_errors("the log"):
            await self._client.get_item(TableName=self._table, Key={KEY: {"S": "ping"}})

    async def drop(self, drop_id: UUID) -> Item | None:
        """One drop, as it is now."""
        with transient_aws_errors("the log"):
            answer = await self._client.get_item(
                TableName=self._table, Key={KEY: {"S": str(drop_id)}}, ConsistentRead=True
            )
        item = plain_item(answer.get("Item", {}))
        return item if item and not _expired(item) else None

    async def progress(self) -> Item | None:
        """How far the log has come; None where no logger has noted it yet."""
        with transient_aws_errors("the log"):
            answer = await self._client.get_item(
                TableName=self._table, Key={KEY: {"S": PROGRESS}}, ConsistentRead=True
            )
        return plain_item(answer.get("Item", {})) or None

    async def page(self, wanted: DropFilter, limit: int) -> Page:
        """The newest drops that pass the filter, in the order of landing."""
        low, high = drop_id_bounds(wanted.landed_from, wanted.landed_to)
        if wanted.after is not None and wanted.after.int <= high.int:
            high = UUID(int=wanted.after.int - 1)
        if low.int > high.int:
            return Page([], None)
        if wanted.tables is not None and not wanted.needs_attention:
            partitions = [table_partition(*table) for table in wanted.tables]
            return await self._merged(BY_TABLE, partitions, low, high, wanted, limit)
        return await self._by_month(low, high, wanted, limit)

    async def newest(self, index: str, since: datetime, most: int) -> list[Item]:
        """The newest in each partition of `recent` or `attention`, one read each; in no order."""
        low, high = drop_id_bounds(since, None)
        months = {since.date().replace(day=1), datetime.now(UTC).date().replace(day=1)}
        every = DropFilter(None, None, None, None, None, None)

        async def of(partition: str) -> list[Item]:
            found = self._items(index, partition, low, high, every, most, _Budget(1))
            return [item async for item in found if _UNREAD not in item]

        looked = [of(partition) for month in months for partition in recent_partitions(month)]
        return [item for items in await asyncio.gather(*looked) for item in items]

    async def count_unfinished(
        self, db_name: str, table_name: str, first_drop_id: UUID
    ) -> dict[State, int]:
        """Drops of a table that the ledger does not know: under way, waiting or failed; by state,
        the newest thousand of them.

        Args:
            first_drop_id: the first that the ledger knows; no other can have waited for longer
                than a queue keeps its messages, so months before it need not be read.
        """
        since = landing_time(first_drop_id) - _LONGEST_WAIT
        wanted = DropFilter([(db_name, table_name)], since, None, UNFINISHED_STATES, None, None)
        page = await self.page(wanted, _MOST_UNFINISHED)
        return dict(Counter(State(item["state"]) for item in page.items))

    async def _by_month(self, low: UUID, high: UUID, wanted: DropFilter, limit: int) -> Page:
        index = ATTENTION if wanted.needs_attention else RECENT
        newest = min(landing_time(high), datetime.now(UTC).replace(microsecond=0))
        month, empty, found = newest.date().replace(day=1), 0, list[Item]()
        oldest = landing_time(low).date().replace(day=1)
        while month >= oldest and empty < MOST_MONTHS:
            room = limit - len(found)
            page = await self._merged(index, recent_partitions(month), low, high, wanted, room)
            found += page.items
            if page.last is not None:
                # Without room this month was only looked at: the next page begins with it.
                return Page(found, page.last if room else UUID(found[-1][KEY]))
            empty = 0 if page.items else empty + 1
            month = _month_before(month)
        return Page(found, None)

    async def _merged(
        self,
        index: str,
        partitions: Sequence[str],
        low: UUID,
        high: UUID,
        wanted: DropFilter,
        limit: int,
    ) -> Page:
        """Partitions merged by drop id, newest first; one item more than asked tells of a next
        page."""
        budget = _Budget(MOST_READS + len(partitions))
        streams = [
            _Stream(self._items(index, partition, low, high, wanted, limit + 1, budget))
            for partition in partitions
        ]
        await asyncio.gather(*(stream.advance() for stream in streams))
        heap = [(-stream.head_id.int, place) for place, stream in enumerate(streams) if stream.head]
        heapq.heapify(heap)
        found: list[Item] = []
        while heap:
            _, place = heapq.heappop(heap)
            stream = streams[place]
            if stream.exhausted_budget:
                return Page(found[:limit], stream.head_id)
            assert stream.head is not None
            found.append(stream.head)
            if len(found) > limit:
                # Before the stream goes on: that may be one more query, for nothing.
                return Page(found[:limit], UUID(found[limit - 1][KEY]))
            await stream.advance()
            if stream.head:
                heapq.heappush(heap, (-stream.head_id.int, place))
        return Page(found, None)

    async def _items(
        self,
        index: str,
        partition: str,
        low: UUID,
        high: UUID,
        wanted: DropFilter,
        limit: int,
        budget: _Budget,
    ) -> AsyncIterator[Item]:
        query = _query(self._table, index, partition, low, high, wanted, limit)
        while True:
            with transient_aws_errors("the log"):
                answer = await self._client.query(**query)
            budget.left -= 1
            for item in map(plain_item, answer["Items"]):
                if not _expired(item):
                    yield item
            start = answer.get("LastEvaluatedKey")
            if not start:
                return
            if budget.left <= 0:
                # The reader goes on from here with its next page.
                yield {KEY: start[KEY]["S"], _UNREAD: True}
                return
            query["ExclusiveStartKey"] = start


_UNREAD: Final = "#unread"


class _Stream:
    """One partition, read as far as it is needed."""

    def __init__(self, items: AsyncIterator[Item]) -> None:
        self._items = items
        self.head: Item | None = None

    @property
    def head_id(self) -> UUID:
        assert self.head is not None
        return UUID(self.head[KEY])

    @property
    def exhausted_budget(self) -> bool:
        return self.head is not None and _UNREAD in self.head

    async def advance(self) -> None:
        self.head = await anext(self._items, None)


def _query(
    table: str,
    index: str,
    partition: str,
    low: UUID,
    high: UUID,
    wanted: DropFilter,
    limit: int,
) -> QueryInputTypeDef:
    names = {"#partition": INDEX_KEYS[index], "#id": KEY}
    values: dict[str, Any] = {
        ":partition": {"S": partition},
        ":low": {"S": str(low)},
        ":high": {"S": str(high)},
    }
    query: QueryInputTypeDef = {
        "TableName": table,
        "IndexName": index,
        "KeyConditionExpression": "#partition = :partition AND #id BETWEEN :low AND :high",
        "ScanIndexForward": False,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
    conditions = []
    if wanted.states is not None:
        states = {f":state{place}": {"S": one} for place, one in enumerate(sorted(wanted.states))}
        conditions.append(f"#state IN ({', '.join(states)})")
        names["#state"] = "state"
        values |= states
    if wanted.key is not None:
        conditions.append("#key = :key")
        names["#key"], values[":key"] = "key", {"S": wanted.key}
    if index != BY_TABLE and wanted.tables is not None:
        wanted_tables = [table_partition(*one) for one in wanted.tables]
        marks = [f":table{place}" for place in range(len(wanted_tables))]
        conditions.append(f"#table IN ({', '.join(marks)})" if marks else "#table = :none")
        names["#table"] = "table_pk"
        values |= {mark: {"S": one} for mark, one in zip(marks, wanted_tables, strict=True)}
        if not marks:
            values[":none"] = {"S": ""}
    if wanted.attributes is not None:
        shown = {f"#shown{place}": name for place, name in enumerate(wanted.attributes)}
        query["ProjectionExpression"] = ", ".join(shown)
        names |= shown
    if conditions:
        # A filter is applied after the read (1 MB a page), so a Limit would count what it drops.
        query["FilterExpression"] = " AND ".join(conditions)
    else:
        query["Limit"] = limit
    return query


def _expired(item: Item) -> bool:
    # DynamoDB deletes within days, not at the moment:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
    return EXPIRY in item and item[EXPIRY] <= time.time()


def _month_before(month: date) -> date:
    return date(month.year - (month.month == 1), (month.month - 2) % 12 + 1, 1)

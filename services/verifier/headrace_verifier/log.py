"""Reads the log in DynamoDB: drops by their ids, the drop of a version, and all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from headrace_shared.attribute_values import plain_item
from headrace_shared.aws import transient_aws_errors
from headrace_shared.drop import drop_id_bounds
from headrace_shared.errors import TransientError
from headrace_shared.identifiers import safe_identifier, safe_schema
from headrace_shared.key_rules import DEFAULT_KEY_RULES, KeyRules
from headrace_shared.log_schema import (
    BY_TABLE,
    INDEX_KEYS,
    KEY,
    RECENT,
    is_drop_key,
    recent_partitions,
    table_partition,
)
from headrace_shared.routes import Place
from headrace_verifier.records import Item, Version, item_of

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import QueryInputTypeDef

_BATCH: Final = 100
"""Keys of one BatchGetItem call:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

_TRIES: Final = 6

AT_ONCE: Final = 8
"""Calls under way at a time."""

_CLOCKS: Final = timedelta(seconds=5)

Found = TypeVar("Found")


class Log:
    """Raises TransientError when the table cannot be reached.

    Args:
        rules: where each key belongs.
    """

    def __init__(
        self, client: DynamoDBClient, table: str, rules: KeyRules = DEFAULT_KEY_RULES
    ) -> None:
        self._client = client
        self._table = table
        self._rules = rules

    async def items(self, drop_ids: Sequence[UUID]) -> dict[UUID, Item]:
        """The items of these drops, as far as there are any."""
        batches = [drop_ids[at : at + _BATCH] for at in range(0, len(drop_ids), _BATCH)]
        found = await _at_once([self._batch(batch) for batch in batches])
        return {item.drop.drop_id: item for items in found for item in items}

    async def unknown(self, versions: Sequence[Version]) -> list[Version]:
        """Those of the versions that have no item."""
        known = await _at_once([self._knows(version) for version in versions])
        return [version for version, is_known in zip(versions, known, strict=True) if not is_known]

    async def pages(self, after: str | None) -> AsyncIterator[tuple[list[Item], str | None]]:
        """All items, in no order, a megabyte at a time; each page with the place after it, None
        after the last.

        Args:
            after: where an earlier reading stopped.
        """
        more = after
        while True:
            start: Any = {"ExclusiveStartKey": {KEY: {"S": more}}} if more else {}
            with transient_aws_errors("reading the log"):
                answer = await self._client.scan(TableName=self._table, **start)
            last = answer.get("LastEvaluatedKey")
            more = last[KEY]["S"] if last else None
            items = map(plain_item, answer["Items"])
            yield [item_of(one) for one in items if is_drop_key(one[KEY])], more
            if more is None:
                return

    async def _batch(self, drop_ids: Sequence[UUID]) -> list[Item]:
        wanted: list[dict[str, Any]] = [{KEY: {"S": str(one)}} for one in drop_ids]
        found: list[Item] = []
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(0.1 * 2**attempt)
            with transient_aws_errors("reading the log"):
                answer = await self._client.batch_get_item(
                    RequestItems={self._table: {"Keys": wanted, "ConsistentRead": True}}
                )
            found += [item_of(plain_item(raw)) for raw in answer["Responses"][self._table]]
            left = answer.get("UnprocessedKeys", {}).get(self._table)
            if not left:
                return found
            wanted = list(left["Keys"])
        raise TransientError("reading the log: DynamoDB left keys out again and again")

    async def _knows(self, version: Version) -> bool:
        for query in _queries(self._table, version, self._rules.place(version.key)):
            while True:
                with transient_aws_errors("reading the log"):
                    answer = await self._client.query(**query)
                if answer["Count"]:
                    return True
                if not (start := answer.get("LastEvaluatedKey")):
                    break
                query["ExclusiveStartKey"] = start
        return False


def _queries(table: str, version: Version, place: Place) -> list[QueryInputTypeDef]:
    """Where an item of this version can lie: its drop id begins with its landing second."""
    earliest, latest = version.modified - _CLOCKS, version.modified + version.event_delay
    low, high = drop_id_bounds(earliest, latest)
    index, partitions = _partitions(place, earliest, latest)
    return [
        {
            "TableName": table,
            "IndexName": index,
            "Select": "COUNT",
            "KeyConditionExpression": "#partition = :partition AND #id BETWEEN :low AND :high",
            "FilterExpression": "#key = :key AND (#version = :version OR "
            "(attribute_not_exists(#version) AND #etag = :etag))",
            "ExpressionAttributeNames": {
                "#partition": INDEX_KEYS[index],
                "#id": KEY,
                "#key": "key",
                "#version": "version_id",
                "#etag": "etag",
            },
            "ExpressionAttributeValues": _values(version, partition, low, high),
        }
        for partition in partitions
    ]


def _partitions(place: Place, earliest: datetime, latest: datetime) -> tuple[str, list[str]]:
    db_name, table_name = safe_schema(place.db_name), safe_identifier(place.table_name)
    if db_name and table_name:
        return BY_TABLE, [table_partition(db_name, table_name)]
    months = dict.fromkeys((earliest.date().replace(day=1), latest.date().replace(day=1)))
    return RECENT, [one for month in months for one in recent_partitions(month)]


def _values(version: Version, partition: str, low: UUID, high: UUID) -> Mapping[str, Any]:
    return {
        ":partition": {"S": partition},
        ":low": {"S": str(low)},
        ":high": {"S": str(high)},
        ":key": {"S": version.key},
        ":version": {"S": version.version_id or ""},
        ":etag": {"S": version.etag},
    }


async def _at_once(work: Sequence[Awaitable[Found]]) -> list[Found]:
    """The answers in the order of the questions; the first error ends them all."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(asked: Awaitable[Found]) -> Found:
        async with room:
            return await asked

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(asked)) for asked in work]
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]

"""Reads from the log what landed within some hours: by key conditions, and up to so many drops."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from headrace_shared.attribute_values import plain_item
from headrace_shared.aws import transient_aws_errors
from headrace_shared.drop import drop_id_bounds, landing_time
from headrace_shared.log_schema import (
    BY_TABLE,
    INDEX_KEYS,
    KEY,
    RECENT,
    recent_partitions,
    table_partition,
)

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import QueryInputTypeDef

MOST_DROPS: Final = 20_000
"""After so many read, the earlier ones are left out, and the answer says so."""

_PAGE: Final = 1_000
_ATTRIBUTES: Final = (
    "db_name",
    "table_name",
    "state",
    "rows_loaded",
    "rows_quarantined",
    "size_bytes",
    "duration_ms",
    "run",
)

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Landed:
    """Drops, and from which landing time on they are all there; earlier ones are left out."""

    items: list[Item]
    complete_from: datetime


@dataclass
class _Partition:
    query: QueryInputTypeDef
    items: list[Item] = field(default_factory=list)
    finished: bool = False


class Landings:
    """Raises TransientError where the log cannot be reached."""

    def __init__(
        self, client: DynamoDBClient, table: str, *, most: int = MOST_DROPS, page: int = _PAGE
    ) -> None:
        self._client = client
        self._table = table
        self._most = most
        self._page = page

    async def since(self, begin: datetime, table: tuple[str, str] | None, now: datetime) -> Landed:
        """What landed from `begin` on, of one table or of all, the newest first where they are too
        many."""
        low, high = drop_id_bounds(begin, now)
        index = RECENT if table is None else BY_TABLE
        keys = _months(begin.date(), now.date()) if table is None else [table_partition(*table)]
        partitions = [
            _Partition({**_query(self._table, index, key, low, high), "Limit": self._page})
            for key in keys
        ]
        while left := [one for one in partitions if not one.finished]:
            await asyncio.gather(*(self._read_on(one) for one in left))
            if sum(len(one.items) for one in partitions) >= self._most:
                break
        complete_from = max(_told_from(one, begin) for one in partitions)
        items = [item for one in partitions for item in one.items]
        return Landed([one for one in items if _landed(one) >= complete_from], complete_from)

    async def _read_on(self, partition: _Partition) -> None:
        with transient_aws_errors("the log"):
            answer = await self._client.query(**partition.query)
        partition.items += map(plain_item, answer["Items"])
        if start := answer.get("LastEvaluatedKey"):
            partition.query["ExclusiveStartKey"] = start
        else:
            partition.finished = True


def _told_from(partition: _Partition, begin: datetime) -> datetime:
    if partition.finished or not partition.items:
        return begin
    # The second that it was read down to may hold more.
    return _landed(partition.items[-1]) + timedelta(seconds=1)


def _landed(item: Item) -> datetime:
    return landing_time(UUID(item[KEY]))


def _months(begin: date, end: date) -> list[str]:
    months = dict.fromkeys(
        (begin + timedelta(days=day)).replace(day=1) for day in range((end - begin).days + 1)
    )
    return [partition for month in months for partition in recent_partitions(month)]


def _query(table: str, index: str, partition: str, low: UUID, high: UUID) -> QueryInputTypeDef:
    names = {f"#{place}": name for place, name in enumerate(_ATTRIBUTES)}
    return {
        "TableName": table,
        "IndexName": index,
        "KeyConditionExpression": "#partition = :partition AND #id BETWEEN :low AND :high",
        "ProjectionExpression": ", ".join(["#id", *names]),
        "ScanIndexForward": False,
        "ExpressionAttributeNames": {"#partition": INDEX_KEYS[index], "#id": KEY, **names},
        "ExpressionAttributeValues": {
            ":partition": {"S": partition},
            ":low": {"S": str(low)},
            ":high": {"S": str(high)},
        },
    }

"""The table of API keys as the platform and the commands use it: with boto3, one key at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from headrace_shared.api_keys import (
    EVERY_TABLE,
    KEY_ID,
    REVOKED,
    ApiKey,
    Scope,
    as_item,
    key_of,
    make_key,
    written,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LOCAL_KEY_ID: Final = "local"


def local_key() -> tuple[str, ApiKey]:
    """The key of a platform on this machine, with every right: its text, and what is kept of it.

    Its id is always the same, so that each start replaces the one before.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    return make_key("headrace up", list(Scope), [EVERY_TABLE], now, key_id=LOCAL_KEY_ID)


def put_key(dynamodb: DynamoDBClient, table: str, key: ApiKey) -> None:
    """Keeps a key."""
    dynamodb.put_item(TableName=table, Item=as_item(key))


def listed(dynamodb: DynamoDBClient, table: str) -> Iterator[ApiKey]:
    """Every key, by its creation. There are few: the one place where a table is read whole."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table)
    keys = [key_of(item) for page in pages for item in page["Items"]]
    yield from sorted(keys, key=lambda one: (one.created_at, one.key_id))


def revoke(dynamodb: DynamoDBClient, table: str, key_id: str) -> ApiKey | None:
    """The key, revoked now or before; None where there is none."""
    found = dynamodb.get_item(TableName=table, Key={KEY_ID: {"S": key_id}}, ConsistentRead=True)
    if "Item" not in found:
        return None
    key = key_of(found["Item"])
    if key.revoked_at is not None:
        return key
    now = datetime.now(UTC).replace(microsecond=0)
    dynamodb.update_item(
        TableName=table,
        Key={KEY_ID: {"S": key_id}},
        UpdateExpression="SET #revoked = :now",
        ConditionExpression="attribute_exists(#id)",
        ExpressionAttributeNames={"#revoked": REVOKED, "#id": KEY_ID},
        ExpressionAttributeValues={":now": {"S": written(now)}},
    )
    return replace(key, revoked_at=now)

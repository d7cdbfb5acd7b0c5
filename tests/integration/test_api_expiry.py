"""What has expired is not answered for, though DynamoDB has not deleted it yet."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

import pytest
from boto3.dynamodb.types import TypeSerializer

from headrace_api.log_store import DropFilter, DynamoDBLogStore
from headrace_logger.states import applied, update_for
from headrace_shared.aws import AwsClients
from headrace_shared.drop import Drop
from headrace_shared.facts import DropRouted
from headrace_shared.testing.builders import a_drop
from tests.real_parts import AwsStack

pytestmark = pytest.mark.integration


def put(aws: AwsStack, drop: Drop, *, expires_in_seconds: int) -> None:
    item = applied({}, update_for(DropRouted(drop=drop), expiry_days=0))
    kept = {**item, "expires_at": int(time.time()) + expires_in_seconds}
    write = TypeSerializer().serialize
    aws.clients.dynamodb.put_item(
        TableName=aws.resources.log_table.name,
        Item={name: write(value) for name, value in kept.items()},
    )


@pytest.mark.parametrize("tables", [None, [("dev", "users")]])
async def test_expired_drop_is_gone_before_the_table_forgets_it(
    aws_stack: AwsStack, tables: list[tuple[str, str]] | None
) -> None:
    gone = [a_drop(second=second) for second in range(0, -10, -2)]
    kept = [a_drop(second=second) for second in range(-1, -11, -2)]
    for drop in gone:
        put(aws_stack, drop, expires_in_seconds=-5)
    for drop in kept:
        put(aws_stack, drop, expires_in_seconds=3_600)
    async with AsyncExitStack() as stack:
        client = await AwsClients(stack, connections=8).open("dynamodb")
        store = DynamoDBLogStore(client, aws_stack.resources.log_table.name)
        page = await store.page(DropFilter(tables, None, None, None, None, None), 5)
        assert [item["drop_id"] for item in page.items] == [str(drop.drop_id) for drop in kept]
        assert page.last is None
        assert await store.drop(gone[0].drop_id) is None
        assert await store.drop(kept[0].drop_id) is not None

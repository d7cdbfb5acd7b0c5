"""The logger's conditional writes on the emulator's table do what the pure fold says."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from boto3.dynamodb.types import TypeDeserializer

from headrace_api.log_lag import log_lag
from headrace_api.log_store import DynamoDBLogStore
from headrace_logger.dynamodb import DynamoDBLog
from headrace_logger.states import Item, Written, applied, update_for
from headrace_shared.aws import AwsClients
from headrace_shared.errors import TransientError
from headrace_shared.facts import (
    DropRejected,
    DropRouted,
    DropSuperseded,
    Fact,
    LoadFailed,
    LoadStarted,
    LoadSucceeded,
    Stage,
)
from headrace_shared.log_schema import ATTENTION, INDEX_KEYS, recent_partition
from headrace_shared.reasons import BadRow, Reason
from headrace_shared.testing.builders import EPOCH, a_drop
from headrace_verifier.log import Log
from tests.real_parts import AwsStack

pytestmark = pytest.mark.integration

DROP = a_drop("dev/append/users/a b+%20ü.csv")
LATER = UUID("6b00cbd0-0000-8000-8000-000000000001")
REASON = Reason(
    code="bad_rows",
    message="",
    bad_rows=(BadRow(line=3, column=None, value="", reason="no number"),),
)


def at(step: int) -> dict[str, Any]:
    return {"drop": DROP, "occurred_at": EPOCH + timedelta(milliseconds=500 * step)}


ROAD: tuple[Fact, ...] = (
    DropRouted(**at(1), traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"),
    LoadStarted(**at(2), attempt=1),
    LoadFailed(**at(3), attempt=1, final=False, reason=REASON, retry_in_seconds=2.5),
    LoadStarted(**at(4), attempt=2),
    LoadFailed(**at(5), attempt=2, final=True, reason=REASON),
)
ENDS: tuple[Fact, ...] = (
    LoadSucceeded(**at(6), attempt=3, rows_loaded=7, bytes=10, duration_ms=31, contract_id=LATER),
    DropRejected(**at(6), attempt=3, stage=Stage.LOAD, reason=REASON),
    DropSuperseded(**at(6), attempt=3, superseded_by=LATER),
)


@pytest.fixture
async def log(aws_stack: AwsStack) -> AsyncIterator[DynamoDBLog]:
    async with AsyncExitStack() as stack:
        client = await AwsClients(stack, connections=4).open("dynamodb")
        yield DynamoDBLog(client, aws_stack.resources.log_table.name)


def item_of(aws: AwsStack) -> dict[str, Any]:
    answer = aws.clients.dynamodb.get_item(
        TableName=aws.resources.log_table.name, Key={"drop_id": {"S": str(DROP.drop_id)}}
    )
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in answer.get("Item", {}).items()}


def forget(aws: AwsStack) -> None:
    aws.clients.dynamodb.delete_item(
        TableName=aws.resources.log_table.name, Key={"drop_id": {"S": str(DROP.drop_id)}}
    )


def folded(facts: Sequence[Fact]) -> Item:
    item: Item = {}
    for fact in facts:
        item = applied(item, update_for(fact, expiry_days=0))
    return item


async def written(log: DynamoDBLog, facts: Sequence[Fact]) -> list[bool]:
    return [(await log.write(update_for(fact, expiry_days=0))).moved for fact in facts]


@pytest.mark.parametrize("end", [None, *ENDS], ids=lambda end: end.detail_type if end else "none")
async def test_table_ends_as_the_fold_whatever_the_order(
    log: DynamoDBLog, aws_stack: AwsStack, end: Fact | None
) -> None:
    history = [*ROAD, *([end] if end else [])]
    for seed in range(6):
        luck = random.Random(seed)
        delivered = [*history, *luck.choices(history, k=4)]
        luck.shuffle(delivered)
        await written(log, delivered)
        assert item_of(aws_stack) == folded(history), f"seed {seed}"
        forget(aws_stack)


async def test_write_whose_answer_was_lost_is_harmless_when_tried_again(
    log: DynamoDBLog, aws_stack: AwsStack
) -> None:
    # The SDK's retry after a lost answer is the same write again, and is refused.
    for fact in (*ROAD, ENDS[0]):
        assert await written(log, [fact, fact]) == [True, False]
    assert item_of(aws_stack) == folded([*ROAD, ENDS[0]])


async def test_write_tells_the_state_that_the_item_moved_from(log: DynamoDBLog) -> None:
    told = [await log.write(update_for(fact, expiry_days=0)) for fact in (*ROAD, ENDS[0], ROAD[0])]
    befores = [None, "routed", "loading", "waiting", "loading", "failed"]
    assert told == [*(Written(True, before) for before in befores), Written(False)]


async def test_fact_told_again_later_keeps_the_time_of_its_first_telling(
    log: DynamoDBLog, aws_stack: AwsStack
) -> None:
    history = [*ROAD, ENDS[0]]
    hour = timedelta(hours=1)
    told_again = [
        fact.model_copy(update={"occurred_at": fact.occurred_at + hour}) for fact in history
    ]
    assert await written(log, [*history, *told_again]) == [True] * 6 + [False] * 6
    assert item_of(aws_stack) == folded(history)


async def test_ended_drop_leaves_the_attention_index(log: DynamoDBLog, aws_stack: AwsStack) -> None:
    def needing() -> int:
        return aws_stack.clients.dynamodb.query(
            TableName=aws_stack.resources.log_table.name,
            IndexName=ATTENTION,
            KeyConditionExpression=f"{INDEX_KEYS[ATTENTION]} = :partition",
            ExpressionAttributeValues={":partition": {"S": recent_partition(DROP.drop_id)}},
        )["Count"]

    await written(log, ROAD)
    assert needing() == 1
    await written(log, [ENDS[0], *ROAD])
    assert needing() == 0


async def test_progress_is_kept_beside_the_drops(log: DynamoDBLog, aws_stack: AwsStack) -> None:
    await written(log, ROAD)
    for through, is_idle in (
        ("2026-11-20T12:00:00.000Z", False),
        ("2026-11-20T12:00:01.000Z", True),
    ):
        await log.progress(through, is_idle=is_idle)
    async with AsyncExitStack() as stack:
        client = await AwsClients(stack, connections=2).open("dynamodb")
        table = aws_stack.resources.log_table.name
        found = await DynamoDBLogStore(client, table).progress()
        pages = [page async for page, _ in Log(client, table).pages(None)]
    assert found is not None
    assert log_lag(found, EPOCH + timedelta(seconds=9)).lag_seconds == 0
    assert log_lag(found, EPOCH + timedelta(seconds=99)).lag_seconds == 98
    assert [item.drop.drop_id for page in pages for item in page] == [DROP.drop_id]


async def test_step_does_not_bring_an_expired_item_back(
    log: DynamoDBLog, aws_stack: AwsStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(log, [ENDS[0]])
    update, first = log._update, True

    async def expiring(*arguments: Any) -> Written:
        nonlocal first
        told = await update(*arguments)
        if first:
            first = False
            forget(aws_stack)
        return told

    monkeypatch.setattr(log, "_update", expiring)
    assert await written(log, [ROAD[0]]) == [False]
    assert item_of(aws_stack) == {}


async def test_throttled_table_asks_for_another_try(
    log: DynamoDBLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def throttled(**_: Any) -> None:
        code = "ProvisionedThroughputExceededException"
        raise log._client.exceptions.ClientError({"Error": {"Code": code}}, "UpdateItem")

    monkeypatch.setattr(log._client, "update_item", throttled)
    with pytest.raises(TransientError):
        await written(log, ROAD[:1])

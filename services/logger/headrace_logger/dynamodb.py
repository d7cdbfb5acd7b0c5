"""The log as a DynamoDB table: conditional updates, one at a time for each drop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from botocore.exceptions import ClientError

from headrace_logger.states import Update, Written
from headrace_shared.aws import error_code, transient_aws_errors
from headrace_shared.log_schema import IS_IDLE, KEY, PROGRESS, WRITTEN_THROUGH

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import AttributeValueTypeDef


class DynamoDBLog:
    """Writes updates of drops' items. Raises TransientError when the table asks for another try.

    The SDK's own retries make a refused condition ambiguous: the first try may have been written
    and its answer lost. Here that is harmless, for a refusal says only that the item stands at
    this place of the road or beyond it, whoever wrote it.
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    async def write(self, update: Update) -> Written:
        """What became of the update."""
        with transient_aws_errors("writing the log"):
            written = await self._update(
                update,
                "attribute_not_exists(#state_order) OR #state_order < :order",
                {**update.attributes, **update.exact_steps},
                update.removed,
            )
            if not written.moved:
                # Only of an item that is there: one that expired meanwhile must not come back as
                # a step without a drop.
                await self._update(update, f"attribute_exists({KEY})", {}, ())
        return written

    async def progress(self, written_through: str, *, is_idle: bool) -> None:
        """Notes how far the log has come, in an item of its own."""
        with transient_aws_errors("writing the log"):
            await self._client.update_item(
                TableName=self._table,
                Key={KEY: {"S": PROGRESS}},
                UpdateExpression="SET #through = :through, #idle = :idle",
                ExpressionAttributeNames={"#through": WRITTEN_THROUGH, "#idle": IS_IDLE},
                ExpressionAttributeValues={
                    ":through": {"S": written_through},
                    ":idle": {"BOOL": is_idle},
                },
            )

    async def link(self, corrected: UUID, by: UUID) -> None:
        """Notes in a drop's item which later drop corrects it, if the item is there."""
        with transient_aws_errors("writing the log"), _unless_unmet():
            await self._client.update_item(
                TableName=self._table,
                Key={KEY: {"S": str(corrected)}},
                UpdateExpression="SET corrected_by = :by",
                ConditionExpression=f"attribute_exists({KEY}) AND "
                "(attribute_not_exists(corrected_by) OR corrected_by < :by)",
                ExpressionAttributeValues={":by": {"S": str(by)}},
            )

    async def _update(
        self,
        update: Update,
        condition: str,
        attributes: Mapping[str, Any],
        removed: tuple[str, ...],
    ) -> Written:
        steps = {**update.exact_steps, **update.steps}
        if_new = {name: step for name, step in steps.items() if name not in attributes}
        names = {f"#{index}": name for index, name in enumerate((*attributes, *if_new, *removed))}
        given = enumerate((*attributes.values(), *if_new.values()))
        values = {f":{index}": _encoded(value) for index, value in given}
        sets = ", ".join(
            f"#{index} = :{index}"
            if index < len(attributes)
            else f"#{index} = if_not_exists(#{index}, :{index})"
            for index in range(len(values))
        )
        removes = ", ".join(f"#{index}" for index in range(len(values), len(names)))
        if "#state_order" in condition:
            names["#state_order"] = "state_order"
            values[":order"] = _encoded(update.order)
        try:
            answer = await self._client.update_item(
                TableName=self._table,
                Key={KEY: {"S": update.key}},
                UpdateExpression=f"SET {sets}" + (f" REMOVE {removes}" if removes else ""),
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ReturnValues="UPDATED_OLD",
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return Written(moved=False)
        return Written(moved=True, before=answer.get("Attributes", {}).get("state", {}).get("S"))


@contextmanager
def _unless_unmet() -> Iterator[None]:
    """Nothing is done, and that is well, where an update's condition does not hold."""
    try:
        yield
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise


def _encoded(value: Any) -> AttributeValueTypeDef:
    """A value of an item in DynamoDB's own notation; items hold texts, whole numbers, truth
    values, nulls, lists and maps alone."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case Mapping():
            return {"M": {str(name): _encoded(part) for name, part in value.items()}}
        case list() | tuple():
            return {"L": [_encoded(part) for part in value]}
    raise TypeError(f"no item of the log holds a {type(value).__name__}")

"""Requests that may be repeated: who names an `Idempotency-Key` has it done once within a day.

An answer is kept as an item of the log's table that is no drop and in no index, and expires. The
claim comes before the deed: of two requests at once, one acts and the other is told so.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from headrace_api.problems import ApiError, conflict
from headrace_shared.attribute_values import plain_item
from headrace_shared.aws import error_code, transient_aws_errors
from headrace_shared.log_schema import ANSWER_PREFIX, EXPIRY, KEY

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

KEPT_SECONDS: Final = 86_400
CLAIM_SECONDS: Final = 60
"""After so long, a request that neither ended nor failed has died with its process, and the next
one with its key acts in its place. What it did before is done again: loads are idempotent."""

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RequestName:
    """By which a repeated request is known.

    Args:
        key: of the item.
        content: what was asked for; another request under the same key has another.
    """

    key: str
    content: str

    @classmethod
    def of(cls, caller: str, operation: str, given: str, body: Mapping[str, Any]) -> RequestName:
        """Of a caller's own `Idempotency-Key`: another caller's is another request."""
        name = hashlib.sha256(f"{caller}\0{operation}\0{given}".encode()).hexdigest()
        content = json.dumps(dict(body), sort_keys=True, default=str)
        return cls(f"{ANSWER_PREFIX}{name}", hashlib.sha256(content.encode()).hexdigest())


class Answers:
    """Keeps answers in the log's table; raises TransientError where it cannot be reached."""

    def __init__(
        self, client: DynamoDBClient, table: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    async def once(
        self, name: RequestName | None, act: Callable[[], Awaitable[Answer]]
    ) -> tuple[Answer, bool]:
        """The answer, and whether it was given before; None: the request has no name.

        Raises:
            ApiError: the key was used for something else, or its request is under way (409).
        """
        if name is None:
            return await act(), False
        earlier = await self._claim(name)
        if earlier is not None:
            return earlier, True
        try:
            answer = await act()
        except Exception:
            await self._put(name, claimed_until=0)
            raise
        await self._put(name, claimed_until=0, answer=answer)
        return answer, False

    async def _claim(self, name: RequestName) -> Answer | None:
        now = int(self._clock())
        try:
            await self._put(
                name,
                claimed_until=now + CLAIM_SECONDS,
                ConditionExpression="attribute_not_exists(#key) OR #expiry <= :now OR "
                "(attribute_not_exists(#answer) AND #until <= :now)",
                ExpressionAttributeNames={
                    "#key": KEY,
                    "#expiry": EXPIRY,
                    "#answer": "answer",
                    "#until": "claimed_until",
                },
                ExpressionAttributeValues={":now": {"N": str(now)}},
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return await self._earlier(name)
        return None

    async def _earlier(self, name: RequestName) -> Answer:
        with transient_aws_errors("the log"):
            answer = await self._client.get_item(
                TableName=self._table, Key={KEY: {"S": name.key}}, ConsistentRead=True
            )
        item = plain_item(answer.get("Item", {}))
        if item and item["content"] != name.content:
            raise of_another_request()
        if "answer" not in item:
            raise _under_way()
        found: Answer = json.loads(item["answer"])
        return found

    async def _put(
        self,
        name: RequestName,
        *,
        claimed_until: int,
        answer: Answer | None = None,
        **condition: Any,
    ) -> None:
        item: dict[str, Any] = {
            KEY: {"S": name.key},
            "content": {"S": name.content},
            "claimed_until": {"N": str(claimed_until)},
            EXPIRY: {"N": str(int(self._clock()) + KEPT_SECONDS)},
        }
        if answer is not None:
            item["answer"] = {"S": json.dumps(answer)}
        with transient_aws_errors("the log"):
            await self._client.put_item(TableName=self._table, Item=item, **condition)


def of_another_request() -> ApiError:
    """An `Idempotency-Key` means one request, and this is another."""
    return conflict(
        "This Idempotency-Key was used for another request within a day; choose a new one.",
        slug="idempotency-key-reused",
        title="The key is taken",
    )


def _under_way() -> ApiError:
    return conflict(
        f"The request of this Idempotency-Key is under way; repeat it in some seconds, at most "
        f"{CLAIM_SECONDS}.",
        slug="request-under-way",
        title="Under way",
    )

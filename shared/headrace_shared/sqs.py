"""The inbox as an SQS queue."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from headrace_shared.aws import transient_aws_errors
from headrace_shared.coalescing import Coalescer
from headrace_shared.errors import TransientError
from headrace_shared.inbox import Message

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

_BATCH_LIMIT: Final = 10
"""Messages in one ReceiveMessage or DeleteMessageBatch:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html"""

_CALLS: Final = 4
"""Calls of one kind that are under way at a time while the queue has much to do."""

_MAX_VISIBILITY_SECONDS: Final = 43_200
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html"""

_DELETE_TRIES: Final = 3


class SqsQueue:
    """`inbox.Queue` on one SQS queue; deletes of messages that end together share a call."""

    def __init__(
        self,
        client: SQSClient,
        queue_url: str,
        *,
        visibility_seconds: int,
        poll_seconds: int,
    ) -> None:
        self._client = client
        self._url = queue_url
        self._visibility = visibility_seconds
        self._poll = poll_seconds
        self._deletes: Coalescer[Message, None] = Coalescer(
            self._delete_batch, limit=_BATCH_LIMIT, senders=_CALLS
        )

    async def max_receives(self) -> int | None:
        """How often a message may be received before SQS moves it to the dead-letter queue."""
        with transient_aws_errors("reading the inbox's attributes"):
            answer = await self._client.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=["RedrivePolicy"]
            )
        policy = answer.get("Attributes", {}).get("RedrivePolicy")
        return int(json.loads(policy)["maxReceiveCount"]) if policy else None

    async def is_empty(self) -> bool:
        """Whether no message waits and none is in hand, here or elsewhere; SQS counts
        approximately."""
        with transient_aws_errors("reading the inbox's attributes"):
            answer = await self._client.get_queue_attributes(
                QueueUrl=self._url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                ],
            )
        return not any(int(number) for number in answer.get("Attributes", {}).values())

    async def receive(self, limit: int) -> Sequence[Message]:
        """One long poll; where it is full, further calls at once, which do not wait."""
        messages = await self._receive(min(limit, _BATCH_LIMIT), self._poll)
        left = limit - len(messages)
        if len(messages) < _BATCH_LIMIT or not left:
            return messages
        sizes = [min(_BATCH_LIMIT, left - at) for at in range(0, left, _BATCH_LIMIT)][:_CALLS]
        answers = await asyncio.gather(
            *(self._receive(size, 0) for size in sizes), return_exceptions=True
        )
        # Messages that are in hand already count for more than the failure of a further call.
        return [*messages, *(one for got in answers if isinstance(got, list) for one in got)]

    async def _receive(self, limit: int, wait_seconds: int) -> list[Message]:
        with transient_aws_errors("polling the inbox"):
            answer = await self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=limit,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=self._visibility,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
        return [
            Message(
                message_id=raw["MessageId"],
                body=raw["Body"],
                receipt=raw["ReceiptHandle"],
                receive_count=int(raw["Attributes"]["ApproximateReceiveCount"]),
                sent_at=datetime.fromtimestamp(int(raw["Attributes"]["SentTimestamp"]) / 1000, UTC),
            )
            for raw in answer.get("Messages", [])
        ]

    async def hide(self, message: Message, seconds: float) -> None:
        """SQS counts the seconds from now, and in whole ones."""
        with transient_aws_errors("hiding a message"):
            await self._client.change_message_visibility(
                QueueUrl=self._url,
                ReceiptHandle=message.receipt,
                VisibilityTimeout=min(math.ceil(seconds), _MAX_VISIBILITY_SECONDS),
            )

    async def delete(self, message: Message) -> None:
        """Shares a call with the other deletes that wait."""
        await self._deletes.submit(message)

    async def _delete_batch(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        failed = dict.fromkeys(range(len(messages)), "")
        for attempt in range(_DELETE_TRIES):
            if attempt:
                await asyncio.sleep(0.1 * 2**attempt)
            failed = await self._delete_once({index: messages[index] for index in failed})
            if not failed:
                break
        return [
            TransientError(f"deleting a message: {failed[index]}") if index in failed else None
            for index in range(len(messages))
        ]

    async def _delete_once(self, messages: dict[int, Message]) -> dict[int, str]:
        with transient_aws_errors("deleting messages"):
            answer = await self._client.delete_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": message.receipt}
                    for index, message in messages.items()
                ],
            )
        return {int(entry["Id"]): entry["Code"] for entry in answer.get("Failed", [])}

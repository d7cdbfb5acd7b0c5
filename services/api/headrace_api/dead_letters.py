"""The dead-letter queue of one service: looked into, and moved back to the inbox.

SQS has no peek. To look is to receive, which hides a message from everybody else for a moment and
counts as one more receive, and to show it again at once; a dead-letter queue does nothing with
that count. One look at a time, so that two of this process never hide messages from one another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from headrace_shared.aws import error_code, transient_aws_errors
from headrace_shared.dead_letters import Said, Unreadable, place, read

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.type_defs import MessageTypeDef

MOST_LOOKED_AT: Final = 500
"""Messages of one queue that one look takes up, whatever the caller then sees of them."""

HIDDEN_SECONDS: Final = 60
"""How long what is looked at stays hidden if this process dies before it shows it again."""

_LOOK_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 1
"""A long poll asks every server of a queue, where a short one may miss a message:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html"""

_BATCH: Final = 10
_UNKNOWN_ACTION: Final = frozenset(
    {"InvalidAction", "NotImplemented", "UnknownAction", "UnknownOperationException"}
)
_WHERE: Final = "the dead letters"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that lies in the queue.

    Args:
        receives: how often it was received, this look included.
    """

    message_id: str
    body: str
    sent_at: datetime | None
    first_received_at: datetime | None
    receives: int
    receipt: str
    attributes: Mapping[str, Any]

    @property
    def content(self) -> Said | Unreadable:
        """What it says."""
        return read(self.body)

    @property
    def table(self) -> tuple[str | None, str | None]:
        """Its database and table, as far as it tells them."""
        content = self.content
        return (place(content) if isinstance(content, Said) else None) or (None, None)


class DeadLetters:
    """Raises TransientError where SQS cannot be reached."""

    def __init__(self, client: SQSClient, service: str, dead_url: str, inbox_url: str) -> None:
        self.service = service
        self._client = client
        self._dead_url = dead_url
        self._inbox_url = inbox_url
        self._one_at_a_time = asyncio.Lock()

    async def look(self) -> tuple[list[Letter], int]:
        """What lies there, and about how many messages do; they are visible again afterwards."""
        async with self._held() as held:
            attributes = await self._attributes(
                "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
            )
            return list(held.values()), max(sum(map(int, attributes.values())), len(held))

    async def move(self, wanted: Callable[[Letter], bool]) -> tuple[list[Letter], bool]:
        """Moves those that are wanted, one by one, back to the inbox, and shows the others again.

        A message is deleted here only after the inbox has taken it: whoever dies in between leaves
        it in both, which is harmless, because loads are idempotent.

        Returns:
            what was moved, and whether everything that lay here was looked at.
        """
        async with self._held() as held:
            all_of_it = len(held) < MOST_LOOKED_AT
            chosen = [one for one in held.values() if wanted(one)]
            for start in range(0, len(chosen), _BATCH):
                batch = chosen[start : start + _BATCH]
                await asyncio.gather(*(self._move(one) for one in batch))
                for one in batch:
                    del held[one.message_id]
            return chosen, all_of_it

    async def start_moving(self) -> bool:
        """Has SQS itself move everything; False where this SQS has no such thing.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
        """
        source = (await self._attributes("QueueArn"))["QueueArn"]
        try:
            with transient_aws_errors(_WHERE):
                tasks = await self._client.list_message_move_tasks(SourceArn=source, MaxResults=1)
                if not any(one.get("Status") == "RUNNING" for one in tasks.get("Results", [])):
                    await self._client.start_message_move_task(SourceArn=source)
        except ClientError as error:
            if error_code(error) not in _UNKNOWN_ACTION:
                raise
            return False
        return True

    async def _attributes(self, *names: Any) -> Mapping[str, str]:
        with transient_aws_errors(_WHERE):
            answer = await self._client.get_queue_attributes(
                QueueUrl=self._dead_url, AttributeNames=names
            )
        found: Mapping[Any, str] = answer.get("Attributes", {})
        return found

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[dict[str, Letter]]:
        """Messages by their ids, which nobody else sees within the block; those that are left at
        its end are shown again."""
        held: dict[str, Letter] = {}
        async with self._one_at_a_time:
            try:
                async for letter in self._received():
                    held[letter.message_id] = letter
                yield held
            finally:
                await self._show_again(list(held.values()))

    async def _received(self) -> AsyncIterator[Letter]:
        deadline, number = time.monotonic() + _LOOK_SECONDS, 0
        while number < MOST_LOOKED_AT and time.monotonic() < deadline:
            with transient_aws_errors(_WHERE):
                answer = await self._client.receive_message(
                    QueueUrl=self._dead_url,
                    MaxNumberOfMessages=_BATCH,
                    WaitTimeSeconds=_POLL_SECONDS,
                    VisibilityTimeout=HIDDEN_SECONDS,
                    MessageSystemAttributeNames=["All"],
                    MessageAttributeNames=["All"],
                )
            messages = answer.get("Messages", [])
            if not messages:
                return
            number += len(messages)
            for message in messages:
                yield _letter(message)

    async def _show_again(self, letters: Sequence[Letter]) -> None:
        for start in range(0, len(letters), _BATCH):
            with transient_aws_errors(_WHERE):
                await self._client.change_message_visibility_batch(
                    QueueUrl=self._dead_url,
                    Entries=[
                        {"Id": str(at), "ReceiptHandle": one.receipt, "VisibilityTimeout": 0}
                        for at, one in enumerate(letters[start : start + _BATCH])
                    ],
                )

    async def _move(self, letter: Letter) -> None:
        attributes: Any = letter.attributes
        with transient_aws_errors(_WHERE):
            await self._client.send_message(
                QueueUrl=self._inbox_url, MessageBody=letter.body, MessageAttributes=attributes
            )
            await self._client.delete_message(QueueUrl=self._dead_url, ReceiptHandle=letter.receipt)


def _letter(message: MessageTypeDef) -> Letter:
    told: Mapping[Any, str] = message.get("Attributes", {})
    return Letter(
        message_id=message["MessageId"],
        body=message["Body"],
        sent_at=_moment(told.get("SentTimestamp")),
        first_received_at=_moment(told.get("ApproximateFirstReceiveTimestamp")),
        receives=int(told.get("ApproximateReceiveCount", 0)),
        receipt=message["ReceiptHandle"],
        attributes=message.get("MessageAttributes", {}),
    )


def _moment(milliseconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None

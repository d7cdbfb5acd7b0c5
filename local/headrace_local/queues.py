"""The two queues of a service as the commands use them: which ones, and what lies in them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from headrace_local.aws_errors import told_aws_errors
from headrace_local.errors import UserError
from headrace_local.resources import MAX_RECEIVES
from headrace_local.target import (
    API_VARIABLE,
    Credentials,
    client_config,
    credentials_of,
    running_here,
    session,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

SERVICES: Final = tuple(MAX_RECEIVES)

_BATCH: Final = 10
_HIDDEN_SECONDS: Final = 60
"""How long a message that is looked at stays hidden if this command dies before it shows it."""

_POLL_SECONDS: Final = 1
"""A long poll asks every server of a queue, where a short one may miss a message:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html"""

_LOOK_SECONDS: Final = 30.0
"""After so long a look ends, so that what it met first does not come to light again in it."""


@dataclass(frozen=True)
class QueuesTarget:
    """The queues of one service.

    Args:
        inbox_url: None where only the dead letters are named.
        api_url: None where nobody can be asked about drops.
    """

    service: str
    dead_url: str
    inbox_url: str | None
    api_url: str | None
    endpoint_url: str | None = None
    credentials: Credentials | None = None


@dataclass(frozen=True)
class Letter:
    """One message of a dead-letter queue.

    Args:
        receives: how often it was received, this look and others at the dead letters included.
    """

    message_id: str
    body: str
    sent_at: datetime | None
    first_received_at: datetime | None
    receives: int


def find_queues(
    service: str,
    dead_url: str | None,
    inbox_url: str | None,
    api_url: str | None,
    environment: Mapping[str, str] = os.environ,
) -> QueuesTarget:
    """The queues that options, the environment or `stack.json` name, in this order.

    Raises:
        UserError: there is no such service, or nothing names its queues and no platform runs here.
    """
    if service not in SERVICES:
        raise UserError(
            f"{service!r} is no service with an inbox.", service, f"One of {', '.join(SERVICES)}."
        )
    dead = dead_url or environment.get(dead_variable(service))
    inbox = inbox_url or environment.get(inbox_variable(service))
    if dead is not None:
        return QueuesTarget(service, dead, inbox, api_url or environment.get(API_VARIABLE))
    stack = running_here(f"--dead-url, or {dead_variable(service)}")
    return QueuesTarget(
        service,
        stack.dead_letter_queues[service],
        stack.inboxes[service],
        api_url or stack.api_url,
        stack.aws_endpoint_url,
        credentials_of(stack),
    )


def dead_variable(service: str) -> str:
    """The variable that names a service's dead-letter queue."""
    return f"{service.upper()}_DEAD_URL"


def inbox_variable(service: str) -> str:
    """The variable that names a service's inbox."""
    return f"{service.upper()}_INBOX_URL"


def sqs_client(target: QueuesTarget) -> SQSClient:
    """An SQS client for the target's queues."""
    return session(target.credentials).client(
        "sqs", endpoint_url=target.endpoint_url, config=client_config()
    )


def told(url: str, right: str) -> AbstractContextManager[None]:
    """boto3's errors at a queue, as the command tells them."""
    return told_aws_errors(url, right=right, named_by="--dead-url, --inbox-url or the environment")


def attribute(sqs: SQSClient, url: str, name: Any) -> str:
    """One attribute of a queue."""
    with told(url, "sqs:GetQueueAttributes"):
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    return answer.get("Attributes", {}).get(name, "")


def waiting(sqs: SQSClient, url: str) -> int:
    """How many messages lie in a queue, those included that somebody looks at; about so many, as
    SQS counts."""
    visible = attribute(sqs, url, "ApproximateNumberOfMessages")
    hidden = attribute(sqs, url, "ApproximateNumberOfMessagesNotVisible")
    return int(visible or 0) + int(hidden or 0)


def look(sqs: SQSClient, url: str, limit: int) -> list[Letter]:
    """Up to `limit` messages, which stay in the queue and are visible again afterwards.

    Looking counts as a receive; a dead-letter queue does nothing with that count. If the command
    is killed meanwhile, what it looked at is hidden for a minute.
    """
    held: dict[str, MessageTypeDef] = {}
    try:
        for message in _received(sqs, url, limit):
            held.setdefault(message["MessageId"], message)
    finally:
        _show_again(sqs, url, [message["ReceiptHandle"] for message in held.values()])
    return [_letter(message) for message in held.values()]


def receive(sqs: SQSClient, url: str, limit: int, hidden_seconds: int) -> list[MessageTypeDef]:
    """One poll with everything that a message carries."""
    with told(url, "sqs:ReceiveMessage"):
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(limit, _BATCH),
            WaitTimeSeconds=_POLL_SECONDS,
            VisibilityTimeout=hidden_seconds,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
    return answer.get("Messages", [])


def _received(sqs: SQSClient, url: str, limit: int) -> Iterator[MessageTypeDef]:
    deadline, number = time.monotonic() + _LOOK_SECONDS, 0
    while number < limit and time.monotonic() < deadline:
        messages = receive(sqs, url, limit - number, _HIDDEN_SECONDS)
        if not messages:
            return
        number += len(messages)
        yield from messages


def _show_again(sqs: SQSClient, url: str, receipts: list[str]) -> None:
    for start in range(0, len(receipts), _BATCH):
        with told(url, "sqs:ChangeMessageVisibility"):
            sqs.change_message_visibility_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(place), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                    for place, receipt in enumerate(receipts[start : start + _BATCH])
                ],
            )


def _letter(message: MessageTypeDef) -> Letter:
    attributes: Mapping[Any, str] = message.get("Attributes", {})
    return Letter(
        message_id=message["MessageId"],
        body=message["Body"],
        sent_at=_moment(attributes.get("SentTimestamp")),
        first_received_at=_moment(attributes.get("ApproximateFirstReceiveTimestamp")),
        receives=int(attributes.get("ApproximateReceiveCount", 0)),
    )


def _moment(milliseconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None

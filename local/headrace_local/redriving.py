"""Dead letters back to their inbox: by SQS itself, or, where it cannot, one by one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from headrace_local.aws_errors import error_code
from headrace_local.errors import PlatformError
from headrace_local.queues import attribute, receive, told

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import ListMessageMoveTasksResultEntryTypeDef, MessageTypeDef

_UNKNOWN_ACTION: Final = frozenset(
    {"InvalidAction", "NotImplemented", "UnknownAction", "UnknownOperationException"}
)
_HIDDEN_SECONDS: Final = 60
_LOOK_SECONDS: Final = 1.0

Progress = Callable[[int, int], None]
"""Hears how many are moved, and of about how many."""


@dataclass(frozen=True)
class Moved:
    """How it went.

    Args:
        number: messages in the inbox again.
        finished: whether nothing of what was there is left to be moved.
        by_sqs: whether SQS moved them, by a message move task.
    """

    number: int
    finished: bool
    by_sqs: bool


@dataclass(frozen=True)
class Redrive:
    """Moves one dead-letter queue back.

    Args:
        patience_seconds: how long this takes at most; a task of SQS goes on after that.
        clock: seconds that only grow.
    """

    sqs: SQSClient
    dead_url: str
    inbox_url: str
    patience_seconds: float
    progress: Progress
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def run(self, about: int) -> Moved:
        """Returns when every message is moved, or patience has ended.

        A message is deleted from the dead letters only after the inbox has taken it. Where this
        is not SQS's own doing and dies in between, the message is in both queues: harmless,
        because loads are idempotent.

        Args:
            about: how many messages there are; one by one, no more are moved, so that a message
                that comes back at once is not moved for ever.

        Raises:
            CommandError: SQS refused; what was moved until then stays moved.
        """
        source = attribute(self.sqs, self.dead_url, "QueueArn")
        destination = attribute(self.sqs, self.inbox_url, "QueueArn")
        with told(self.dead_url, "sqs:StartMessageMoveTask"):
            before = self._start(source, destination)
        return self._one_by_one(about) if before is None else self._watched(source, before)

    def _start(self, source: str, destination: str) -> int | None:
        """Begins a task, unless one is under way.

        Returns:
            when the task before it began, as SQS counts, which may be listed a moment longer; 0
            if there was none; None where there is no such thing as tasks.
        """
        try:
            latest = self._latest(source)
            if latest is not None and latest.get("Status") in ("RUNNING", "CANCELLING"):
                return 0
            self.sqs.start_message_move_task(SourceArn=source, DestinationArn=destination)
        except ClientError as error:
            if error_code(error) in _UNKNOWN_ACTION:
                return None
            raise
        return latest.get("StartedTimestamp", 0) if latest is not None else 0

    def _latest(self, source: str) -> ListMessageMoveTasksResultEntryTypeDef | None:
        results = self.sqs.list_message_move_tasks(SourceArn=source, MaxResults=1)["Results"]
        return results[0] if results else None

    def _watched(self, source: str, before: int) -> Moved:
        deadline = self.clock() + self.patience_seconds
        while True:
            with told(self.dead_url, "sqs:ListMessageMoveTasks"):
                task: Any = self._latest(source) or {}
            if task.get("StartedTimestamp", 0) <= before:
                task = {}
            number = int(task.get("ApproximateNumberOfMessagesMoved", 0))
            self.progress(number, int(task.get("ApproximateNumberOfMessagesToMove", number)))
            status = task.get("Status", "RUNNING")
            if status in ("FAILED", "CANCELLED"):
                why = task.get("FailureReason", f"it is {status.lower()}")
                raise PlatformError(
                    f"SQS gave the move up: {why}.",
                    self.dead_url,
                    f"{number} messages were moved; run the command again for the others.",
                )
            if status != "RUNNING" or self.clock() >= deadline:
                return Moved(number, finished=status == "COMPLETED", by_sqs=True)
            self.sleep(_LOOK_SECONDS)

    def _one_by_one(self, about: int) -> Moved:
        deadline, number = self.clock() + self.patience_seconds, 0
        while number < about and self.clock() < deadline:
            messages = receive(self.sqs, self.dead_url, about - number, _HIDDEN_SECONDS)
            if not messages:
                break
            for message in messages:
                self._move(message)
                number += 1
                self.progress(number, about)
        return Moved(number, finished=number >= about, by_sqs=False)

    def _move(self, message: MessageTypeDef) -> None:
        attributes: Any = message.get("MessageAttributes", {})
        with told(self.inbox_url, "sqs:SendMessage"):
            self.sqs.send_message(
                QueueUrl=self.inbox_url, MessageBody=message["Body"], MessageAttributes=attributes
            )
        with told(self.dead_url, "sqs:DeleteMessage"):
            self.sqs.delete_message(QueueUrl=self.dead_url, ReceiptHandle=message["ReceiptHandle"])

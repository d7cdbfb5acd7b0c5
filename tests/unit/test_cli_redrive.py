"""Dead letters go back by SQS itself where it can, else one by one, and none is lost."""

from __future__ import annotations

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from headrace_local.errors import CommandError, PlatformError, UserError
from headrace_local.redriving import Moved, Redrive

DEAD, INBOX = "http://q/dead", "http://q/inbox"


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "StartMessageMoveTask")


class FakeSqs:
    """Two queues; `tasks` are the answers about the move task, one a look."""

    def __init__(self, *bodies: str, tasks: list[dict[str, Any]] | None = None) -> None:
        self.dead = list(bodies)
        self.inbox: list[str] = []
        self.tasks = tasks
        self.started: list[dict[str, str]] = []
        self.calls: list[str] = []
        self.deaf = self.away = False

    def get_queue_attributes(self, **call: Any) -> dict[str, Any]:
        return {"Attributes": {call["AttributeNames"][0]: f"arn:{call['QueueUrl']}"}}

    def list_message_move_tasks(self, **_: Any) -> dict[str, Any]:
        if self.away:
            raise EndpointConnectionError(endpoint_url=DEAD)
        if self.tasks is None:
            raise refusal("InvalidAction")
        return {"Results": [self.tasks.pop(0)]}

    def start_message_move_task(self, **call: Any) -> None:
        if self.deaf:
            raise refusal("AccessDenied")
        self.started.append(call)

    def receive_message(self, **call: Any) -> dict[str, Any]:
        self.calls.append("receive")
        found = self.dead[: call["MaxNumberOfMessages"]]
        return {"Messages": [{"Body": body, "ReceiptHandle": body} for body in found]}

    def send_message(self, **call: Any) -> None:
        assert call["QueueUrl"] == INBOX
        self.calls.append("send")
        if self.deaf:
            raise refusal("ServiceUnavailable")
        self.inbox.append(call["MessageBody"])

    def delete_message(self, **call: Any) -> None:
        assert call["QueueUrl"] == DEAD
        self.calls.append("delete")
        self.dead.remove(call["ReceiptHandle"])


def a_redrive(sqs: FakeSqs, patience_seconds: float = 60) -> tuple[Redrive, list[tuple[int, int]]]:
    heard: list[tuple[int, int]] = []
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    return (
        Redrive(
            cast("Any", sqs),
            DEAD,
            INBOX,
            patience_seconds,
            lambda number, about: heard.append((number, about)),
            clock=lambda: passed[0],
            sleep=sleep,
        ),
        heard,
    )


def a_task(status: str, moved: int, started: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "Status": status,
        "StartedTimestamp": started,
        "ApproximateNumberOfMessagesMoved": moved,
        "ApproximateNumberOfMessagesToMove": 12,
        **more,
    }


def test_where_sqs_cannot_every_message_is_sent_before_it_is_deleted() -> None:
    sqs = FakeSqs("a", "b")
    redrive, heard = a_redrive(sqs)
    assert redrive.run(2) == Moved(2, finished=True, by_sqs=False)
    assert (sqs.inbox, sqs.dead) == (["a", "b"], [])
    assert sqs.calls == ["receive", "send", "delete", "send", "delete"]
    assert heard == [(1, 2), (2, 2)]


def test_message_that_cannot_be_sent_stays_among_the_dead_letters() -> None:
    sqs = FakeSqs("a", "b")
    sqs.deaf = True
    with pytest.raises(CommandError):
        a_redrive(sqs)[0].run(2)
    assert sqs.dead == ["a", "b"]


def test_no_more_are_moved_than_there_were() -> None:
    # Those that come after the count are messages that came back at once.
    sqs = FakeSqs(*(str(number) for number in range(25)))
    assert a_redrive(sqs)[0].run(13) == Moved(13, finished=True, by_sqs=False)
    assert len(sqs.dead) == 12


def test_messages_that_somebody_else_holds_are_said_to_be_left() -> None:
    assert a_redrive(FakeSqs("a"))[0].run(1).finished
    assert a_redrive(FakeSqs())[0].run(3) == Moved(0, finished=False, by_sqs=False)


def test_task_of_sqs_is_started_and_watched_to_its_end() -> None:
    earlier, late_news = a_task("COMPLETED", 3, started=1), a_task("COMPLETED", 3, started=1)
    sqs = FakeSqs(tasks=[earlier, late_news, a_task("RUNNING", 5), a_task("COMPLETED", 12)])
    redrive, heard = a_redrive(sqs)
    assert redrive.run(12) == Moved(12, finished=True, by_sqs=True)
    assert sqs.started == [{"SourceArn": f"arn:{DEAD}", "DestinationArn": f"arn:{INBOX}"}]
    assert heard == [(0, 0), (5, 12), (12, 12)]
    assert not sqs.calls


def test_task_that_runs_already_is_watched_and_no_second_started() -> None:
    sqs = FakeSqs(tasks=[a_task("RUNNING", 1), a_task("RUNNING", 5), a_task("COMPLETED", 12)])
    assert a_redrive(sqs)[0].run(12).finished
    assert not sqs.started


def test_task_that_fails_says_why() -> None:
    failed = a_task("FAILED", 4, FailureReason="CouldNotDetermineMessageSource")
    sqs = FakeSqs(tasks=[a_task("COMPLETED", 0, started=1), failed])
    with pytest.raises(PlatformError, match="CouldNotDetermineMessageSource"):
        a_redrive(sqs)[0].run(12)


def test_watching_ends_with_patience() -> None:
    sqs = FakeSqs(
        tasks=[a_task("COMPLETED", 0, started=1), *(a_task("RUNNING", 1) for _ in range(9))]
    )
    assert a_redrive(sqs, 3)[0].run(12) == Moved(1, finished=False, by_sqs=True)


def test_refusal_of_the_task_is_no_reason_to_go_one_by_one() -> None:
    sqs = FakeSqs("a", tasks=[a_task("COMPLETED", 0, started=1), a_task("COMPLETED", 0)])
    sqs.deaf = True
    with pytest.raises(UserError, match="does not let"):
        a_redrive(sqs)[0].run(1)
    assert sqs.dead == ["a"]


def test_sqs_that_does_not_answer_is_said_to_be_away() -> None:
    sqs = FakeSqs("a")
    sqs.away = True
    with pytest.raises(PlatformError, match="does not answer"):
        a_redrive(sqs)[0].run(1)

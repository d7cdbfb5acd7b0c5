"""Dead letters on a real (emulated) SQS: looking changes nothing, and moving loses nothing."""

from __future__ import annotations

import pytest

from headrace_local.queues import look, waiting
from headrace_local.redriving import Moved, Redrive
from headrace_shared.dead_letters import Said, Unreadable, read
from headrace_shared.facts import DropRouted, encode
from headrace_shared.testing.builders import a_drop
from tests.real_parts import AwsStack

pytestmark = pytest.mark.integration

NUMBER = 23


@pytest.fixture
def dead_url(aws_stack: AwsStack) -> str:
    """A dead-letter queue with a fact, something else, and more of it."""
    url = aws_stack.provisioned.dead_letter_queues["loader"]
    fact = f'{{"source":"headrace","detail-type":"Drop Routed","detail":{_routed()}}}'
    for body in (fact, *(f"number {number}" for number in range(1, NUMBER))):
        aws_stack.clients.sqs.send_message(
            QueueUrl=url,
            MessageBody=body,
            MessageAttributes={"of": {"DataType": "String", "StringValue": body[:6]}},
        )
    return url


def _routed() -> str:
    return encode(DropRouted(drop=a_drop()))


def test_looking_shows_all_again_and_again(aws_stack: AwsStack, dead_url: str) -> None:
    first = look(aws_stack.clients.sqs, dead_url, 50)
    again = look(aws_stack.clients.sqs, dead_url, 50)
    assert len(first) == waiting(aws_stack.clients.sqs, dead_url) == NUMBER
    assert {one.message_id for one in first} == {one.message_id for one in again}
    assert all(one.sent_at and one.first_received_at for one in first)
    assert [one.receives for one in again] == [2] * NUMBER
    kinds = [type(read(one.body)) for one in first]
    assert (kinds.count(Said), kinds.count(Unreadable)) == (1, NUMBER - 1)


def test_look_ends_at_its_limit(aws_stack: AwsStack, dead_url: str) -> None:
    assert len(look(aws_stack.clients.sqs, dead_url, 12)) == 12
    assert len(look(aws_stack.clients.sqs, dead_url, 50)) == NUMBER


def test_all_are_moved_with_what_they_carry(aws_stack: AwsStack, dead_url: str) -> None:
    sqs, inbox = aws_stack.clients.sqs, aws_stack.queue_url("loader")
    bodies = sorted(one.body for one in look(sqs, dead_url, 50))
    redrive = Redrive(sqs, dead_url, inbox, 30, lambda _number, _about: None)
    assert redrive.run(NUMBER) == Moved(NUMBER, finished=True, by_sqs=False)
    assert waiting(sqs, dead_url) == 0
    assert sorted(one.body for one in look(sqs, inbox, 50)) == bodies
    (message, *_) = sqs.receive_message(QueueUrl=inbox, MessageAttributeNames=["All"])["Messages"]
    assert message["MessageAttributes"]["of"].get("StringValue") == message["Body"][:6]

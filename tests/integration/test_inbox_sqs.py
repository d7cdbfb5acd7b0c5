"""The inbox's contract, on the fake queue and on a real (emulated) SQS queue alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import uuid4

import pytest

from headrace_shared.aws import AwsClients
from headrace_shared.inbox import Message, Queue
from headrace_shared.sqs import SqsQueue
from headrace_shared.testing.clock import FakeClock
from headrace_shared.testing.fakes import FakeQueue
from tests.real_parts import AwsStack

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 10


@dataclass
class Inbox:
    """A queue and the way to put something in."""

    queue: Queue
    send: Callable[[str], object]

    async def next(self) -> Message:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (got := await self.queue.receive(1)):
                pass
        return got[0]


@pytest.fixture(params=["fake", "sqs"])
def aws(request: pytest.FixtureRequest) -> AwsStack | None:
    """None for the fake. Not asynchronous, because starting the emulator runs a loop of its own."""
    if request.param == "fake":
        return None
    stack: AwsStack = request.getfixturevalue("aws_stack")
    return stack


@pytest.fixture
async def inbox(aws: AwsStack | None) -> AsyncIterator[Inbox]:
    if aws is None:
        fake = FakeQueue(FakeClock(), poll_seconds=0)
        yield Inbox(fake, fake.send)
        return
    url, sqs = aws.queue_url("logger"), aws.clients.sqs
    async with AsyncExitStack() as stack:
        client = await AwsClients(stack, connections=4).open("sqs", poll_seconds=1)
        queue = SqsQueue(client, url, visibility_seconds=30, poll_seconds=0)
        yield Inbox(queue, lambda body: sqs.send_message(QueueUrl=url, MessageBody=body))


async def test_message_comes_as_it_was_sent(inbox: Inbox) -> None:
    body = f'{{"key": "ünï +%20", "id": "{uuid4()}"}}'
    inbox.send(body)
    message = await inbox.next()
    assert (message.body, message.receive_count) == (body, 1)


async def test_received_message_is_hidden(inbox: Inbox) -> None:
    inbox.send("a")
    await inbox.next()
    assert await inbox.queue.receive(10) == []


async def test_message_handed_back_comes_again_at_once_and_is_counted(inbox: Inbox) -> None:
    inbox.send("a")
    first = await inbox.next()
    await inbox.queue.hide(first, 0)
    again = await inbox.next()
    assert (again.message_id, again.body) == (first.message_id, "a")
    assert again.receive_count == 2


async def test_message_hidden_for_longer_stays_hidden(inbox: Inbox) -> None:
    inbox.send("a")
    await inbox.queue.hide(await inbox.next(), 60)
    assert await inbox.queue.receive(10) == []


async def test_deleted_message_is_gone(inbox: Inbox) -> None:
    inbox.send("a")
    await inbox.queue.delete(await inbox.next())
    assert await inbox.queue.receive(10) == []


async def test_no_more_come_than_were_asked_for(inbox: Inbox) -> None:
    for number in range(5):
        inbox.send(f"m{number}")
    assert 1 <= len(await inbox.queue.receive(3)) <= 3


async def test_many_messages_come_and_go_together(inbox: Inbox) -> None:
    bodies = {f"m{number}" for number in range(12)}
    for body in bodies:
        inbox.send(body)
    messages = [await inbox.next() for _ in bodies]
    await asyncio.gather(*(inbox.queue.delete(message) for message in messages))
    assert {message.body for message in messages} == bodies
    assert await inbox.queue.receive(10) == []

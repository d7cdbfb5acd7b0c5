"""The SQS adapter against a scripted client: batches, refused entries, limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from headrace_shared.errors import TransientError
from headrace_shared.inbox import Message
from headrace_shared.sqs import SqsQueue


class ScriptedClient:
    """Answers as SQS does; `refusals` says how often each receipt is refused."""

    def __init__(self, **refusals: int) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        self._refusals = refusals

    async def delete_message_batch(self, **call: Any) -> Any:
        self.calls.append(("delete", call))
        failed = []
        for entry in call["Entries"]:
            receipt = entry["ReceiptHandle"]
            if self._refusals.get(receipt, 0) > 0:
                self._refusals[receipt] -= 1
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
        return {"Failed": failed}

    async def _answered(self, name: str, call: dict[str, Any]) -> Any:
        self.calls.append((name, call))
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def receive_message(self, **call: Any) -> Any:
        return await self._answered("receive", call)

    async def change_message_visibility(self, **call: Any) -> Any:
        return await self._answered("hide", call)

    async def get_queue_attributes(self, **call: Any) -> Any:
        return await self._answered("attributes", call)


def a_queue(client: ScriptedClient) -> SqsQueue:
    return SqsQueue(cast("Any", client), "url", visibility_seconds=30, poll_seconds=20)


def a_delivery(receipt: str) -> Message:
    return Message("m", "body", receipt, 1)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long the queue waited, each time: no time passes here."""
    asked: list[float] = []
    real_sleep = asyncio.sleep

    def sleep(seconds: float) -> Awaitable[None]:
        asked.append(seconds)
        return real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return asked


async def test_poll_is_long_and_says_how_often_a_message_came() -> None:
    client = ScriptedClient()
    raw = {
        "MessageId": "m",
        "Body": "b",
        "ReceiptHandle": "r",
        "Attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1795176000120"},
    }
    client.answers["receive"] = {"Messages": [raw]}
    found = await a_queue(client).receive(7)
    assert found == [Message("m", "b", "r", 3)]
    assert found[0].sent_at == datetime(2026, 11, 20, 12, 0, 0, 120_000, UTC)
    call = client.calls[0][1]
    assert (call["MaxNumberOfMessages"], call["WaitTimeSeconds"]) == (7, 20)
    assert call["VisibilityTimeout"] == 30


class Backlog(ScriptedClient):
    """A queue with so many messages; the calls at these places fail."""

    def __init__(self, messages: int, *, failing: tuple[int, ...] = ()) -> None:
        super().__init__()
        self._names = [f"m{number}" for number in range(messages)]
        self._failing = failing

    async def receive_message(self, **call: Any) -> Any:
        self.calls.append(("receive", call))
        if len(self.calls) - 1 in self._failing:
            raise EndpointConnectionError(endpoint_url="x")
        most = call["MaxNumberOfMessages"]
        taken, self._names = self._names[:most], self._names[most:]
        attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": "1795176000120"}
        names = [{"MessageId": one, "Body": "b", "ReceiptHandle": one} for one in taken]
        return {"Messages": [{**name, "Attributes": attributes} for name in names]}


@pytest.mark.parametrize(
    ("waiting", "limit", "sizes"),
    [
        (3, 64, [10]),
        (100, 10, [10]),
        (100, 7, [7]),
        (100, 24, [10, 10, 4]),
        (100, 64, [10, 10, 10, 10, 10]),
        (12, 64, [10, 10, 10, 10, 10]),
    ],
)
async def test_backlog_is_received_by_several_calls_at_once(
    waiting: int, limit: int, sizes: list[int]
) -> None:
    client = Backlog(waiting)
    found = await a_queue(client).receive(limit)
    assert [call["MaxNumberOfMessages"] for _, call in client.calls] == sizes
    assert [call["WaitTimeSeconds"] for _, call in client.calls] == [20, *[0] * (len(sizes) - 1)]
    assert [one.message_id for one in found] == [f"m{at}" for at in range(min(waiting, sum(sizes)))]
    assert len(found) <= limit


async def test_messages_in_hand_are_kept_when_a_further_call_fails() -> None:
    client = Backlog(100, failing=(1,))
    found = await a_queue(client).receive(30)
    assert len(found) == 20
    with pytest.raises(TransientError):
        await a_queue(Backlog(100, failing=(0,))).receive(30)


async def test_poll_without_messages_brings_none() -> None:
    client = ScriptedClient()
    client.answers["receive"] = {}
    assert await a_queue(client).receive(1) == []


async def test_queue_out_of_reach_is_transient() -> None:
    client = ScriptedClient()
    client.answers["receive"] = EndpointConnectionError(endpoint_url="x")
    with pytest.raises(TransientError):
        await a_queue(client).receive(1)


@pytest.mark.parametrize(
    ("seconds", "asked"), [(0, 0), (0.2, 1), (29.5, 30), (30, 30), (100_000, 43_200)]
)
async def test_hiding_asks_for_whole_seconds_within_the_limit(seconds: float, asked: int) -> None:
    client = ScriptedClient()
    client.answers["hide"] = {}
    await a_queue(client).hide(a_delivery("r"), seconds)
    assert client.calls[0][1]["VisibilityTimeout"] == asked


async def test_receipt_that_ran_out_is_no_transient_error() -> None:
    client = ScriptedClient()
    client.answers["hide"] = ClientError({"Error": {"Code": "MessageNotInflight"}}, "Change")
    with pytest.raises(ClientError):
        await a_queue(client).hide(a_delivery("r"), 1)


async def test_deletes_that_come_together_share_calls_of_ten() -> None:
    client = ScriptedClient()
    queue = a_queue(client)
    await asyncio.gather(*(queue.delete(a_delivery(f"r{number}")) for number in range(24)))
    assert [len(call["Entries"]) for _, call in client.calls] == [10, 10, 4]


async def test_refused_delete_alone_is_tried_again(waits: list[float]) -> None:
    client = ScriptedClient(r1=2)
    queue = a_queue(client)
    await asyncio.gather(*(queue.delete(a_delivery(f"r{number}")) for number in range(3)))
    tried = [[entry["ReceiptHandle"] for entry in call["Entries"]] for _, call in client.calls]
    assert tried == [["r0", "r1", "r2"], ["r1"], ["r1"]]
    assert waits == [0.2, 0.4]


@pytest.mark.usefixtures("waits")
async def test_delete_refused_each_time_fails_its_own_caller_only() -> None:
    queue = a_queue(ScriptedClient(r1=99))
    outcomes = await asyncio.gather(
        *(queue.delete(a_delivery(f"r{number}")) for number in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), TransientError, type(None)]


@pytest.mark.parametrize(
    ("attributes", "most"),
    [({"RedrivePolicy": json.dumps({"maxReceiveCount": "20"})}, 20), ({}, None)],
)
async def test_redrive_limit_is_the_queues_own(attributes: Any, most: int | None) -> None:
    client = ScriptedClient()
    client.answers["attributes"] = {"Attributes": attributes}
    assert await a_queue(client).max_receives() == most

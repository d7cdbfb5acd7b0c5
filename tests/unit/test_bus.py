"""The EventBridge adapter against a scripted client: every fact accepted, or an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from headrace_shared.bus import EventBridgeBus
from headrace_shared.errors import TransientError
from headrace_shared.facts import DropRouted, Fact, decode, encode
from headrace_shared.testing.builders import a_drop, an_envelope


class ScriptedClient:
    """Refuses each detail as often as `refusals` says."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[list[dict[str, Any]]] = []
        self.refusals: dict[str, int] = {}
        self._error = error

    async def put_events(self, *, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803 - AWS's name
        self.calls.append(Entries)
        if self._error:
            raise self._error
        return {"Entries": [self._answer(entry["Detail"]) for entry in Entries]}

    def _answer(self, detail: str) -> dict[str, str]:
        if self.refusals.get(detail, 0) <= 0:
            return {"EventId": "e"}
        self.refusals[detail] -= 1
        return {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}


def some_facts(count: int) -> list[Fact]:
    return [DropRouted(drop=a_drop(f"dev/append/t/{number}.csv")) for number in range(count)]


def a_bus(client: ScriptedClient) -> EventBridgeBus:
    return EventBridgeBus(cast("Any", client), "headrace")


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long the bus waited, each time: no time passes here."""
    asked: list[float] = []
    real_sleep = asyncio.sleep

    def sleep(seconds: float) -> Awaitable[None]:
        asked.append(seconds)
        return real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return asked


async def test_facts_go_in_calls_of_ten_and_say_what_they_are() -> None:
    client, facts = ScriptedClient(), some_facts(23)
    await a_bus(client).publish(facts)
    assert [len(entries) for entries in client.calls] == [10, 10, 3]
    sent = [entry for entries in client.calls for entry in entries]
    assert [entry["Detail"] for entry in sent] == [encode(fact) for fact in facts]
    assert {(one["EventBusName"], one["Source"], one["DetailType"]) for one in sent} == {
        ("headrace", "headrace", "Drop Routed")
    }
    assert decode(an_envelope(facts[0])) == facts[0]


async def test_no_facts_need_no_call() -> None:
    client = ScriptedClient()
    await a_bus(client).publish([])
    assert client.calls == []


async def test_refused_fact_alone_is_sent_again() -> None:
    client, facts = ScriptedClient(), some_facts(3)
    client.refusals[encode(facts[1])] = 1
    await a_bus(client).publish(facts)
    assert [[entry["Detail"] for entry in call] for call in client.calls[1:]] == [
        [encode(facts[1])]
    ]


async def test_publishing_fails_when_one_fact_is_refused_each_time() -> None:
    client, facts = ScriptedClient(), some_facts(3)
    client.refusals[encode(facts[1])] = 99
    with pytest.raises(TransientError, match="slow down"):
        await a_bus(client).publish(facts)


async def test_refused_fact_fails_only_its_own_publisher() -> None:
    client, facts = ScriptedClient(), some_facts(2)
    client.refusals[encode(facts[0])] = 99
    bus = a_bus(client)
    refused, accepted = await asyncio.gather(
        bus.publish(facts[:1]), bus.publish(facts[1:]), return_exceptions=True
    )
    assert isinstance(refused, TransientError)
    assert accepted is None


async def test_bus_out_of_reach_is_transient() -> None:
    client = ScriptedClient(EndpointConnectionError(endpoint_url="x"))
    with pytest.raises(TransientError):
        await a_bus(client).publish(some_facts(1))


async def test_facts_too_large_for_one_call_are_shared_over_several() -> None:
    client = ScriptedClient()
    facts = [DropRouted(drop=a_drop(f"dev/append/t/{n}" + "x" * 60_000)) for n in range(7)]
    await a_bus(client).publish(facts)
    assert sum(len(entries) for entries in client.calls) == 7
    assert all(
        sum(len(entry["Detail"].encode()) for entry in entries) < 256 * 1024
        for entries in client.calls
    )
    assert len(client.calls) == 4


async def test_facts_that_are_accepted_at_once_wait_for_nothing(waits: list[float]) -> None:
    await a_bus(ScriptedClient()).publish(some_facts(3))
    assert waits == []


async def test_refused_fact_waits_longer_each_time(waits: list[float]) -> None:
    client, facts = ScriptedClient(), some_facts(1)
    client.refusals[encode(facts[0])] = 2
    await a_bus(client).publish(facts)
    assert waits == [0.2, 0.4]

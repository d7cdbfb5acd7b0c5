"""The bus for facts as an EventBridge event bus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from headrace_shared.aws import transient_aws_errors
from headrace_shared.coalescing import Coalescer
from headrace_shared.errors import TransientError
from headrace_shared.facts import SOURCE, Fact, encode

if TYPE_CHECKING:
    from types_aiobotocore_events import EventBridgeClient
    from types_aiobotocore_events.type_defs import PutEventsRequestEntryTypeDef

_BATCH_LIMIT: Final = 10
_BATCH_BYTES: Final = 250_000
"""One PutEvents call takes ten entries of 256 KB together, names and times counted:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html"""

_TRIES: Final = 3


class EventBridgeBus:
    """`inbox.Publisher` on one event bus; facts that come together share a call."""

    def __init__(self, client: EventBridgeClient, bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name
        self._facts: Coalescer[Fact, None] = Coalescer(self._put, limit=_BATCH_LIMIT)

    async def publish(self, facts: Sequence[Fact]) -> None:
        """Returns when the bus has accepted every fact, in batches shared with other callers."""
        if facts:
            await asyncio.gather(*(self._facts.submit(fact) for fact in facts))

    async def _put(self, facts: Sequence[Fact]) -> Sequence[Exception | None]:
        refused = dict.fromkeys(range(len(facts)), "")
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(0.1 * 2**attempt)
            refused = await self._put_once({index: facts[index] for index in refused})
            if not refused:
                break
        return [
            TransientError(f"publishing a fact: {refused[index]}") if index in refused else None
            for index in range(len(facts))
        ]

    async def _put_once(self, facts: dict[int, Fact]) -> dict[int, str]:
        refused: dict[int, str] = {}
        for call in _calls({index: self._entry(fact) for index, fact in facts.items()}):
            with transient_aws_errors("publishing facts"):
                answer = await self._client.put_events(Entries=list(call.values()))
            refused |= {
                index: f"{entry['ErrorCode']} {entry.get('ErrorMessage', '')}"
                for index, entry in zip(call, answer["Entries"], strict=True)
                if entry.get("ErrorCode")
            }
        return refused

    def _entry(self, fact: Fact) -> PutEventsRequestEntryTypeDef:
        return {
            "EventBusName": self._bus_name,
            "Source": SOURCE,
            "DetailType": fact.detail_type,
            "Detail": encode(fact),
            "Time": fact.occurred_at,
        }


def _calls(
    entries: dict[int, PutEventsRequestEntryTypeDef],
) -> Iterator[dict[int, PutEventsRequestEntryTypeDef]]:
    """The entries in as few calls as their sizes allow; nearly always one."""
    call: dict[int, PutEventsRequestEntryTypeDef] = {}
    size = 0
    for index, entry in entries.items():
        bytes_here = len(entry["Detail"].encode())
        if call and size + bytes_here > _BATCH_BYTES:
            yield call
            call, size = {}, 0
        call[index] = entry
        size += bytes_here
    if call:
        yield call

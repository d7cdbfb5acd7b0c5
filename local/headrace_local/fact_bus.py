"""The bus as the commands use it: which one, and requests published on it.

Whoever names a bus has named the platform: the API then comes from an option or the environment
too, so that the drops of one platform are never asked for on the bus of another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headrace_local.aws_errors import told_aws_errors
from headrace_local.errors import PlatformError, UserError
from headrace_local.target import (
    API_VARIABLE,
    BUCKET_VARIABLE,
    Credentials,
    client_config,
    credentials_of,
    running_here,
    session,
)
from headrace_shared.facts import SOURCE, Fact, encode

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

BUS_VARIABLE: Final = "BUS_NAME"

BATCH: Final = 10
"""Entries of one PutEvents call; a request is far below the 256 KB that they may have together:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html"""

_TRIES: Final = 4


@dataclass(frozen=True)
class BusTarget:
    """Where requests go, and who is asked about drops.

    Args:
        endpoint_url, credentials: None leaves them to boto3.
    """

    name: str
    api_url: str
    endpoint_url: str | None = None
    credentials: Credentials | None = None


def find_bus(
    bus: str | None, api_url: str | None, environment: Mapping[str, str] = os.environ
) -> BusTarget:
    """The bus and the API that options, the environment or `stack.json` name, in this order.

    Raises:
        UserError: nothing names them, no platform runs here, or only one of the two is named.
    """
    bus = bus or environment.get(BUS_VARIABLE)
    api_url = api_url or environment.get(API_VARIABLE)
    if bus is not None and api_url is not None:
        return BusTarget(bus, api_url)
    if bus is not None:
        raise UserError(
            "Nobody can be asked about the drops.",
            f"bus {bus}, no address of the API",
            f"Give --api-url or {API_VARIABLE}.",
        )
    stack = running_here(f"--bus and --api-url, or {BUS_VARIABLE} and {API_VARIABLE}")
    if (api_url or stack.api_url) != stack.api_url or BUCKET_VARIABLE in environment:
        raise UserError(
            "Another platform than the one that runs here is named, but not its bus.",
            api_url or f"{BUCKET_VARIABLE}={environment[BUCKET_VARIABLE]}",
            f"Give --bus or {BUS_VARIABLE}; or unset the others: "
            'eval "$(headrace env --unset)" and unset HEADRACE_API_URL LAKE_BUCKET',
        )
    return BusTarget(stack.bus_name, stack.api_url, stack.aws_endpoint_url, credentials_of(stack))


def events_client(target: BusTarget) -> EventBridgeClient:
    """An EventBridge client for the target's bus."""
    return session(target.credentials).client(
        "events", endpoint_url=target.endpoint_url, config=client_config()
    )


class FactBus:
    """Publishes facts on one bus."""

    def __init__(
        self,
        events: EventBridgeClient,
        name: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._events = events
        self._name = name
        self._sleep = sleep

    def publish(self, facts: Sequence[Fact]) -> None:
        """Returns when the bus has accepted every fact; ten share a call.

        Raises:
            CommandError: the bus refused some, which may be published again: they are idempotent.
        """
        for start in range(0, len(facts), BATCH):
            self._publish([self._entry(fact) for fact in facts[start : start + BATCH]])

    def _publish(self, entries: Sequence[PutEventsRequestEntryTypeDef]) -> None:
        where = f"bus {self._name}"
        why = ""
        for attempt in range(_TRIES):
            if attempt:
                self._sleep(0.1 * 2**attempt)
            with told_aws_errors(where, right="events:PutEvents", named_by="--bus or BUS_NAME"):
                answers = self._events.put_events(Entries=entries)["Entries"]
            refused = [
                (entry, f"{answer['ErrorCode']} {answer.get('ErrorMessage', '')}".strip())
                for entry, answer in zip(entries, answers, strict=True)
                if answer.get("ErrorCode")
            ]
            if not refused:
                return
            entries, why = [entry for entry, _ in refused], refused[0][1]
        raise PlatformError(
            f"The bus did not take {len(entries)} requests: {why}.",
            where,
            "Run the command again; what was taken is not done twice.",
        )

    def _entry(self, fact: Fact) -> PutEventsRequestEntryTypeDef:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": fact.detail_type,
            "Detail": encode(fact),
            "Time": fact.occurred_at,
        }

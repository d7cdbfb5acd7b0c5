"""Requests reach the bus of the platform that is meant, and no other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError

from headrace_local import stack
from headrace_local.aws_errors import told_aws_errors
from headrace_local.errors import CommandError, PlatformError, UserError
from headrace_local.fact_bus import BATCH, BusTarget, FactBus, find_bus
from headrace_local.queues import find_queues
from headrace_local.stack import Stack
from headrace_shared.facts import ReplayRequested, decode
from headrace_shared.testing.builders import a_drop


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A platform that seems to run on this machine."""
    found = Stack(
        api_url="http://127.0.0.1:8080",
        api_key="hr_local_secret",
        aws_endpoint_url="http://127.0.0.1:4566",
        aws_region="us-east-1",
        aws_access_key_id="headrace",
        aws_secret_access_key="secret",
        lake_bucket="headrace-lake",
        quarantine_bucket="headrace-quarantine",
        bus_name="headrace",
        log_table="headrace-log",
        keys_table="headrace-keys",
        warehouse_dsn="postgresql://",
        inboxes={"loader": "http://q/loader"},
        dead_letter_queues={"loader": "http://d/loader"},
        processes={"api": [os.getpid()]},
    )
    stack.write(found, tmp_path)
    monkeypatch.setenv(stack.PLACE_VARIABLE, str(tmp_path / stack.FILE_NAME))
    return found


def test_bus_is_that_of_the_platform_here(here: Stack) -> None:
    found = find_bus(None, None, {})
    assert (found.name, found.api_url) == ("headrace", here.api_url)
    assert found.endpoint_url == here.aws_endpoint_url
    assert found.credentials is not None


def test_named_bus_comes_with_the_named_api_and_nothing_from_here(here: Stack) -> None:
    environment = {"BUS_NAME": "far", "HEADRACE_API_URL": "http://far"}
    assert find_bus(None, None, environment) == BusTarget("far", "http://far")
    assert find_bus("near", "http://near", environment) == BusTarget("near", "http://near")


@pytest.mark.parametrize(
    ("bus", "environment"),
    [
        ("far", {}),
        (None, {"HEADRACE_API_URL": "http://far"}),
        (None, {"LAKE_BUCKET": "far"}),
    ],
)
def test_drops_of_one_platform_are_not_asked_for_on_another(
    here: Stack, bus: str | None, environment: dict[str, str]
) -> None:
    with pytest.raises(UserError):
        find_bus(bus, None, environment)


def test_queues_are_those_of_the_platform_here_or_named(here: Stack) -> None:
    found = find_queues("loader", None, None, None, {})
    assert (found.dead_url, found.inbox_url) == ("http://d/loader", "http://q/loader")
    assert found.credentials is not None
    named = {"LOADER_DEAD_URL": "http://far/d", "LOADER_INBOX_URL": "http://far/q"}
    far = find_queues("loader", None, None, None, named)
    assert (far.dead_url, far.inbox_url, far.api_url) == ("http://far/d", "http://far/q", None)
    assert far.credentials is None


def test_service_without_an_inbox_is_refused(here: Stack) -> None:
    with pytest.raises(UserError, match="no service"):
        find_queues("api", None, None, None, {})


class FakeEvents:
    """EventBridge that refuses each entry so many times."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.taken: list[dict[str, Any]] = []
        self.sizes: list[int] = []

    def put_events(self, **call: Any) -> dict[str, Any]:
        entries = call["Entries"]
        self.sizes.append(len(entries))
        refused = entries[:1] if self.refusals > 0 else []
        self.refusals -= 1
        self.taken += entries[len(refused) :]
        answers: list[dict[str, str]] = [{"ErrorCode": "Throttled"} for _ in refused]
        return {"Entries": answers + [{"EventId": "1"} for _ in entries[len(refused) :]]}


def a_bus(events: FakeEvents) -> FactBus:
    return FactBus(cast("Any", events), "headrace", sleep=lambda _: None)


def requests(number: int) -> list[ReplayRequested]:
    return [ReplayRequested(drop=a_drop(second=second), run=5) for second in range(number)]


def test_ten_requests_share_a_call_and_readers_can_read_them() -> None:
    events = FakeEvents()
    a_bus(events).publish(requests(23))
    assert events.sizes == [BATCH, BATCH, 3]
    entry = events.taken[0]
    assert (entry["EventBusName"], entry["Source"]) == ("headrace", "headrace")
    envelope = (
        f'{{"source":"headrace","detail-type":"Replay Requested","detail":{entry["Detail"]}}}'
    )
    assert decode(envelope).run == 5


def test_only_what_was_refused_is_published_again() -> None:
    events = FakeEvents(refusals=2)
    a_bus(events).publish(requests(3))
    assert events.sizes == [3, 1, 1]
    assert len(events.taken) == 3


def test_bus_that_goes_on_refusing_is_told() -> None:
    with pytest.raises(PlatformError, match="did not take 1 requests: Throttled"):
        a_bus(FakeEvents(refusals=99)).publish(requests(3))


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (NoCredentialsError(), UserError, "no AWS credentials"),
        (NoRegionError(), UserError, "No AWS region"),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "X"), UserError, "does not let"),
        (ClientError({"Error": {"Code": "QueueDoesNotExist"}}, "X"), UserError, "no such thing"),
        (ClientError({"Error": {"Code": "Odd"}}, "X"), PlatformError, "refused"),
    ],
)
def test_errors_of_aws_say_what_to_do(
    error: Exception, kind: type[CommandError], told: str
) -> None:
    with pytest.raises(kind, match=told), told_aws_errors("q", right="sqs:X", named_by="--x"):
        raise error

"""Events of the log, heard over HTTP from a process of the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from boto3.dynamodb.types import TypeSerializer

from headrace_logger.states import Item, applied, update_for
from headrace_shared.drop import Action, Drop, drop_id
from headrace_shared.facts import DropRouted, LoadSucceeded
from tests.real_parts import AwsStack
from tests.running_api import api_process

pytestmark = pytest.mark.integration

WITHIN_SECONDS = 30.0


@dataclass
class Log:
    """The log, as the logger writes it."""

    aws: AwsStack

    def put(self, item: Item) -> None:
        serialize = TypeSerializer().serialize
        self.aws.clients.dynamodb.put_item(
            TableName=self.aws.resources.log_table.name,
            Item={name: serialize(value) for name, value in item.items()},
        )

    def routed(self, table: str) -> tuple[Drop, Item]:
        made = drop(table)
        fact = DropRouted(drop=made, occurred_at=datetime.now(UTC))
        item = applied({}, update_for(fact, expiry_days=0))
        self.put(item)
        return made, item

    def loaded(self, made: Drop, item: Item) -> None:
        fact = LoadSucceeded(
            drop=made,
            occurred_at=datetime.now(UTC),
            attempt=1,
            rows_loaded=7,
            rows_quarantined=0,
            bytes=10,
            duration_ms=31,
        )
        self.put(applied(item, update_for(fact, expiry_days=0)))


def drop(table: str) -> Drop:
    now, file = datetime.now(UTC), f"{uuid4().hex}.csv"
    key = f"dev/append/{table}/{file}"
    identity = drop_id(
        landed_at=now, sequencer=None, bucket="lake", key=key, version_id=None, etag="e"
    )
    return Drop(
        drop_id=identity,
        bucket="lake",
        key=key,
        etag="e",
        size_bytes=10,
        landed_at=now,
        db_name="dev",
        action=Action.APPEND,
        table_name=table,
        file=file,
    )


@pytest.fixture
def log(aws_stack: AwsStack) -> Log:
    return Log(aws_stack)


@pytest.fixture
def url(aws_stack: AwsStack, warehouse_dsn: str, tmp_path: Path) -> Iterator[str]:
    settings = {
        "HEADRACE_LOG_TABLE": aws_stack.resources.log_table.name,
        "HEADRACE_WAREHOUSE_DSN": warehouse_dsn,
        "HEADRACE_CURSOR_SECRET": "a secret of the tests",
        "HEADRACE_ANONYMOUS": "true",
        "HEADRACE_EVENT_LISTENERS": "2",
        "HEADRACE_LOG_LEVEL": "error",
    }
    with api_process(settings, tmp_path / "api.log") as process:
        yield process.url


@contextmanager
def heard(url: str, query: str = "", last: str | None = None) -> Iterator[Iterator[Any]]:
    """The events of one stream as (id, data), from the moment on that it listens."""
    headers = {"Last-Event-ID": last} if last else {}
    with httpx.stream(
        "GET", f"{url}/v1/events{query}", headers=headers, timeout=WITHIN_SECONDS
    ) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert next(lines) == ": listening"
        yield _events(lines)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    event_id = ""
    for line in lines:
        if line.startswith("id: "):
            event_id = line.removeprefix("id: ")
        elif line.startswith("data: "):
            yield event_id, json.loads(line.removeprefix("data: "))


def test_every_state_is_told_as_it_comes(url: str, log: Log) -> None:
    with heard(url) as events:
        made, item = log.routed("users")
        assert next(events)[1]["state"] == "routed"
        log.loaded(made, item)
        event_id, told = next(events)
    assert (told["drop_id"], told["state"], told["rows_loaded"]) == (
        str(made.drop_id),
        "loaded",
        7,
    )
    assert event_id == f"{told['updated_at']}_{made.drop_id}"


def test_only_the_table_that_is_asked_for_is_told(url: str, log: Log) -> None:
    with heard(url, "?table_name=users") as events:
        log.routed("orders")
        made, _ = log.routed("users")
        assert next(events)[1]["drop_id"] == str(made.drop_id)


def test_who_comes_back_hears_what_was_missed(url: str, log: Log) -> None:
    with heard(url) as events:
        made, item = log.routed("users")
        last, _ = next(events)
    log.loaded(made, item)
    with heard(url, last=last) as events:
        assert next(events)[1]["state"] == "loaded"


def test_one_listener_too_many_is_told_to_wait(url: str) -> None:
    with heard(url), heard(url):
        answer = httpx.get(f"{url}/v1/events", timeout=WITHIN_SECONDS)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["type"].endswith("too-many-listeners")


def test_a_name_that_none_can_have_is_refused(url: str) -> None:
    answer = httpx.get(f"{url}/v1/events?table_name=a-b")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "table_name")

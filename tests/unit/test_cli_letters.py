"""What a dead letter says, whoever wrote it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_local.api_client import DropItem
from headrace_local.dead_command import Told, as_document
from headrace_local.queues import Letter
from headrace_shared.dead_letters import BEGINNING, Said, Unreadable, read
from headrace_shared.drop import drop_id
from headrace_shared.facts import DropRouted, ReplayRequested, encode
from headrace_shared.testing.builders import a_drop

MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def an_event(detail_type: str, detail: Any, **more: Any) -> str:
    return json.dumps({"source": "headrace", "detail-type": detail_type, "detail": detail} | more)


@pytest.mark.parametrize("fact", [DropRouted, ReplayRequested])
def test_fact_tells_its_kind_drop_table_and_key(fact: Any) -> None:
    told = fact(drop=a_drop())
    said = read(an_event(fact.detail_type, json.loads(encode(told))))
    expected = Said(fact.detail_type, told.drop.drop_id, "dev.users", "dev/append/users/a.csv")
    assert said == expected


def test_event_of_s3_has_the_drop_id_that_the_router_gives_it() -> None:
    detail = {
        "bucket": {"name": "lake"},
        "object": {"key": "dev/append/t/a+b.csv", "size": 3, "etag": "e", "sequencer": "0AB"},
    }
    body = an_event("Object Created", detail, source="aws.s3", time="2026-11-20T12:00:00Z")
    expected = drop_id(
        landed_at=MOMENT,
        sequencer="0AB",
        bucket="lake",
        key="dev/append/t/a+b.csv",
        version_id=None,
        etag="e",
    )
    assert read(body) == Said("Object Created", expected, None, "dev/append/t/a+b.csv")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("no json", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "no event"),
        ("{}", "neither a fact nor"),
        ('{"source": "aws.s3", "detail-type": "Object Created"}', "no complete event: time"),
        (an_event("Drop Sold", {"version": "1.0"}), "no fact is called"),
        (an_event("Drop Routed", {"version": "9.0"}), "version 9.0"),
        (an_event("Drop Routed", {"version": "1.0"}), "no complete event: drop"),
        (an_event("Drop Routed", "text"), "no complete event"),
    ],
)
def test_unreadable_message_says_why(body: str, why: str) -> None:
    told = read(body)
    assert isinstance(told, Unreadable)
    assert why in told.why
    assert len(told.beginning) <= BEGINNING


def document_of(body: str) -> dict[str, Any]:
    return as_document(Told(Letter("m1", "", None, MOMENT, 20), read(body)))


def test_control_characters_are_spelled_out() -> None:
    assert document_of("\x1b[2J\x07\n")["beginning"] == "\\x1b[2J\\x07\\n"


@given(st.text())
def test_no_message_can_write_on_the_terminal(body: str) -> None:
    told = document_of(body)
    assert (told["unreadable"] + told["beginning"]).isprintable()


def test_document_has_the_last_error_of_the_drop() -> None:
    drop = a_drop()
    item = DropItem.model_validate(
        {
            "drop_id": drop.drop_id,
            "bucket": "lake",
            "key": drop.key,
            "state": "failed",
            "landed_timestamp": MOMENT,
            "reason": {"code": "table_locked", "message": "The table is locked."},
        }
    )
    letter = Letter("m1", "", None, MOMENT, 20)
    told = as_document(Told(letter, Said("Drop Routed", drop.drop_id, "dev.users", drop.key), item))
    assert told["last_error"]["code"] == "table_locked"
    assert (told["state"], told["table"], told["receive_count"]) == ("failed", "dev.users", 20)
    assert UUID(told["drop_id"]) == drop.drop_id
    assert told["first_received_at"] == MOMENT.isoformat()

"""What is this key? Every key that S3 allows gets one answer, and no unsafe name gets through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace_router.handler import RouterHandler
from headrace_router.routing import Ignored, Rejected, Routed, route
from headrace_router.settings import RouterSettings
from headrace_shared.drop import Action
from headrace_shared.facts import DropRejected, DropRouted
from headrace_shared.inbox import Failure
from headrace_shared.key_rules import KeyRules
from headrace_shared.testing.builders import a_drop, a_message, an_s3_event

ANY = frozenset({"*"})
SAFE = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")

part = st.text(min_size=0, max_size=40) | st.sampled_from(
    ["dev", "append", "truncate", "schema", "users", "a.csv", "pg_catalog", "headrace", ".."]
)


def landed(key: str, size: int = 10) -> Routed | Rejected | Ignored:
    bare = {"db_name": None, "action": None, "table_name": None, "file": None}
    return route(a_drop(size_bytes=size).model_copy(update={"key": key, **bare}), ANY)


@given(st.lists(part, min_size=1, max_size=6).map("/".join).filter(bool))
def test_every_key_gets_one_answer_and_only_safe_names_pass(key: str) -> None:
    decision = landed(key)
    if isinstance(decision, Routed):
        assert decision.drop.db_name is not None
        assert decision.drop.table_name is not None
        assert SAFE.match(decision.drop.db_name)
        assert SAFE.match(decision.drop.table_name)
    if isinstance(decision, Rejected):
        assert decision.reason.message
        assert decision.reason.remedy


@pytest.mark.parametrize(
    "key",
    [
        "dev/append/users/a.csv",
        "dev/append/users/2026/11/20/part-0.csv.gz",
        "DEV/Append/Users/A.CSV",
        "dev/append/users/red flower+100%25 ü.csv",
        "dev/truncate/users/a.csv",
        "dev/schema/users/contract.json",
        f"dev/append/users/{'x' * 1000}.csv",
        "dev/append/users/part-00000-abc.c000",
        "dev/append/users/0000_part_00",
        "dev/upsert/users/Unicode Text.txt",
        "dev/append/users/f.dat.gz",
        "dev/append/users/_day=2026-01-01/f.tsv",
    ],
)
def test_good_key_is_routed(key: str) -> None:
    decision = landed(key)
    assert isinstance(decision, Routed)
    assert (decision.drop.db_name, decision.drop.table_name) == ("dev", "users")
    assert decision.drop.key == key


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("a.csv", "key_malformed"),
        ("dev/append/users", "key_malformed"),
        ("/dev/append/users/a.csv", "key_malformed"),
        ("dev//users/a.csv", "key_malformed"),
        ("my holidays/sun & sea.jpg", "key_malformed"),
        ("pg_temp/append/users/a.csv", "database_name_unsafe"),
        ("headrace/append/ledger/a.csv", "database_name_unsafe"),
        ('d";drop/append/users/a.csv', "database_name_unsafe"),
        ("dev/delete/users/a.csv", "action_unknown"),
        ("dev/append/1users/a.csv", "table_name_unsafe"),
        (f"dev/append/{'u' * 64}/a.csv", "table_name_unsafe"),
        ("dev/schema/users/a.csv", "file_type_unsupported"),
    ],
)
def test_bad_key_is_rejected_with_its_reason(key: str, code: str) -> None:
    decision = landed(key)
    assert isinstance(decision, Rejected)
    assert decision.reason.code == code


def test_empty_object_is_rejected() -> None:
    decision = landed("dev/append/users/a.csv", size=0)
    assert isinstance(decision, Rejected)
    assert decision.reason.code == "file_empty"


@pytest.mark.parametrize("size", [0, 10])
@pytest.mark.parametrize(
    "file",
    [
        "_SUCCESS",
        "_committed_1",
        "_started_1",
        "dt=2026-01-01/_SUCCESS",
        "_temporary/0/task_1/part-0.csv",
        ".DS_Store",
        ".f.csv.crc",
        "f.csv.crc",
        "x_$folder$",
        "._f.csv",
    ],
)
def test_marker_is_no_drop(file: str, size: int) -> None:
    assert isinstance(landed(f"dev/append/users/{file}", size), Ignored)
    assert isinstance(landed(f"dev/schema/users/{file}", size), Ignored)


@given(
    st.text(min_size=1).filter(lambda name: "/" not in name), st.sampled_from(["", "a/", "_x=1/"])
)
def test_name_is_ignored_by_the_patterns_alone(name: str, folder: str) -> None:
    ignored = name[0] in "._" or name.endswith((".crc", "_$folder$"))
    ignored = ignored or name in ("Thumbs.db", "desktop.ini")
    decision = landed(f"dev/append/users/{folder}{name}")
    assert isinstance(decision, Ignored) == ignored
    bare = route(decision.drop, ANY, KeyRules(ignored_names=()))
    assert isinstance(bare, Routed)


async def test_ignored_names_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_INBOX_URL", "q")
    monkeypatch.setenv("HEADRACE_BUS_NAME", "b")
    monkeypatch.setenv("HEADRACE_DATABASES", "dev")
    monkeypatch.setenv("HEADRACE_IGNORED_NAMES", "*.tmp, ~*")
    handler = RouterHandler(ANY, RouterSettings().key_rules)
    for file, facts in (("_SUCCESS", 1), ("a.tmp", 0), ("~a", 0)):
        message = a_message(an_s3_event(f"dev/append/users/{file}"))
        assert len(await handler.handle(message)) == facts


def test_folder_placeholder_is_no_drop() -> None:
    assert isinstance(landed("dev/append/users/", size=0), Ignored)


def test_database_that_is_not_allowed_is_rejected_with_those_that_are() -> None:
    decision = route(a_drop("hr/append/users/a.csv"), frozenset({"dev", "sales"}))
    assert isinstance(decision, Rejected)
    assert "dev, sales" in decision.reason.remedy


async def test_event_becomes_one_fact_with_the_raw_key() -> None:
    facts = await RouterHandler(ANY).handle(a_message(an_s3_event("dev/append/users/a+b%20c.csv")))
    assert [type(fact) for fact in facts] == [DropRouted]
    assert facts[0].drop.key == "dev/append/users/a+b%20c.csv"
    assert facts[0].drop.action is Action.APPEND
    assert facts[0].traceparent is not None
    assert facts[0].drop.drop_id.hex in facts[0].traceparent


async def test_same_event_gives_the_same_drop_id() -> None:
    handler = RouterHandler(ANY)
    first = await handler.handle(a_message(an_s3_event()))
    again = await handler.handle(a_message(an_s3_event(), attempt=4))
    assert first[0].drop == again[0].drop


async def test_rejected_key_becomes_a_rejection() -> None:
    facts = await RouterHandler(ANY).handle(a_message(an_s3_event("nonsense")))
    assert isinstance(facts[0], DropRejected)
    assert facts[0].drop.table_name is None


@pytest.mark.parametrize("body", ["", "{}", an_s3_event(etag=""), an_s3_event(sequencer="xyz")])
async def test_what_is_no_s3_event_stays_in_the_queue(body: str) -> None:
    handler = RouterHandler(ANY)
    with pytest.raises(ValidationError):
        await handler.handle(a_message(body))
    assert handler.failed(a_message(body), Failure(ValueError(), 9, True, 0)) == []


def test_final_failure_of_a_good_event_is_told() -> None:
    failure = Failure(ZeroDivisionError(), 10, final=True, retry_in_seconds=0)
    facts = RouterHandler(ANY).failed(a_message(an_s3_event()), failure)
    assert [fact.detail_type for fact in facts] == ["Load Failed"]


@pytest.mark.parametrize("databases", ["", "dev,pg_x", "dev,a b"])
def test_unsafe_databases_are_refused_at_the_start(
    databases: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_INBOX_URL", "q")
    monkeypatch.setenv("HEADRACE_BUS_NAME", "b")
    monkeypatch.setenv("HEADRACE_DATABASES", databases)
    with pytest.raises(ValidationError):
        RouterSettings()

"""`headrace keys`, and which key the commands send to which API."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from headrace_local import cli, stack
from headrace_local.api_client import ApiClient
from headrace_local.errors import UserError
from headrace_local.keys_command import find_keys, parse_lifetime
from headrace_local.stack import Stack
from headrace_local.target import find_key

URL = "http://127.0.0.1:8080"
LOCAL = "hr_local_secret"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No platform, by file or by environment."""
    for name in ("HEADRACE_STACK", "HEADRACE_API_KEY", "HEADRACE_API_URL", "KEYS_TABLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def running(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    found = Stack(
        api_url=URL,
        api_key=LOCAL,
        aws_endpoint_url="http://127.0.0.1:4566",
        aws_region="us-east-1",
        aws_access_key_id="headrace",
        aws_secret_access_key="secret",
        lake_bucket="headrace-lake",
        quarantine_bucket="headrace-quarantine",
        bus_name="headrace",
        log_table="headrace-log",
        keys_table="headrace-keys",
        warehouse_dsn="postgresql://headrace@127.0.0.1/warehouse",
        inboxes={},
        dead_letter_queues={},
        processes={"api": [os.getpid()]},
    )
    monkeypatch.setenv("HEADRACE_STACK", str(stack.write(found, nowhere)))
    return found


def test_key_of_this_machine_goes_to_its_own_api_alone(running: Stack) -> None:
    assert find_key(running.api_url, {}) == LOCAL
    assert find_key(f"{running.api_url}/", {}) == LOCAL
    assert find_key("https://elsewhere.example", {}) is None


def test_key_of_the_environment_goes_first(running: Stack) -> None:
    assert find_key(running.api_url, {"HEADRACE_API_KEY": "hr_other"}) == "hr_other"


def test_without_any_none_is_sent() -> None:
    assert find_key(URL, {}) is None


@pytest.mark.parametrize(("given", "sent"), [(None, LOCAL), ("hr_given", "hr_given")])
def test_client_sends_its_key(running: Stack, given: str | None, sent: str) -> None:
    told: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        told.append(request.headers.get("authorization"))
        return httpx.Response(200, json={"items": []})

    with ApiClient(running.api_url, key=given, transport=httpx.MockTransport(answer)) as api:
        api.tables()
    assert told == [f"Bearer {sent}"]


@pytest.mark.parametrize("status", [401, 403])
def test_refusal_says_how_to_come_by_a_key(status: int) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, json={"detail": "No."}))
    with ApiClient(URL, transport=transport) as api, pytest.raises(UserError) as caught:
        api.tables()
    assert "headrace keys create" in caught.value.what_to_do
    assert "No." in caught.value.what


@pytest.mark.parametrize(
    ("text", "lifetime"),
    [("12h", timedelta(hours=12)), (" 90D ", timedelta(days=90)), ("4w", timedelta(weeks=4))],
)
def test_lifetime_is_hours_days_or_weeks(text: str, lifetime: timedelta) -> None:
    assert parse_lifetime(text) == lifetime


@pytest.mark.parametrize("text", ["", "90", "0d", "-1d", "1y", "99999w", "d"])
def test_other_lifetimes_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no time"):
        parse_lifetime(text)


def test_table_is_named_or_that_of_this_machine(running: Stack) -> None:
    here = find_keys(None)
    assert (here.table, here.endpoint_url) == ("headrace-keys", running.aws_endpoint_url)
    far = find_keys("prod-keys")
    assert (far.table, far.endpoint_url, far.credentials) == ("prod-keys", None, None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create"], "A key needs a name"),
        (["create", "--name", "n" * 65], "A key needs a name"),
        (["create", "--name", "n", "--tables", "sales"], "no pattern of tables"),
        (["create", "--name", "n", "--expires", "soon"], "is no time"),
        (["create", "--name", "n", "--scope", "all"], "all"),
        (["revoke"], "Which key"),
        (["forge"], "forge"),
    ],
)
def test_mistake_in_the_call_is_told_before_anything_is_asked(
    running: Stack, arguments: list[str], told: str, capsys: pytest.CaptureFixture[Any]
) -> None:
    assert cli.run(["keys", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_no_platform_is_told_with_what_names_another(capsys: pytest.CaptureFixture[Any]) -> None:
    assert cli.run(["keys", "list"]) == 2
    assert "--table, or KEYS_TABLE" in capsys.readouterr().err

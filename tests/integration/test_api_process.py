"""The API as a process: it answers as its document says, logs its requests, ends in peace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.running_api import START_SECONDS, RunningApi

pytestmark = pytest.mark.integration

FUZZ_SECONDS = 4
"""For each operation: a look at dead letters takes a second."""
EXAMPLES = 25
STREAM = "/v1/events"


def test_api_answers_as_its_document_says(process: RunningApi) -> None:
    document = schemathesis.openapi.from_url(f"{process.url}/openapi.json")
    asked, until = [], {"now": 0.0}
    for found in document.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        asked.append(operation.path)
        if operation.path == STREAM:
            continue  # its answer has no end: the test below reads it
        until["now"] = time.monotonic() + FUZZ_SECONDS

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answers_as_it_says(case: schemathesis.Case[Any]) -> None:
            if time.monotonic() < until["now"]:
                # Which parameters go together, and who signed a cursor, no schema can say.
                case.call_and_validate(
                    headers=process.headers, excluded_checks=[positive_data_acceptance]
                )

        answers_as_it_says()
    assert {"/v1/drops", "/v1/replays", "/v1/dead-letters", "/v1/stats"} <= set(asked)


def _lines_of(process: RunningApi, request_id: str) -> list[dict[str, object]]:
    """Written when the answer is out, which is a moment after the client has it."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        whole = process.output.read_text().endswith("\n")
        found = (
            [one for one in process.lines() if one.get("request_id") == request_id] if whole else []
        )
        if found:
            return found
        time.sleep(0.05)
    return []


def test_each_request_is_one_line(process: RunningApi) -> None:
    answer = httpx.get(f"{process.url}/v1/drops?limit=0", headers=process.headers)
    (line,) = _lines_of(process, answer.headers["x-request-id"])
    assert line["event"] == "request.answered"
    assert line["service"] == "api"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/drops", 400)


def test_liveness_file_is_touched_again_and_again(process: RunningApi) -> None:
    alive = process.output.with_name("alive")
    first = alive.stat().st_mtime_ns
    deadline = time.monotonic() + START_SECONDS
    while alive.stat().st_mtime_ns == first and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive.stat().st_mtime_ns > first


def test_sigterm_ends_the_process_in_peace(process: RunningApi) -> None:
    process.child.send_signal(signal.SIGTERM)
    assert process.child.wait(timeout=10) in {0, -signal.SIGTERM}
    assert "Traceback" not in process.output.read_text()


def test_sigterm_ends_streams_within_five_seconds(process: RunningApi) -> None:
    url = f"{process.url}{STREAM}"
    with httpx.stream("GET", url, headers=process.headers, timeout=START_SECONDS) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        texts = answer.iter_text()
        assert next(texts).startswith(":")
        began = time.monotonic()
        process.child.send_signal(signal.SIGTERM)
        assert "event: drop" not in "".join(texts)
        assert process.child.wait(timeout=10) in {0, -signal.SIGTERM}
        assert time.monotonic() - began < 5
    assert "Traceback" not in process.output.read_text()


def test_missing_setting_is_one_sentence(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    ended = subprocess.run(
        [sys.executable, "-m", "headrace_api"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "HEADRACE_CURSOR_SECRET is missing" in ended.stderr


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "HEADRACE_KEYS_TABLE or HEADRACE_JWT_ISSUER is missing"),
        (
            {"HEADRACE_ANONYMOUS": "true", "HEADRACE_API_HOST": "0.0.0.0"},
            "HEADRACE_ANONYMOUS is for a loopback address alone",
        ),
    ],
)
def test_api_that_would_let_in_nobody_or_anybody_does_not_start(
    settings: dict[str, str], told: str, tmp_path: Path
) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    needed = {
        "HEADRACE_LOG_TABLE": "log",
        "HEADRACE_WAREHOUSE_DSN": "postgresql://nobody@127.0.0.1/none",
        "HEADRACE_CURSOR_SECRET": "a secret of the tests",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "headrace_api"],
        env=env | needed | settings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert told in ended.stderr

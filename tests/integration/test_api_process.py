"""The API as a process: it answers as its document says, logs its requests, ends in peace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from headrace_local.ports import free_port
from tests.real_parts import AwsStack

pytestmark = pytest.mark.integration

START_SECONDS = 20
FUZZ_SECONDS = 20
EXAMPLES = 25


@dataclass
class Process:
    """A running API and what it wrote."""

    url: str
    child: subprocess.Popen[bytes]
    output: Path

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.output.read_text().splitlines()]


@pytest.fixture
def process(aws_stack: AwsStack, warehouse_dsn: str, tmp_path: Path) -> Iterator[Process]:
    port, output = free_port(), tmp_path / "api.log"
    env = {
        **os.environ,
        "HEADRACE_LOG_TABLE": aws_stack.resources.log_table.name,
        "HEADRACE_WAREHOUSE_DSN": warehouse_dsn,
        "HEADRACE_CURSOR_SECRET": "a secret of the tests",
        "HEADRACE_API_PORT": str(port),
        "HEADRACE_LIVENESS_FILE": str(tmp_path / "alive"),
    }
    with output.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "headrace_api"], env=env, stdout=file, stderr=file
        )
        try:
            made = Process(f"http://127.0.0.1:{port}", child, output)
            _await_ready(made)
            yield made
        finally:
            child.kill()
            child.wait()


def _await_ready(process: Process) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.child.poll() is None:
        try:
            if httpx.get(f"{process.url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"the API did not start:\n{process.output.read_text()}")


def test_api_answers_as_its_document_says(process: Process) -> None:
    document = schemathesis.openapi.from_url(f"{process.url}/openapi.json")
    deadline = time.monotonic() + FUZZ_SECONDS
    asked = []
    for found in document.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        asked.append(operation.path)

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answers_as_it_says(case: schemathesis.Case[Any]) -> None:
            if time.monotonic() < deadline:
                # Which parameters go together, and who signed a cursor, no schema can say.
                case.call_and_validate(excluded_checks=[positive_data_acceptance])

        answers_as_it_says()
    assert len(asked) == 8


def test_each_request_is_one_line(process: Process) -> None:
    answer = httpx.get(f"{process.url}/v1/drops?limit=0")
    (line,) = [
        one for one in process.lines() if one.get("request_id") == answer.headers["x-request-id"]
    ]
    assert line["event"] == "request.answered"
    assert line["service"] == "api"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/drops", 400)


def test_liveness_file_is_touched_again_and_again(process: Process) -> None:
    alive = process.output.with_name("alive")
    first = alive.stat().st_mtime_ns
    deadline = time.monotonic() + START_SECONDS
    while alive.stat().st_mtime_ns == first and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive.stat().st_mtime_ns > first


def test_sigterm_ends_the_process_in_peace(process: Process) -> None:
    process.child.send_signal(signal.SIGTERM)
    assert process.child.wait(timeout=10) in {0, -signal.SIGTERM}
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

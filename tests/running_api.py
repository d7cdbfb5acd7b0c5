"""The API as a process, on the real (emulated) log and a real warehouse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from headrace_local.api_keys import local_key, put_key
from headrace_local.ports import LOOPBACK, listening, port_of
from headrace_shared.api_keys import ApiKey
from tests.behind_api import Behind
from tests.real_parts import AwsStack

START_SECONDS = 60
"""Two or three of them are work; beside other tests, a process may long wait for its turn."""


@dataclass
class RunningApi(Behind):
    """A running API, what it wrote, and the parts behind it."""

    url: str
    key: str
    child: subprocess.Popen[bytes]
    output: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.output.read_text().splitlines()]


@dataclass(frozen=True)
class ApiProcess:
    """A process of the API, and where it listens."""

    url: str
    child: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def running_api(
    aws: AwsStack, dsn: str, folder: Path, key: tuple[str, ApiKey] | None = None
) -> Iterator[RunningApi]:
    """Runs to the end of the block.

    Args:
        key: its text, and what is kept of it; None: one of every right.
    """
    told, kept = key or local_key()
    put_key(aws.clients.dynamodb, aws.resources.keys_table.name, kept)
    output = folder / "api.log"
    settings = _settings(aws, dsn) | {"HEADRACE_LIVENESS_FILE": str(folder / "alive")}
    with api_process(settings, output) as process:
        yield RunningApi(aws, dsn, process.url, told, process.child, output)


@contextmanager
def api_process(
    settings: Mapping[str, str], output: Path, *, probe: str = "/readyz"
) -> Iterator[ApiProcess]:
    """`python -m headrace_api` with these settings, from the moment on that `probe` answers 200."""
    with listening() as listener, output.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "headrace_api"],
            env={**os.environ, **settings, "HEADRACE_API_FD": str(listener.fileno())},
            stdout=file,
            stderr=file,
            pass_fds=[listener.fileno()],
        )
        process = ApiProcess(f"http://{LOOPBACK}:{port_of(listener)}", child)
        try:
            _await_answer(process, probe, output)
            yield process
        finally:
            child.kill()
            child.wait()


def _settings(aws: AwsStack, dsn: str) -> dict[str, str]:
    return {
        "HEADRACE_LOG_TABLE": aws.resources.log_table.name,
        "HEADRACE_WAREHOUSE_DSN": dsn,
        "HEADRACE_CURSOR_SECRET": "a secret of the tests",
        "HEADRACE_BUS_NAME": aws.resources.bus,
        "HEADRACE_QUARANTINE_BUCKET": aws.resources.quarantine.name,
        "HEADRACE_DEAD_LETTER_QUEUES": _pairs(aws.provisioned.dead_letter_queues),
        "HEADRACE_INBOXES": _pairs(aws.provisioned.inboxes),
        "HEADRACE_KEYS_TABLE": aws.resources.keys_table.name,
        "HEADRACE_RATE_PER_SECOND": "0",
    }


def _pairs(of: Mapping[str, str]) -> str:
    return ",".join(f"{service}={url}" for service, url in of.items())


def _await_answer(process: ApiProcess, probe: str, output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.child.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{process.url}{probe}").status_code == 200:
                return
        time.sleep(0.05)
    status = process.child.poll()
    how = "is not ready" if status is None else f"ended with {status}"
    pytest.fail(f"the API {how}:\n{output.read_text()}")

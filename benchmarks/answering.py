"""How fast the API answers, beside the least that answers the same, and what a deep page costs.

`python -m benchmarks.answering` needs `wrk`. Both run as one process each and take turns.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil
import psycopg

from benchmarks.figure import Figure, table_of
from benchmarks.keeping import keep
from benchmarks.measures import spread
from headrace_local.env import variables
from headrace_local.platform import PlatformOptions
from headrace_local.ports import LOOPBACK, free_port
from headrace_shared.drop import drop_id
from headrace_shared.log_schema import recent_partition
from tests.running_platform import RunningPlatform, eventually, running

PAIRS: Final = 5
SECONDS: Final = 8
CLIENTS: Final = 16
ITEMS: Final = 200
ROWS: Final = 100_000

_BATCH: Final = 25
_TABLE: Final = "answering"
_CONTRACT: Final[dict[str, Any]] = {
    "columns": [
        {"name": "username", "type": "varchar(64)", "nullable": False},
        {"name": "age", "type": "integer"},
    ],
    "primary_key": ["username"],
    "api": {"filter_by": ["username"], "columns": ["username", "age"]},
}


@dataclass(frozen=True)
class Run:
    """What `wrk` saw, and what the process spent."""

    per_second: float
    p50: str
    p99: str
    cpu_milliseconds: float


def answering(platform: RunningPlatform) -> Iterator[Figure]:
    """Both operations, beside the bare handler."""
    _fill(platform)
    with ExitStack() as stack:
        log = stack.enter_context(_remembering(platform))
        ours = stack.enter_context(_process("headrace_api", _of_the_api(platform, log)))
        bare = stack.enter_context(_process("benchmarks.bare", _of_the_bare(platform, log)))
        key = platform.stack.api_key
        yield from _beside(
            "`GET /v1/drops?table_name=`, a page of 50",
            (ours, f"/v1/drops?table_name={_TABLE}", key),
            (bare, "/drops", key),
        )
        rows = f"/v1/tables/dev/{_TABLE}/rows"
        yield from _beside(
            f"`GET .../rows?username=`, one of {ROWS:,} rows",
            (ours, f"{rows}?username=user77", key),
            (bare, "/rows?username=user77", key),
        )
        yield from _beside("`GET .../rows`, a page of 50", (ours, rows, key), (bare, "/rows", key))


Asked = tuple["Process", str, str]


def _beside(what: str, ours: Asked, bare: Asked) -> Iterator[Figure]:
    pairs = [(_wrk(*ours), _wrk(*bare)) for _ in range(PAIRS + 1)][1:]
    ratios = [one.per_second / other.per_second for one, other in pairs]
    yield Figure(
        what,
        f"{spread(ratios)} of the bare handler's requests; {_middle(one for one, _ in pairs)}",
        f"bare: {_middle(other for _, other in pairs)}; limit wanted: 0.7",
    )


def _middle(runs: Iterable[Run]) -> str:
    run = sorted(runs, key=lambda one: one.per_second)[PAIRS // 2]
    return (
        f"{run.per_second:,.0f}/s, p50 {run.p50}, p99 {run.p99}, "
        f"{run.cpu_milliseconds:.2f} ms of CPU each"
    )


@dataclass(frozen=True)
class Process:
    """A server of ours."""

    url: str
    pid: int


def _wrk(process: Process, path: str, key: str) -> Run:
    child = psutil.Process(process.pid)
    before = sum(child.cpu_times()[:2])
    command = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{SECONDS}s", "--timeout", "10s", "--latency"]
    header = ["-H", f"Authorization: Bearer {key}"]
    told = subprocess.run(
        [*command, *header, process.url + path], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(told)
    spent = sum(child.cpu_times()[:2]) - before
    requests = int(_found(r"(\d+) requests in", told))
    return Run(
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", told)),
        p50=_found(r"50%\s+(\S+)", told),
        p99=_found(r"99%\s+(\S+)", told),
        cpu_milliseconds=spent / requests * 1_000,
    )


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"wrk did not say {pattern}: {text}")
    return found[1]


def _fill(platform: RunningPlatform) -> None:
    contract = f"dev/schema/{_TABLE}/contract.json"
    platform.land(contract, json.dumps(_CONTRACT))
    platform.await_state(contract, "loaded")
    lines = "".join(f"user{number},{number % 90}\n" for number in range(ROWS))
    file = f"dev/append/{_TABLE}/users.csv"
    platform.land(file, f"username,age\n{lines}")
    platform.await_state(file, "loaded")
    with psycopg.connect(platform.stack.warehouse_dsn, autocommit=True) as connection:
        connection.execute(f"create index on dev.{_TABLE} (username)")
        connection.execute(f"analyze dev.{_TABLE}")
    _fill_log(platform)


def _fill_log(platform: RunningPlatform) -> None:
    """Copies of the item of a real drop, each a second older."""
    drop = platform.drop(f"dev/append/{_TABLE}/users.csv")
    assert drop is not None
    table = platform.stack.log_table
    item = platform.dynamodb.get_item(TableName=table, Key={"drop_id": {"S": drop["drop_id"]}})
    copies = [_copy(item["Item"], number) for number in range(ITEMS)]
    for start in range(0, ITEMS, _BATCH):
        batch: list[Any] = [{"PutRequest": {"Item": one}} for one in copies[start : start + _BATCH]]
        platform.dynamodb.batch_write_item(RequestItems={table: batch})


def _copy(item: Mapping[str, Any], number: int) -> dict[str, Any]:
    landed, key = (
        datetime.now(UTC) - timedelta(seconds=number + 60),
        f"dev/append/{_TABLE}/{number}",
    )
    made = drop_id(
        landed_at=landed, sequencer=None, bucket="lake", key=key, version_id=None, etag="e"
    )
    return {
        **item,
        "drop_id": {"S": str(made)},
        "key": {"S": key},
        "recent_pk": {"S": recent_partition(made)},
    }


def _of_the_bare(platform: RunningPlatform, log: str) -> dict[str, str]:
    return {
        **os.environ,
        **variables(platform.stack),
        "AWS_ENDPOINT_URL_DYNAMODB": log,
        "HEADRACE_LOG_TABLE": platform.stack.log_table,
        "HEADRACE_WAREHOUSE_DSN": platform.stack.warehouse_dsn,
    }


def _of_the_api(platform: RunningPlatform, log: str) -> dict[str, str]:
    return {
        **_of_the_bare(platform, log),
        "HEADRACE_KEYS_TABLE": platform.stack.keys_table,
        "HEADRACE_CURSOR_SECRET": "of the benchmark",
        "HEADRACE_RATE_PER_SECOND": "0",
        "HEADRACE_LOG_FORMAT": "json",
    }


@contextmanager
def _remembering(platform: RunningPlatform) -> Iterator[str]:
    behind = urlsplit(platform.stack.aws_endpoint_url).port
    with _process("benchmarks.remembering", os.environ, str(behind)) as process:
        yield process.url


@contextmanager
def _process(module: str, env: Mapping[str, str], *arguments: str) -> Iterator[Process]:
    port = free_port()
    with tempfile.TemporaryFile() as told:
        child = subprocess.Popen(
            [sys.executable, "-m", module, str(port), *arguments],
            env={**env, "HEADRACE_API_PORT": str(port)},
            stdout=told,
            stderr=told,
        )
        try:
            eventually(lambda: _answers(port), f"{module} answers")
            yield Process(f"http://{LOOPBACK}:{port}", child.pid)
        finally:
            child.terminate()
            child.wait(timeout=20)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port)):
            return True
    except OSError:
        return False


def main() -> None:
    """One run on a fresh platform, kept in the README."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        options = PlatformOptions(data_dir=Path(name) / "data", ephemeral=True)
        with running(options) as platform:
            figures = []
            for figure in answering(platform):
                sys.stdout.write(f"{figure.what}: {figure.figure}  {figure.beside}\n")
                figures.append(figure)
    if "--keep" in sys.argv:
        keep("python -m benchmarks.answering", table_of(figures))


if __name__ == "__main__":
    main()

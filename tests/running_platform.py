"""A whole platform with real processes for end-to-end tests, run by a thread beside the test."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import boto3
import psutil
import psycopg
from psycopg import sql

from headrace_local.platform import Platform, PlatformOptions
from headrace_local.stack import Stack
from headrace_local.supervisor import Listener, Process
from tests.patience import patience

Result = TypeVar("Result")

WITHIN_SECONDS = 60.0
ANSWER_SECONDS = 30.0
"""A question about all drops is two hundred of the emulator's, which answers one at a time."""

_NOBODY = Listener(lambda _name, _line: None, lambda _message: None, lambda: None)


@dataclass
class Reached:
    """A platform by its addresses: what a user can do."""

    stack: Stack

    def __post_init__(self) -> None:
        session = boto3.Session(
            self.stack.aws_access_key_id,
            self.stack.aws_secret_access_key,
            region_name=self.stack.aws_region,
        )
        self.s3 = session.client("s3", endpoint_url=self.stack.aws_endpoint_url)
        self.sqs = session.client("sqs", endpoint_url=self.stack.aws_endpoint_url)
        self.dynamodb = session.client("dynamodb", endpoint_url=self.stack.aws_endpoint_url)

    def land(self, key: str, body: bytes | str) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.s3.put_object(Bucket=self.stack.lake_bucket, Key=key, Body=content)

    def contract(self, table: str) -> None:
        """A table `dev.<table>` of two columns, made and waited for."""
        columns = [
            {"name": "id", "type": "bigint", "nullable": False},
            {"name": "name", "type": "text"},
        ]
        key = f"dev/schema/{table}/contract.json"
        self.land(key, json.dumps({"columns": columns}))
        self.await_state(key, "loaded")

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.stack.api_key}"}
        asked = urllib.request.Request(f"{self.stack.api_url}{path}", headers=headers)
        with urllib.request.urlopen(asked, timeout=patience(ANSWER_SECONDS)) as answer:
            return json.load(answer)

    def drop(self, key: str) -> dict[str, Any] | None:
        """The newest drop of a key, by the API."""
        items = self.get(f"/v1/drops?limit=500&key={quote(key, safe='')}")["items"]
        return items[0] if items else None

    def await_state(self, key: str, state: str) -> dict[str, Any]:
        """The drop of a key once it is in that state."""

        def there() -> dict[str, Any] | None:
            drop = self.drop(key)
            return drop if drop is not None and drop["state"] == state else None

        return eventually(there, f"{key} is {state}; it is {self.drop(key)}")

    def count(self, table: str) -> int:
        query = sql.SQL("select count(*) from {}").format(sql.Identifier(*table.split(".")))
        with psycopg.connect(self.stack.warehouse_dsn) as connection:
            row = connection.execute(query).fetchone()
            assert row is not None
            return int(row[0])

    def copying(self) -> int:
        """Rows that a COPY under way has taken so far."""
        with psycopg.connect(self.stack.warehouse_dsn) as connection:
            row = connection.execute(
                "select coalesce(max(tuples_processed), 0) from pg_stat_progress_copy"
            ).fetchone()
            assert row is not None
            return int(row[0])


@dataclass
class RunningPlatform(Reached):
    """With the processes that it consists of."""

    platform: Platform
    do: Callable[[Coroutine[Any, Any, None]], None]

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """A program that is away within the block, and that runs again after it."""
        processes = self.platform.processes
        place, gone = next((at, one) for at, one in enumerate(processes) if one.name == name)
        self.do(gone.stop())
        try:
            with self._refusing(name):
                yield
        finally:
            processes[place] = Process(gone.program, self._logs, _NOBODY)
            self.do(processes[place].start())

    @contextmanager
    def _refusing(self, name: str) -> Iterator[None]:
        """Connections to the program are refused within the block, as on a machine that has none:
        else they wait at the socket that the platform keeps open while a child restarts."""
        kept: socket.socket | None = getattr(self.platform._listeners, name, None)
        if kept is None:
            yield
            return
        address = kept.getsockname()
        with socket.socket() as silent:
            os.dup2(silent.fileno(), kept.fileno())
        try:
            yield
        finally:
            with socket.create_server(address, backlog=1_024) as anew:
                os.dup2(anew.fileno(), kept.fileno())

    @property
    def _logs(self) -> Path:
        return self.platform.options.data_dir.resolve() / "logs"

    def pids(self, program: str) -> list[int]:
        """The processes of a program that run at this moment."""
        mine = [one for one in self.platform.processes if one.name.partition("-")[0] == program]
        return [one.pid for one in mine if one.pid is not None]

    def restarts(self, name: str) -> int:
        return next(one for one in self.platform.processes if one.name == name).restarts

    def loader_at_work(self) -> int:
        """The pid of the loader whose COPY is under way, by its connection's client port."""

        def found() -> int | None:
            with psycopg.connect(self.stack.warehouse_dsn) as connection:
                row = connection.execute(
                    "select client_port from pg_stat_activity "
                    "join pg_stat_progress_copy using (pid) where tuples_processed > 1000"
                ).fetchone()
            if row is None:
                return None
            for pid in self.pids("loader"):
                if row[0] in {one.laddr.port for one in psutil.Process(pid).net_connections()}:
                    return pid
            return None

        return eventually(found, "a COPY is under way")


def eventually(check: Callable[[], Result | None], what: str) -> Result:
    """The first truthy answer, within a minute; on a busy machine, within some."""
    within = patience(WITHIN_SECONDS)
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        threading.Event().wait(0.02)
    raise AssertionError(f"not within {within:g} s: {what}")


@contextmanager
def running(options: PlatformOptions) -> Iterator[RunningPlatform]:
    """A platform that is ready; ended with the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=patience(WITHIN_SECONDS))

    try:
        platform = Platform(options)
        try:
            yield RunningPlatform(do(platform.start()), platform, do)
        finally:
            do(platform.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

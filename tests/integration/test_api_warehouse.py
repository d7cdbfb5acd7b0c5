"""The API's view of the warehouse comes up without Postgres and heals when it is back."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from headrace_api import warehouse
from headrace_api.warehouse import PostgresReader
from headrace_local import postgres
from headrace_local.ports import free_port
from headrace_local.supervisor import Program, as_user
from headrace_shared.errors import TransientError
from headrace_shared.warehouse_access import WarehouseAccess

pytestmark = pytest.mark.integration

HEAL_SECONDS = 20


@contextmanager
def running(program: Program) -> Iterator[int]:
    """Its pid, while it runs."""
    child = subprocess.Popen(
        program.command,
        env=dict(program.env),
        **as_user(program.user),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield child.pid
    finally:
        child.send_signal(program.stop_signal)
        child.wait(timeout=program.stop_seconds)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A server with all its backends."""
    server = psutil.Process(pid)
    stopped = [server, *server.children(recursive=True)]
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            process.resume()


async def heals(reader: PostgresReader) -> None:
    deadline = time.monotonic() + HEAL_SECONDS
    while True:
        try:
            await reader.ping()
        except TransientError:
            assert time.monotonic() < deadline, "the warehouse is back, and not asked again"
            await asyncio.sleep(0.1)
        else:
            return


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not in pytest's own folder, for the reason that the fixture `postgres_server` tells.
    with TemporaryDirectory(prefix="headrace-test-") as name:
        yield Path(name)


async def test_reader_comes_up_without_postgres_and_heals_after_each_restart(folder: Path) -> None:
    cluster, port = postgres.prepare(folder, fsync=False), free_port()
    program = postgres.postgres(cluster, port, fsync=False)
    async with PostgresReader.open(
        WarehouseAccess(cluster.dsn(port)), connections=2, statement_timeout_seconds=5
    ) as reader:
        for _ in range(2):
            with pytest.raises(TransientError, match="the warehouse"):
                await reader.ping()
            with running(program):
                await heals(reader)
                assert await reader.tables() == []


async def test_server_that_hangs_is_away_until_it_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen, it keeps its connections, and ends no statement by a limit of its own."""
    monkeypatch.setattr(warehouse, "_MARGIN_SECONDS", 0.3)
    cluster, port = postgres.prepare(folder, fsync=False), free_port()
    access = WarehouseAccess(cluster.dsn(port))
    async with PostgresReader.open(access, connections=2, statement_timeout_seconds=0.2) as reader:
        with running(postgres.postgres(cluster, port, fsync=False)) as pid:
            await heals(reader)
            with frozen(pid), pytest.raises(TransientError, match="it does not answer"):
                await reader.ping()
            await heals(reader)

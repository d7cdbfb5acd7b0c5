"""The API's view of the warehouse comes up without Postgres and heals when it is back."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import AsyncConnection

from headrace_api import connections
from headrace_api.connections import ConnectionLostError
from headrace_api.warehouse import PostgresReader
from headrace_local import postgres
from headrace_local.ports import free_port
from headrace_local.supervisor import Program, as_user
from headrace_shared.errors import TransientError
from headrace_shared.warehouse_access import WarehouseAccess
from tests.patience import patience

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
    deadline = time.monotonic() + patience(HEAL_SECONDS)
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
    monkeypatch.setattr(connections, "_MARGIN_SECONDS", 0.3)
    cluster, port = postgres.prepare(folder, fsync=False), free_port()
    access = WarehouseAccess(cluster.dsn(port))
    async with PostgresReader.open(access, connections=2, statement_timeout_seconds=0.2) as reader:
        with running(postgres.postgres(cluster, port, fsync=False)) as pid:
            await heals(reader)
            with frozen(pid), pytest.raises(TransientError, match="it does not answer"):
                await reader.ping()
            await heals(reader)


@pytest.fixture
async def unseen(
    warehouse_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PostgresReader]:
    """A reader that never sees by itself that the server has ended an idle connection, as in the
    moment before the server's last message arrives."""

    async def sees_nothing(_: AsyncConnection[Any]) -> None:
        """The connection looks alive."""

    monkeypatch.setattr(connections, "_check", sees_nothing)
    access = WarehouseAccess(warehouse_dsn)
    async with PostgresReader.open(access, connections=4, statement_timeout_seconds=5) as reader:
        yield reader


async def ended(reader: PostgresReader, dsn: str) -> None:
    """Four connections are in the pool, and the server has ended them all."""
    held = asyncio.Barrier(4)

    async def hold(connection: AsyncConnection[Any]) -> None:
        await connection.execute("select 1")
        await held.wait()

    await asyncio.gather(*(reader.connections.read(hold) for _ in range(4)))
    with psycopg.connect(dsn, autocommit=True) as operator:
        gone = operator.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'headrace-api' and datname = current_database()"
        )
        assert gone.rowcount == 4


async def test_question_that_takes_a_dead_connection_is_asked_again(
    unseen: PostgresReader, warehouse_dsn: str
) -> None:
    for ask in (unseen.ping, unseen.tables, partial(unseen.row_count, "pg_catalog", "pg_class")):
        await ended(unseen, warehouse_dsn)
        await ask()


async def test_stream_does_not_begin_on_a_dead_connection(
    unseen: PostgresReader, warehouse_dsn: str
) -> None:
    await ended(unseen, warehouse_dsn)
    async with unseen.connections.answering() as connection:
        cursor = await connection.execute("select 1")
        assert await cursor.fetchone() == (1,)


async def test_question_that_ends_its_connections_is_asked_twice_and_no_more(
    unseen: PostgresReader,
) -> None:
    asked = 0

    async def fatal(connection: AsyncConnection[Any]) -> None:
        nonlocal asked
        asked += 1
        await connection.execute("select pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(ConnectionLostError, match="the warehouse"):
        await unseen.connections.read(fatal)
    assert asked == 2
    await unseen.ping()


async def test_question_that_fails_on_a_connection_that_lives_is_asked_once(
    unseen: PostgresReader,
) -> None:
    asked = 0

    async def wrong(connection: AsyncConnection[Any]) -> None:
        nonlocal asked
        asked += 1
        await connection.execute("select 1/0")

    with pytest.raises(TransientError, match="division by zero"):
        await unseen.connections.read(wrong)
    assert asked == 1

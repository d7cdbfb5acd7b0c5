"""The API's view of the warehouse comes up without Postgres and heals when it is back."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from headrace_api.warehouse import PostgresReader
from headrace_local import postgres
from headrace_local.ports import free_port
from headrace_local.supervisor import Program, as_user
from headrace_shared.errors import TransientError
from headrace_shared.warehouse_access import WarehouseAccess

pytestmark = pytest.mark.integration

HEAL_SECONDS = 20


@contextmanager
def running(program: Program) -> Iterator[None]:
    child = subprocess.Popen(
        program.command,
        env=dict(program.env),
        **as_user(program.user),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        child.send_signal(program.stop_signal)
        child.wait(timeout=program.stop_seconds)


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

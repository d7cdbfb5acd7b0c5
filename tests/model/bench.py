"""What the worlds of a run share: two loaders on one warehouse, and a lake in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar, cast
from uuid import UUID

import psycopg
import pytest

from headrace_loader.files import Files
from headrace_loader.lake import S3Lake
from headrace_loader.loading import Loading
from headrace_loader.postgres import PostgresWarehouse
from headrace_shared.drop import Drop
from headrace_shared.warehouse_access import WarehouseAccess
from tests.model.crashes import Crashes

Found = TypeVar("Found")


class Lake:
    """Files in memory: the real lake has tests of its own, and nothing here hangs on it."""

    def __init__(self) -> None:
        self.files: dict[UUID, bytes] = {}

    @asynccontextmanager
    async def open(self, drop: Drop) -> AsyncIterator[AsyncIterator[bytes]]:
        async def blocks() -> AsyncIterator[bytes]:
            yield self.files[drop.drop_id]

        yield blocks()


@dataclass
class Bench:
    """What all worlds of a run share."""

    dsn: str
    runner: asyncio.Runner
    loaders: Sequence[Loading]
    lake: Lake
    crashes: Crashes
    connection: psycopg.Connection[Any]
    numbers: Iterator[int] = field(default_factory=count)
    seen: Counter[str] = field(default_factory=Counter)

    def do(self, work: Coroutine[Any, Any, Found]) -> Found:
        """Runs it to its end, in the present context: a crash that is to come is part of it."""
        return self.runner.run(work, context=copy_context())


@contextmanager
def bench(dsn: str) -> Iterator[Bench]:
    """Two loaders on one warehouse, in an event loop of their own."""
    lake = Lake()
    with (
        pytest.MonkeyPatch.context() as patched,
        asyncio.Runner() as runner,
        # The tables change their shape beneath it.
        psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection,
    ):
        crashes = Crashes(dsn, patched)
        opened = [
            PostgresWarehouse.open(WarehouseAccess(dsn), connections=9, lock_timeout_seconds=5)
            for _ in range(2)
        ]
        warehouses = [runner.run(one.__aenter__()) for one in opened]
        loaders = [
            Loading(Files(cast("S3Lake", lake), quarantine=None), one, contract_wait_seconds=10**5)
            for one in warehouses
        ]
        try:
            yield Bench(dsn, runner, loaders, lake, crashes, connection)
        finally:
            for one in opened:
                runner.run(one.__aexit__(None, None, None))
            crashes.close()

"""Who waits for whom: appends for nobody, the others for their turn, and never for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import psycopg
import pytest

from headrace_loader.files import Files
from headrace_loader.lake import Lake
from headrace_loader.loading import Loading
from headrace_loader.outcomes import Loaded
from headrace_loader.postgres import PostgresWarehouse
from headrace_shared.drop import Drop
from headrace_shared.errors import TransientError
from headrace_shared.warehouse_access import WarehouseAccess
from tests.road import Road

LARGE = "id\n" + "1\n" * 200_000
"""Beyond what is batched: it takes the ordinary road."""


class SlowLake:
    """The real lake, but the bytes of some keys come only when they are let go."""

    def __init__(self, lake: Lake, *held: str) -> None:
        self._lake = lake
        self._held = held
        self.reading = asyncio.Event()
        self.go = asyncio.Event()

    @asynccontextmanager
    async def open(self, drop: Drop) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._lake.open(drop) as blocks:
            yield self._slowly(blocks) if drop.key in self._held else blocks

    async def _slowly(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield await anext(blocks)
        self.reading.set()
        await self.go.wait()
        async for block in blocks:
            yield block


@asynccontextmanager
async def loader(
    road: Road, lake: SlowLake, *, stall_seconds: float = 30, lock_seconds: float = 0.3
) -> AsyncIterator[Loading]:
    async with PostgresWarehouse.open(
        WarehouseAccess(road.dsn),
        connections=9,
        lock_timeout_seconds=lock_seconds,
        stall_seconds=stall_seconds,
    ) as warehouse:
        yield Loading(
            Files(cast("Lake", lake), quarantine=None), warehouse, contract_wait_seconds=900
        )


def locks_held(road: Road) -> int:
    count: int = road.scalar("select count(*) from pg_locks where locktype = 'advisory'")
    return count


async def test_appends_to_one_table_run_side_by_side(road: Road) -> None:
    await road.contract()
    slow, quick = (road.land(f"dev/append/users/{name}.csv", LARGE) for name in "ab")
    lake = SlowLake(road.files.lake, slow.key)
    async with loader(road, lake) as loading:
        first = asyncio.create_task(loading.load(slow, attempt=1))
        await lake.reading.wait()
        assert isinstance(await loading.load(quick, attempt=1), Loaded)
        lake.go.set()
        assert isinstance(await first, Loaded)


async def test_truncate_steps_back_while_an_append_is_under_way(road: Road) -> None:
    await road.contract()
    slow = road.land("dev/append/users/a.csv", LARGE)
    truncate = road.land("dev/truncate/users/b.csv", "id\n2\n")
    lake = SlowLake(road.files.lake, slow.key)
    async with loader(road, lake) as loading:
        first = asyncio.create_task(loading.load(slow, attempt=1))
        await lake.reading.wait()
        with pytest.raises(TransientError, match="lock timeout"):
            await loading.load(truncate, attempt=1)
        lake.go.set()
        await first
        assert isinstance(await loading.load(truncate, attempt=2), Loaded)
    assert [row[0] for row in road.rows()] == [2]


async def test_other_tables_go_on_while_one_is_locked(road: Road) -> None:
    await road.contract()
    await road.contract("dev.others")
    slow = road.land("dev/truncate/users/a.csv", LARGE)
    other = road.land("dev/truncate/others/b.csv", "id\n2\n")
    lake = SlowLake(road.files.lake, slow.key)
    async with loader(road, lake) as loading:
        first = asyncio.create_task(loading.load(slow, attempt=1))
        await lake.reading.wait()
        assert isinstance(await loading.load(other, attempt=1), Loaded)
        lake.go.set()
        await first


async def test_lake_that_stops_sending_frees_the_locks(road: Road) -> None:
    await road.contract()
    slow = road.land("dev/append/users/a.csv", LARGE)
    lake = SlowLake(road.files.lake, slow.key)
    async with loader(road, lake, stall_seconds=0.2) as loading:
        with pytest.raises(TransientError, match="sent nothing for"):
            await loading.load(slow, attempt=1)
        assert locks_held(road) == 0
        assert road.rows() == []
        lake.go.set()
        assert isinstance(await loading.load(slow, attempt=2), Loaded)


async def test_loads_that_wait_for_each_other_s_tables_do_not_deadlock(road: Road) -> None:
    tables = [f"dev.t{number}" for number in range(3)]
    for table in tables:
        await road.contract(table)
    drops = [
        road.land(f"dev/{action}/{table.partition('.')[2]}/{turn}.csv", f"id\n{turn}\n")
        for turn in range(6)
        for table in tables
        for action in ("append", "truncate")
    ]
    waiting = list(drops)
    while waiting:
        ends = await asyncio.gather(
            *(road.loading.load(drop, attempt=1) for drop in waiting), return_exceptions=True
        )
        assert not [end for end in ends if "deadlock" in str(end)]
        waiting = [
            drop for drop, end in zip(waiting, ends, strict=True) if isinstance(end, TransientError)
        ]
    for table in tables:
        assert [row[0] for row in road.rows(table)] == [5]


async def test_connection_that_is_cut_leaves_nothing_behind(road: Road) -> None:
    await road.contract()
    slow = road.land("dev/append/users/a.csv", LARGE)
    lake = SlowLake(road.files.lake, slow.key)
    async with loader(road, lake) as loading:
        first = asyncio.create_task(loading.load(slow, attempt=1))
        await lake.reading.wait()
        with psycopg.connect(road.dsn, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_locks "
                "where locktype = 'advisory' and pid <> pg_backend_pid()"
            )
        lake.go.set()
        with pytest.raises(TransientError):
            await first
        assert road.rows() == []
        assert isinstance(await loading.load(slow, attempt=2), Loaded)

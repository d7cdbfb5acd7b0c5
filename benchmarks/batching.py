"""Many small appends to one table: the loader alone, beside a bare loop; no queue, no S3, no log.

The files lie in memory, so that what is measured is the road from bytes to commit.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, cast

import psycopg
from psycopg import sql

from benchmarks.figure import Figure
from benchmarks.files import COLUMNS, CONTRACT, small_csv
from headrace_loader.files import Files
from headrace_loader.lake import S3Lake
from headrace_loader.loading import Loading
from headrace_loader.postgres import PostgresWarehouse
from headrace_router.routing import Routed, route
from headrace_shared.drop import Drop, drop_id
from headrace_shared.facts import now
from headrace_shared.warehouse_access import WarehouseAccess

FILES: Final = 1_000
ROWS: Final = 100
ROUNDS: Final = 3
IN_HAND: Final = 50
CONNECTIONS: Final = 4


class MemoryLake:
    """Objects in memory, in place of S3: reading them costs nothing."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def land(self, key: str, content: bytes) -> Drop:
        """A routed drop of this object."""
        self._objects[key] = content
        landed_at, etag = now(), str(len(self._objects))
        identity = drop_id(
            landed_at=landed_at, sequencer=None, bucket="b", key=key, version_id=None, etag=etag
        )
        landed = Drop(
            drop_id=identity,
            bucket="b",
            key=key,
            etag=etag,
            size_bytes=len(content),
            landed_at=landed_at,
        )
        found = route(landed, {"*"})
        assert isinstance(found, Routed)
        return found.drop

    @asynccontextmanager
    async def open(self, drop: Drop) -> AsyncIterator[AsyncIterator[bytes]]:
        """As `S3Lake.open`."""

        async def blocks() -> AsyncIterator[bytes]:
            yield self._objects[drop.key]

        yield blocks()


def batching(dsn: str) -> list[Figure]:
    """Files a second: the bare loop, the loader with one drop in hand, and with fifty."""
    return asyncio.run(_measure(dsn))


async def _measure(dsn: str) -> list[Figure]:
    lake = MemoryLake()
    async with PostgresWarehouse.open(
        WarehouseAccess(dsn), connections=9, lock_timeout_seconds=10
    ) as warehouse:
        loading = Loading(
            Files(cast("S3Lake", lake), quarantine=None), warehouse, contract_wait_seconds=1
        )
        contract = lake.land("bench/schema/small/contract.json", json.dumps(CONTRACT).encode())
        await loading.load(contract, 1)
        rates: dict[str, list[float]] = {"bare": [], "ordinary": [], "alone": [], "batched": []}
        for turn in range(ROUNDS):
            files = [small_csv(ROWS, number).encode() for number in range(FILES)]
            rates["bare"].append(await asyncio.to_thread(_bare_loop, dsn, files, turn))
            for kind, in_hand, request in (
                # A replay takes the ordinary road: every drop a transaction of its own.
                ("ordinary", CONNECTIONS, 1),
                ("alone", 1, 0),
                ("batched", IN_HAND, 0),
            ):
                drops = [
                    lake.land(f"bench/append/small/{kind}{turn}-{number}.csv", content)
                    for number, content in enumerate(files)
                ]
                rates[kind].append(await _rate(loading, drops, in_hand, request))
    return _told(rates)


async def _rate(loading: Loading, drops: Sequence[Drop], in_hand: int, request: int) -> float:
    waiting = list(reversed(drops))

    async def work() -> None:
        while waiting:
            await loading.load(waiting.pop(), 1, request)

    started = time.monotonic()
    await asyncio.gather(*(work() for _ in range(in_hand)))
    return len(drops) / (time.monotonic() - started)


def _bare_loop(dsn: str, files: Sequence[bytes], turn: int) -> float:
    """One connection, one transaction a file, with a ledger row."""
    statement = sql.SQL("copy bench.small ({}) from stdin with (format csv, header)").format(
        sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    )
    started = time.monotonic()
    with psycopg.connect(dsn) as connection:
        connection.execute("create table if not exists bench.done (file text primary key)")
        for number, content in enumerate(files):
            name = f"{turn}-{number}"
            connection.execute("insert into bench.done values (%s) on conflict do nothing", [name])
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(content)
            connection.commit()
    return len(files) / (time.monotonic() - started)


def _told(rates: dict[str, list[float]]) -> list[Figure]:
    bare, ordinary, alone, batched = (statistics.median(found) for found in rates.values())
    beside = f"bare loop with a ledger row: {bare:.0f}/s = 1.0"
    return [
        Figure(
            f"loader alone, files of {ROWS} rows into one table, a transaction each, "
            f"{CONNECTIONS} at a time",
            f"{ordinary:.0f} files/s = {ordinary / bare:.2f}",
            beside,
        ),
        Figure(
            "the same, one in hand: a batch of one",
            f"{alone:.0f} files/s = {alone / bare:.2f}",
            beside,
        ),
        Figure(
            f"the same, {IN_HAND} in hand: committed together",
            f"{batched:.0f} files/s = {batched / bare:.2f}",
            f"{beside}; medians of {ROUNDS} rounds of {FILES:,} files",
        ),
    ]

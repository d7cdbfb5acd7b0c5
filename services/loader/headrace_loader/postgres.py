"""The warehouse as Postgres 17 or later: its connections, and the transaction of a drop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from headrace_loader import ledger
from headrace_loader.ledger import StoredContract
from headrace_loader.locks import lock_key
from headrace_loader.migrations import migrate
from headrace_loader.outcomes import Outcome, Rejected
from headrace_loader.sqlstate import warehouse_errors
from headrace_loader.transaction import LoadTransaction
from headrace_shared.column_types import canonical_type
from headrace_shared.drop import Drop
from headrace_shared.errors import HeadraceError

OLDEST_SERVER: Final = 170_000

_POOL_WAIT_SECONDS: Final = 20.0

# A partition of the network leaves a backend in COPY holding its locks for 20 minutes and more,
# whatever the statement time-outs; keepalives and the connection check end it in seconds.
# https://www.postgresql.org/docs/current/runtime-config-connection.html#RUNTIME-CONFIG-TCP-SETTINGS
_CLIENT_KEEPALIVES: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_SERVER_KEEPALIVES: Final = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "client_connection_check_interval": "5000",
}


class WarehouseUnsuitableError(HeadraceError):
    """The server is not one that the loader can work with."""


class PostgresWarehouse:
    """Opens transactions for drops and reads the ledger. Every method raises TransientError when
    the server cannot be reached or asks for another try."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(
        cls, dsn: str, *, connections: int, lock_timeout_seconds: float
    ) -> AsyncIterator[PostgresWarehouse]:
        """A warehouse with its ledger in place and a pool of connections.

        Raises:
            WarehouseUnsuitableError: the server is older than Postgres 17.
        """

        async def configure(connection: AsyncConnection[Any]) -> None:
            settings = {
                **_SERVER_KEEPALIVES,
                "lock_timeout": f"{round(lock_timeout_seconds * 1000)}ms",
                "application_name": "headrace-loader",
            }
            for name, value in settings.items():
                await connection.execute("select set_config(%s, %s, false)", [name, value])
            await connection.commit()

        pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            make_conninfo(dsn, **_CLIENT_KEEPALIVES),
            min_size=1,
            max_size=connections,
            timeout=_POOL_WAIT_SECONDS,
            configure=configure,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )
        async with pool:
            with warehouse_errors("preparing the ledger"):
                async with pool.connection() as connection:
                    _refuse_old(connection.info.server_version)
                    await migrate(connection)
            yield cls(pool)

    async def recorded(self, drop: Drop) -> Outcome | None:
        """How the drop ended according to the ledger, if it did."""
        with warehouse_errors("reading the ledger"):
            async with self._pool.connection() as connection:
                return await ledger.recorded(connection, drop)

    async def contract(self, drop: Drop) -> StoredContract | None:
        """The contract in force for the drop's table."""
        with warehouse_errors("reading the contract"):
            async with self._pool.connection() as connection:
                return (await ledger.standing(connection, drop)).contract

    @asynccontextmanager
    async def transaction(self, drop: Drop, *, exclusive: bool) -> AsyncIterator[LoadTransaction]:
        """The one transaction of a drop, with its table's lock taken; commits at the end.

        Args:
            exclusive: no other drop of the table at the same time; else only no exclusive one.
        """
        with warehouse_errors(f"loading {drop.table}"):
            async with self._pool.connection() as connection, connection.transaction():
                lock: LiteralString = "pg_advisory_xact_lock"
                shared: LiteralString = "pg_advisory_xact_lock_shared"
                await connection.execute(
                    sql.SQL("select set_config('headrace.drop_id', %s, true), {}(%s)").format(
                        sql.SQL(lock if exclusive else shared)
                    ),
                    [str(drop.drop_id), lock_key(drop)],
                )
                yield LoadTransaction(connection, drop)

    async def record(self, drop: Drop, started_at: datetime, rejected: Rejected) -> Outcome:
        """Records a rejection and answers with what the ledger now says: another loader may have
        ended the drop before."""
        with warehouse_errors("recording a rejection"):
            async with self._pool.connection() as connection:
                if await ledger.enter(connection, drop, started_at, rejected):
                    return rejected
                return await ledger.recorded(connection, drop) or rejected

    async def invalid_values(
        self, column_type: str, values: Sequence[str | None]
    ) -> dict[int, str]:
        """Which values a column of this type would refuse: their index and Postgres's own words.

        https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-VALIDITY
        """
        with warehouse_errors("checking values"):
            async with self._pool.connection() as connection:
                cursor = await connection.execute(
                    "select place - 1, fault.message "
                    "from unnest(%s::text[]) with ordinality as value(text, place), "
                    "lateral pg_input_error_info(value.text, %s) as fault "
                    "where value.text is not null and fault.message is not null",
                    [list(values), canonical_type(column_type)],
                )
                return dict(await cursor.fetchall())


def _refuse_old(server_version: int) -> None:
    if server_version < OLDEST_SERVER:
        raise WarehouseUnsuitableError(
            f"the warehouse is Postgres {server_version // 10_000}; Headrace needs "
            f"{OLDEST_SERVER // 10_000} or later"
        )

"""The warehouse as Postgres 17 or later: its connections, and the transaction of a drop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from headrace_loader import lake_mark, ledger, reopening, tests_role, warehouse_types
from headrace_loader.lake_mark import LakeMark
from headrace_loader.ledger import Entry
from headrace_loader.locks import lock_key, version_lock_key
from headrace_loader.migrations import migrate
from headrace_loader.pool import WarehousePool
from headrace_loader.shared_load import SharedLoad
from headrace_loader.sqlstate import load_errors, warehouse_errors
from headrace_loader.standing import StoredContract, right_contract
from headrace_loader.testing_rows import DEFAULT_RULES, TestRules
from headrace_loader.transaction import LoadTransaction
from headrace_shared.column_types import canonical_type
from headrace_shared.drop import Drop
from headrace_shared.errors import AwayError, HeadraceError
from headrace_shared.facts import DropRouted
from headrace_shared.warehouse_access import WarehouseAccess

OLDEST_SERVER: Final = 170_000

_PROBE_SECONDS: Final = 6.0
"""Longer than one attempt of the pool to connect."""

_LOCKS: Final[LiteralString] = (
    "select set_config('headrace.drop_id', %s, true), {}(%s), pg_advisory_xact_lock(%s)"
)
_LOCK_ALONE: Final = _LOCKS.replace("{}", "pg_advisory_xact_lock")
_LOCK_SHARED: Final = _LOCKS.replace("{}", "pg_advisory_xact_lock_shared")

# As the client's in `pool`: with the connection check, they end a backend that was left in COPY.
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

    def __init__(self, pool: WarehousePool, stall_seconds: float, rules: TestRules) -> None:
        self._pool = pool
        self._stall = stall_seconds
        self.rules = rules

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        access: WarehouseAccess,
        *,
        connections: int,
        lock_timeout_seconds: float,
        stall_seconds: float = 30,
        rules: TestRules = DEFAULT_RULES,
        lake: LakeMark | None = None,
    ) -> AsyncIterator[PostgresWarehouse]:
        """A warehouse with its ledger in place and a pool of connections.

        Args:
            lock_timeout_seconds: how long a load waits for a lock before it steps back.
            stall_seconds: how long a load that holds locks waits for bytes of the lake.
            rules: how the tests of contracts are run.
            lake: what the warehouse has to belong to; None: it is neither marked nor asked.

        Raises:
            SuperuserRefusedError: the role is a superuser, and no setting allows that.
            OtherLakeError: the warehouse belongs to another lake.
            WarehouseUnsuitableError: the server is older than Postgres 17, or the database keeps
                bytes rather than characters (SQL_ASCII).
        """

        async def configure(connection: AsyncConnection[Any]) -> None:
            settings = {
                **_SERVER_KEEPALIVES,
                "lock_timeout": f"{round(lock_timeout_seconds * 1000)}ms",
                "application_name": "headrace-loader",
                # A file means the same whatever the server's own settings are.
                "timezone": "UTC",
                "datestyle": "ISO, YMD",
                "timezone_abbreviations": "Default",
                "intervalstyle": "postgres",
                # Not the schema of the role's own name, which may be a db_name.
                "search_path": "public",
                # An error instead of rows that row-level security hides from the loader.
                "row_security": "off",
            }
            for name, value in settings.items():
                await connection.execute("select set_config(%s, %s, false)", [name, value])
            await connection.commit()

        async with WarehousePool(access, connections=connections, configure=configure) as pool:
            with warehouse_errors("preparing the ledger"):
                async with pool.connection() as connection:
                    access.refuse_superuser(connection.info.parameter_status("is_superuser"))
                    _refuse_old(connection.info.server_version)
                    _refuse_bytes(connection.info.parameter_status("server_encoding"))
                    await migrate(connection)
                    if lake is not None:
                        await lake_mark.mark(connection, lake)
                    await tests_role.make(connection)
            yield cls(pool, stall_seconds, rules)

    async def probe(self) -> None:
        """Asks whether the warehouse answers and can be written to.

        Raises:
            AwayError: it does not answer, or is a standby that only reads.
        """
        with warehouse_errors("asking whether the warehouse is there"):
            async with self._pool.connection(_PROBE_SECONDS) as connection:
                cursor = await connection.execute("show transaction_read_only")
                row = await cursor.fetchone()
                if row is not None and row[0] == "on":
                    # The name may lead to another server by now: the next connection finds out.
                    await connection.close()
                    raise AwayError("the warehouse only reads: it is a standby, or set so")

    async def entry(self, drop: Drop) -> Entry | None:
        """The drop's entry in the ledger, if there is one."""
        with warehouse_errors("reading the ledger"):
            async with self._pool.connection() as connection:
                return await ledger.find(connection, drop)

    async def reverted_version(self, bucket: str, key: str) -> UUID | None:
        """The latest version of a key, if it was reverted."""
        with warehouse_errors("reading the ledger"):
            async with self._pool.connection() as connection:
                return await ledger.reverted_version(connection, bucket, key)

    async def contract(self, drop: Drop, contract_order: UUID) -> StoredContract | None:
        """The contract under which the drop is read."""
        with warehouse_errors("reading the contract"):
            async with self._pool.connection() as connection:
                return await right_contract(connection, drop, contract_order)

    async def refused_types(self, kinds: Collection[str]) -> dict[str, str]:
        """Which of these types no column may have, each with the end of a sentence that says why;
        types in canonical spelling."""
        with warehouse_errors("looking up types"):
            async with self._pool.connection() as connection:
                return await warehouse_types.refused(connection, kinds)

    @asynccontextmanager
    async def transaction(self, drop: Drop, *, exclusive: bool) -> AsyncIterator[LoadTransaction]:
        """The one transaction of a drop, with its locks taken; commits at the end.

        The table's lock comes first, then the one that keeps the versions of a key apart: in one
        order everywhere, so that nobody waits in a circle.

        Raises:
            TableRefusedError: the table does not take the drop, at the commit at the latest.

        Args:
            exclusive: no other drop of the table at the same time; else only no exclusive one.
        """
        with load_errors(drop.table):
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute(
                    _LOCK_ALONE if exclusive else _LOCK_SHARED,
                    [
                        str(drop.drop_id),
                        lock_key(drop),
                        version_lock_key(drop),
                    ],
                )
                yield LoadTransaction(
                    connection,
                    drop,
                    exclusive=exclusive,
                    stall_seconds=self._stall,
                    rules=self.rules,
                )

    @asynccontextmanager
    async def shared_load(self, drops: Sequence[Drop]) -> AsyncIterator[SharedLoad]:
        """The one transaction of a batch of appends to one table; commits at the end."""
        with load_errors(drops[0].table):
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute(
                    "select pg_advisory_xact_lock_shared(%s)",
                    [lock_key(drops[0])],
                )
                yield SharedLoad(connection, drops)

    async def publish_reopened(
        self, opener: Drop, publish: Callable[[Sequence[DropRouted]], Awaitable[None]]
    ) -> int:
        """Publishes the drops that `opener` reopened, as far as they are not published yet;
        returns how many.

        Args:
            publish: returns when all of a page are accepted. A page is noted as published after
                that: if this process ends before, they are published again.
        """
        published = 0
        while True:
            with warehouse_errors("publishing reopened drops"):
                async with self._pool.connection() as connection, connection.transaction():
                    page = await reopening.unpublished(connection, opener)
                    if not page:
                        return published
                    await publish(page)
                    await reopening.note_published(connection, page)
            published += len(page)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection for work of another kind than the load of a drop."""
        with warehouse_errors("working on the warehouse"):
            async with self._pool.connection() as connection:
                yield connection

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


def _refuse_bytes(server_encoding: str | None) -> None:
    # https://www.postgresql.org/docs/current/multibyte.html
    if server_encoding == "SQL_ASCII":
        raise WarehouseUnsuitableError(
            "the warehouse's database has the encoding SQL_ASCII, in which text has no characters; "
            "make one with the encoding UTF8 (create database ... template template0 encoding "
            "'UTF8')"
        )

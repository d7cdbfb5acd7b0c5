"""Reads the warehouse: the ledger, the contracts, and how many rows a table has.

A transaction for each statement, so that a question costs one round trip; the API comes up, and
stays up, while Postgres is down.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, LiteralString
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, sql

from headrace_api.connections import Connections
from headrace_shared.log_schema import State
from headrace_shared.warehouse_access import WarehouseAccess

_COUNT_MILLISECONDS: Final = 500
"""An exact count is worth this much; beyond it the database's estimate serves."""

_UNREADABLE: Final = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.InsufficientPrivilege,
)
"""The table was dropped by hand, or belongs to somebody else."""

_TABLES: Final[LiteralString] = """
    select distinct on (db_name, table_name)
        contract.db_name, contract.table_name, contract.drop_id, contract.contract,
        last.drop_id, last.applied_at, first.drop_id
    from headrace.contracts as contract left join lateral (
        select drop_id, applied_at from headrace.ledger
        where db_name = contract.db_name and table_name = contract.table_name
          and outcome = 'loaded' and action <> 'schema'
        order by drop_id desc limit 1
    ) as last on true left join lateral (
        select drop_id from headrace.ledger
        where db_name = contract.db_name and table_name = contract.table_name
        order by drop_id limit 1
    ) as first on true
    where contract.accepted and not contract.refused_by_rows
      and (%(db_name)s::text is null or contract.db_name = %(db_name)s)
      and (%(table_name)s::text is null or contract.table_name = %(table_name)s)
    order by db_name, table_name, contract.drop_id desc
    """

_KNOWN_TABLES: Final[LiteralString] = """
    with recursive known as (
        (select db_name, table_name from headrace.ledger order by db_name, table_name limit 1)
        union all
        select next.db_name, next.table_name from known cross join lateral (
            select db_name, table_name from headrace.ledger
            where (db_name, table_name) > (known.db_name, known.table_name)
            order by db_name, table_name limit 1
        ) as next
    )
    select db_name, table_name from known
    union select db_name, table_name from headrace.contracts order by 1, 2
    """
"""From one table to the next by the ledger's index: not every drop is read."""

_CONTRACTS: Final[LiteralString] = """
    select drop_id, key, version_id, landed_at, ledger.applied_at, contracts.contract, changes,
        case when outcome = 'reverted' then 'reverted'
             when accepted and not refused_by_rows then 'accepted'
             else 'refused' end as state, reason,
        drop_id is not distinct from headrace.contract_of(
            %(db_name)s, %(table_name)s, 'ffffffff-ffff-ffff-ffff-ffffffffffff') as in_force
    from headrace.ledger left join headrace.contracts using (drop_id)
    where ledger.db_name = %(db_name)s and ledger.table_name = %(table_name)s
      and action = 'schema' and outcome <> 'superseded'
      and (%(before)s::uuid is null or drop_id < %(before)s)
    order by drop_id desc limit %(limit)s
    """


ContractState = Literal["accepted", "refused", "reverted"]


@dataclass(frozen=True, slots=True)
class StoredContract:
    """A contract that was dropped for a table; None where it could not even be read."""

    contract_id: UUID
    key: str
    version_id: str | None
    landed_timestamp: str
    applied_at: str | None
    contract: dict[str, Any] | None
    changes: list[str]
    state: ContractState
    reason: dict[str, Any] | None
    in_force: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table that has a contract."""

    db_name: str
    table_name: str
    contract_id: UUID
    contract: dict[str, Any]
    last_drop_id: UUID | None
    last_loaded_at: str | None
    first_drop_id: UUID


class PostgresReader:
    """Raises TransientError when the warehouse cannot be reached."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @classmethod
    @asynccontextmanager
    async def open(
        cls, access: WarehouseAccess, *, connections: int, statement_timeout_seconds: float
    ) -> AsyncIterator[PostgresReader]:
        """A reader; does not wait for the warehouse to answer."""
        opened = Connections.open(
            access, connections=connections, statement_timeout_seconds=statement_timeout_seconds
        )
        async with opened as made:
            yield cls(made)

    @property
    def connections(self) -> Connections:
        """For other adapters, whose transactions are read-only, too."""
        return self._connections

    async def ping(self) -> None:
        """Really asks the warehouse."""
        await self._rows("select 1", {})

    async def tables(
        self, *, db_name: str | None = None, table_name: str | None = None
    ) -> list[Table]:
        """The tables that have a contract, in the order of their names."""
        rows = await self._rows(_TABLES, {"db_name": db_name, "table_name": table_name})
        return [
            Table(
                db_name=db,
                table_name=table,
                contract_id=contract_id,
                contract=contract,
                last_drop_id=last_id,
                last_loaded_at=_rfc3339(last_at),
                first_drop_id=first_id or contract_id,
            )
            for db, table, contract_id, contract, last_id, last_at, first_id in rows
        ]

    async def known_tables(self) -> list[tuple[str, str]]:
        """Every (db_name, table_name) that the ledger or a contract knows."""
        rows = await self._rows(_KNOWN_TABLES, {})
        return [(db_name, name) for db_name, name in rows]

    async def databases_with(self, table_name: str) -> list[tuple[str, str]]:
        """Every (db_name, table_name) of that table name that the ledger or a contract knows."""
        rows = await self._rows(
            "select db_name, table_name from headrace.contracts where table_name = %(name)s "
            "union select db_name, table_name from headrace.ledger where table_name = %(name)s "
            "order by 1",
            {"name": table_name},
        )
        return [(db_name, name) for db_name, name in rows]

    async def contracts(
        self, db_name: str, table_name: str, *, before: UUID | None, limit: int
    ) -> list[StoredContract]:
        """The contracts that were dropped for a table, the newest first.

        Args:
            before: only those that landed before this one.
        """
        values = {"db_name": db_name, "table_name": table_name, "before": before, "limit": limit}
        return [
            StoredContract(
                contract_id=contract_id,
                key=key,
                version_id=version_id,
                landed_timestamp=f"{landed_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
                applied_at=_rfc3339(applied_at),
                contract=contract,
                changes=changes if state == "accepted" else [],
                state=state,
                reason=reason if state == "refused" else None,
                in_force=in_force,
            )
            for (
                contract_id,
                key,
                version_id,
                landed_at,
                applied_at,
                contract,
                changes,
                state,
                reason,
                in_force,
            ) in await self._rows(_CONTRACTS, values)
        ]

    async def drops_by_state(self, db_name: str, table_name: str) -> dict[State, int]:
        """How the drops of a table ended, by the ledger; those that wait to be loaded anew are
        under way, which is the log's to tell."""
        rows = await self._rows(
            "select outcome, count(*) from headrace.ledger "
            "where db_name = %(db_name)s and table_name = %(table_name)s and reopened_at is null "
            "group by outcome",
            {"db_name": db_name, "table_name": table_name},
        )
        return {State(outcome): count for outcome, count in rows}

    async def row_count(self, db_name: str, table_name: str) -> tuple[int | None, bool]:
        """The rows of a table, and whether they were counted or are the database's estimate."""
        table = sql.Identifier(db_name, table_name)

        async def counted(connection: AsyncConnection[Any]) -> tuple[int | None, bool]:
            with suppress(psycopg.errors.QueryCanceled, *_UNREADABLE):
                return await _exact_count(connection, table), True
            return await _estimate(connection, table), False

        return await self._connections.read(counted)

    async def _rows(
        self, query: LiteralString, values: dict[str, Any]
    ) -> Sequence[tuple[Any, ...]]:
        async def fetched(connection: AsyncConnection[Any]) -> Sequence[tuple[Any, ...]]:
            try:
                return await (await connection.execute(query, values)).fetchall()
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                return []  # no loader has ever started here: there is no ledger yet

        return await self._connections.read(fetched)


async def _exact_count(connection: AsyncConnection[Any], table: sql.Identifier) -> int | None:
    async with connection.transaction():
        await connection.execute(
            "select set_config('statement_timeout', %s, true)", [str(_COUNT_MILLISECONDS)]
        )
        cursor = await connection.execute(sql.SQL("select count(*) from {}").format(table))
        row = await cursor.fetchone()
        return row[0] if row else None


async def _estimate(connection: AsyncConnection[Any], table: sql.Identifier) -> int | None:
    cursor = await connection.execute(
        "select reltuples::bigint from pg_class where oid = to_regclass(%s)",
        [table.as_string(connection)],
    )
    row = await cursor.fetchone()
    # -1: never counted by the database itself.
    return row[0] if row and row[0] >= 0 else None


def _rfc3339(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

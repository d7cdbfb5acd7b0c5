"""The rows of a drop as they are staged, for data tests to be run on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection, sql
from pydantic import TypeAdapter

from headrace_loader.row_tests import StagedRows
from headrace_loader.test_outcomes import TestOutcome as Outcome
from headrace_loader.testing_rows import run_tests
from headrace_shared.data_tests import DataTest
from headrace_shared.drop import Drop, drop_id

LANDED: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)

_STAGED: Final = sql.Identifier("pg_temp", "staged")
_TARGET: Final = sql.Identifier("dev", "users")
_COLUMNS: Final = """
    id bigint, small smallint, email text, code varchar(5), price numeric(9, 2), share real,
    paid boolean, day date, at timestamptz, seen timestamp, "select" text, "order" text,
    found text
"""
_READ: TypeAdapter[DataTest] = TypeAdapter(DataTest)


def a_drop(landed_at: datetime) -> Drop:
    key = "dev/append/users/1.csv"
    named = drop_id(
        landed_at=landed_at, sequencer=None, bucket="lake", key=key, version_id=None, etag="e"
    )
    return Drop(
        drop_id=named,
        bucket="lake",
        key=key,
        etag="e",
        size_bytes=1,
        landed_at=landed_at,
        db_name="dev",
        table_name="users",
    )


DROP: Final = a_drop(LANDED)
EARLIER: Final = a_drop(LANDED - timedelta(days=1))


@dataclass
class StagedDrop:
    """In a transaction: a staging table, `dev.users` as its target."""

    connection: AsyncConnection[Any]

    async def make(self) -> None:
        await self.execute("create schema dev")
        await self.execute(f"create table dev.users ({_COLUMNS}, _drop_id uuid)")
        await self.execute(
            f"create temporary table staged ({_COLUMNS}, "
            '"line number" bigint generated always as identity)'
        )

    async def execute(self, statement: str) -> list[tuple[Any, ...]]:
        cursor = await self.connection.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []

    async def stage(self, columns: str, *rows: Any) -> None:
        """Rows of the drop; a row of one column is its value."""
        for row in rows:
            await self._insert(_STAGED, columns.split(", "), _as_row(row))

    async def have(self, columns: str, *rows: Any, drop: UUID) -> None:
        """Rows that the target has of another drop."""
        for row in rows:
            await self._insert(_TARGET, [*columns.split(", "), "_drop_id"], (*_as_row(row), drop))

    async def run(self, test: object, **given: Any) -> Outcome:
        [outcome] = await self.run_all([test], **given)
        return outcome

    async def run_all(
        self, tests: Iterable[object], *, replaces: tuple[str, ...] = (), **given: Any
    ) -> tuple[Outcome, ...]:
        read = [_READ.validate_python(test) for test in tests]
        rows = StagedRows(_STAGED, _TARGET, DROP, replaces)
        return await run_tests(self.connection, read, rows, **given)

    async def _insert(self, table: sql.Identifier, columns: list[str], row: Any) -> None:
        await self.connection.execute(
            sql.SQL("insert into {} ({}) values ({})").format(
                table,
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
            ),
            row,
        )


def _as_row(row: Any) -> tuple[Any, ...]:
    return row if isinstance(row, tuple) else (row,)


def on(kind: str, column: Any, **fields: Any) -> dict[str, Any]:
    return {kind: {"column": column, **fields}}


def by_sql(text: str) -> dict[str, Any]:
    return {"sql": text, "name": "no b"}

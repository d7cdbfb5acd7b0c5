"""A user's table: its name in SQL, its columns, and the DDL that makes and changes it."""

from __future__ import annotations

import hashlib
from typing import Any

from psycopg import AsyncConnection, sql

from headrace_loader.evolution import Plan, TableColumn
from headrace_loader.locks import hash_key
from headrace_shared.column_types import canonical_type
from headrace_shared.contract import Column
from headrace_shared.drop import Drop
from headrace_shared.identifiers import (
    LINEAGE_COLUMN,
    safe_column,
    safe_identifier,
    safe_schema,
)


def table_identifier(drop: Drop) -> sql.Identifier:
    """The table's name for SQL, checked once more: facts come from a queue."""
    schema, table = (
        safe_schema(drop.db_name or ""),
        safe_identifier(drop.table_name or ""),
    )
    if schema != drop.db_name or table != drop.table_name or schema is None or table is None:
        raise ValueError(f"{drop.db_name}.{drop.table_name} is not a safe table name")
    return sql.Identifier(schema, table)


async def table_columns(
    connection: AsyncConnection[Any], drop: Drop
) -> dict[str, TableColumn] | None:
    """The table's columns as they are, lineage left out; None if there is no table."""
    cursor = await connection.execute(
        "select attname, format_type(atttypid, atttypmod), not attnotnull "
        "from pg_attribute join pg_class on pg_class.oid = attrelid "
        "join pg_namespace on pg_namespace.oid = relnamespace "
        "where nspname = %s and relname = %s and attnum > 0 and not attisdropped "
        "order by attnum",
        [drop.db_name, drop.table_name],
    )
    rows = await cursor.fetchall()
    if not rows:
        return None
    return {
        name: TableColumn(kind, nullable) for name, kind, nullable in rows if name != LINEAGE_COLUMN
    }


async def change_table(connection: AsyncConnection[Any], drop: Drop, plan: Plan) -> None:
    """Carries a plan out; the lineage column is filled by its default during COPY.

    A BRIN index on it costs next to nothing, for rows come in nearly in its order, and finds
    the rows of a drop, and those that a late truncate removes.
    """
    if plan.create:
        await _create_schema(connection, drop)
        columns = sql.SQL(", ").join(_definition(column) for column in plan.add)
        await connection.execute(
            sql.SQL("create table {} ({})").format(table_identifier(drop), columns)
        )
    else:
        for column in plan.add:
            await connection.execute(
                sql.SQL("alter table {} add column {}").format(
                    table_identifier(drop), _definition(column)
                )
            )
    await _add_lineage(connection, drop)


async def _create_schema(connection: AsyncConnection[Any], drop: Drop) -> None:
    # `create schema if not exists` is not safe against itself: two tables of one new database
    # would meet a unique violation in the catalogue.
    name = drop.db_name
    await connection.execute("select pg_advisory_xact_lock(%s)", [hash_key(f"schema {name}")])
    await connection.execute(
        sql.SQL("create schema if not exists {}").format(sql.Identifier(str(name)))
    )


async def _add_lineage(connection: AsyncConnection[Any], drop: Drop) -> None:
    column, index = (
        sql.Identifier(LINEAGE_COLUMN),
        _index_name(str(drop.table_name)),
    )
    await connection.execute(
        sql.SQL("alter table {} add column if not exists {} uuid").format(
            table_identifier(drop), column
        )
    )
    # Set apart from the column's birth: rows that were there before Headrace stay without one.
    await connection.execute(
        sql.SQL("alter table {} alter column {} set default headrace.loading_drop_id()").format(
            table_identifier(drop), column
        )
    )
    await connection.execute(
        sql.SQL("create index if not exists {} on {} using brin ({})").format(
            sql.Identifier(index), table_identifier(drop), column
        )
    )


def _index_name(table: str) -> str:
    """Within Postgres's 63 bytes, and no other table's."""
    return f"{table[:40]}_{hashlib.sha256(table.encode()).hexdigest()[:8]}_drop"


def _definition(column: Column) -> sql.Composed:
    name = safe_column(column.name)
    if name is None:
        raise ValueError(f"{column.name!r} is not a safe column name")
    kind = canonical_type(column.type)
    null = sql.SQL("") if column.nullable else sql.SQL(" not null")
    # The type is one of an allow-list's own spellings, never the user's text.
    return sql.SQL("{} {}{}").format(sql.Identifier(name), sql.SQL(kind), null)

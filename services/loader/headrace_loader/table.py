"""A user's table: its name in SQL, its columns, and the DDL that makes and changes it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection, sql

from headrace_loader.locks import hash_key
from headrace_loader.staging import passed
from headrace_shared.column_types import canonical_type
from headrace_shared.drop import Drop
from headrace_shared.evolution import Fill, Reshape, TableColumn
from headrace_shared.identifiers import (
    LINEAGE_COLUMN,
    quotable_column,
    safe_identifier,
    safe_schema,
)

# Types in `public`, which is on the search path, have their schema before them as all others do.
# A trigger before the insert may fill any column: 7 is for each row, before, insert
# (https://www.postgresql.org/docs/current/catalog-pg-trigger.html).
_COLUMNS: Final[LiteralString] = r"""
    select attname,
        case when of_type.nspname = 'public' and format_type(atttypid, atttypmod) !~ '^public\.'
            then 'public.' else '' end || format_type(atttypid, atttypmod),
        not attnotnull,
        case when attgenerated <> '' then 'generated'
            when attidentity = 'a' then 'identity'
            when attidentity = 'd' or atthasdef or typdefault is not null or exists (
                select from pg_trigger where tgrelid = attrelid and not tgisinternal
                    and tgenabled <> 'D' and tgtype & 7 = 7) then 'default'
            else 'null' end
    from pg_attribute join pg_class on pg_class.oid = attrelid
    join pg_namespace on pg_namespace.oid = relnamespace
    join pg_type on pg_type.oid = atttypid
    join pg_namespace as of_type on of_type.oid = typnamespace
    where pg_namespace.nspname = %s and relname = %s and attnum > 0 and not attisdropped
    order by attnum
    """

_RELATED: Final[LiteralString] = """
    select exists (select from pg_attribute where attrelid = pg_class.oid and attnum > 0
            and not attisdropped and attname <> all(%(columns)s)),
        exists (select from pg_constraint where confrelid = pg_class.oid),
        exists (select from pg_constraint where confrelid = pg_class.oid
            and confdeltype in ('c', 'n', 'd'))
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = %(db_name)s and relname = %(table_name)s
    """


@dataclass(frozen=True, slots=True)
class Related:
    """What was made by hand around a table.

    Args:
        has_others: it has columns that its contract does not have.
        is_referenced: a foreign key of another table, or its own, refers to its rows.
        cascades: with a row of it that is deleted, rows of other tables change.
    """

    has_others: bool = False
    is_referenced: bool = False
    cascades: bool = False

    @property
    def keeps_rows(self) -> bool:
        """Whether a row has to stay that a new one takes the place of."""
        return self.has_others or self.is_referenced


async def related(
    connection: AsyncConnection[Any], db_name: str, table_name: str, columns: Collection[str]
) -> Related:
    """What was made by hand around a table whose contract has these columns."""
    cursor = await connection.execute(
        _RELATED,
        {
            "db_name": db_name,
            "table_name": table_name,
            "columns": [*columns, LINEAGE_COLUMN],
        },
    )
    row = await cursor.fetchone()
    return Related(*row) if row else Related()


def table_identifier(drop: Drop) -> sql.Identifier:
    """The table's name for SQL, checked once more: facts come from a queue."""
    schema, table = (
        safe_schema(drop.db_name or ""),
        safe_identifier(drop.table_name or ""),
    )
    if schema != drop.db_name or table != drop.table_name or schema is None or table is None:
        raise ValueError(f"{drop.db_name}.{drop.table_name} is not a safe table name")
    return sql.Identifier(schema, table)


async def columns_of(
    connection: AsyncConnection[Any], db_name: str | None, table_name: str | None
) -> dict[str, TableColumn] | None:
    """The table's columns as they are, lineage left out; None if there is no table."""
    cursor = await connection.execute(
        _COLUMNS,
        [db_name, table_name],
    )
    rows = await cursor.fetchall()
    if not rows:
        return None
    return {
        name: TableColumn(kind, nullable, Fill(fill))
        for name, kind, nullable, fill in rows
        if name != LINEAGE_COLUMN
    }


async def change_table(connection: AsyncConnection[Any], drop: Drop, wanted: Reshape) -> None:
    """Gives the table another shape; the lineage column is filled by its default during COPY.

    A BRIN index on it costs next to nothing, for rows come in nearly in its order, and finds
    the rows of a drop, and those that a late truncate removes.
    """
    if wanted.create:
        await _create_schema(connection, drop)
        columns = sql.SQL(", ").join(_definition(name, has) for name, has in wanted.add)
        await connection.execute(
            sql.SQL("create table {} ({})").format(table_identifier(drop), columns)
        )
    elif actions := _actions(wanted):
        await connection.execute(
            sql.SQL("alter table {} {}").format(table_identifier(drop), sql.SQL(", ").join(actions))
        )
    await _add_lineage(connection, drop)


async def pass_on(
    connection: AsyncConnection[Any],
    drop: Drop,
    columns: Mapping[str, tuple[str, ...] | None],
) -> None:
    """Makes of the rows that were there before Headrace what a change in the midst of the chain
    would have made of them: nobody can load them again.

    Args:
        columns: name -> the types that its values pass through; None where they are lost.
    """
    for name, types in columns.items():
        column = sql.Identifier(name)
        await connection.execute(
            sql.SQL("update {} set {} = {} where {} is null").format(
                table_identifier(drop),
                column,
                sql.SQL("null") if types is None else passed(column, types),
                sql.Identifier(LINEAGE_COLUMN),
            )
        )


async def index_keys(
    connection: AsyncConnection[Any], drop: Drop, primary_key: Sequence[str]
) -> None:
    """An index by which an upsert finds the rows of its keys; it enforces nothing."""
    if not primary_key:
        return
    name = _index_name(str(drop.table_name), f"key {' '.join(primary_key)}")
    await connection.execute(
        sql.SQL("create index if not exists {} on {} ({})").format(
            sql.Identifier(name),
            table_identifier(drop),
            sql.SQL(", ").join(map(sql.Identifier, primary_key)),
        )
    )


def _actions(wanted: Reshape) -> list[sql.Composed]:
    # Types are of an allow-list's own spellings, never the user's text.
    drops = [sql.SQL("drop column {}").format(sql.Identifier(name)) for name in wanted.drop]
    types = [
        sql.SQL("alter column {name} type {type} using {name}::{type}").format(
            name=sql.Identifier(name), type=sql.SQL(canonical_type(kind))
        )
        for name, kind in wanted.retype
    ]
    nulls = [
        sql.SQL("alter column {} {} not null").format(sql.Identifier(name), sql.SQL(verb))
        for verb, names in (("drop", wanted.relax), ("set", wanted.tighten))
        for name in names
    ]
    adds = [sql.SQL("add column {}").format(_definition(name, has)) for name, has in wanted.add]
    return [*drops, *types, *nulls, *adds]


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
        _index_name(str(drop.table_name), "drop"),
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


def _index_name(table: str, purpose: str) -> str:
    """Within Postgres's 63 bytes, and no other table's."""
    digest = hashlib.sha256(f"{table} {purpose}".encode()).hexdigest()[:8]
    return f"{table[:40]}_{digest}_{purpose.split(maxsplit=1)[0]}"


def _definition(name: str, column: TableColumn) -> sql.Composed:
    if quotable_column(name) is None:
        raise ValueError(f"{name!r} is not a safe column name")
    kind = canonical_type(column.type)
    null = sql.SQL("") if column.nullable else sql.SQL(" not null")
    # The type is one of an allow-list's own spellings, never the user's text.
    return sql.SQL("{} {}{}").format(sql.Identifier(name), sql.SQL(kind), null)

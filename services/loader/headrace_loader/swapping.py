"""Puts the rows of a rebuilt table in the place of the live ones, in the rebuild's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection, sql

from headrace_loader import table
from headrace_loader.sqlstate import copy_errors
from headrace_shared.identifiers import LINEAGE_COLUMN

_REPLACE_ALL: Final[tuple[LiteralString, ...]] = (
    "truncate {live}",
    "insert into {live} ({columns}) select {columns} from rebuilt",
)

# Rows that both have stay, with what columns outside the contract hold and what refers to them.
# Some types have no equality, but each has a text.
_COMPARED: Final[LiteralString] = """
    with wanted as (
        select ctid as place, line, row_number() over (partition by line) as number
        from (select ctid, row({columns})::text as line from rebuilt) as one
    ), present as (
        select part, place, line, row_number() over (partition by line) as number
        from (select tableoid as part, ctid as place, row({columns})::text as line from {live})
            as one
    ){change}
    """
_DELETE_CHANGED: Final[LiteralString] = """
    delete from {live} as live using present where live.tableoid = part and live.ctid = place
        and not exists (select from wanted
            where wanted.line = present.line and wanted.number = present.number)
    """
_INSERT_CHANGED: Final[LiteralString] = """
    insert into {live} ({columns}) select {columns} from rebuilt where ctid in (
        select place from wanted where not exists (select from present
            where wanted.line = present.line and wanted.number = present.number))
    """
_REPLACE_CHANGED: Final[tuple[LiteralString, ...]] = tuple(
    _COMPARED.replace("{change}", change) for change in (_DELETE_CHANGED, _INSERT_CHANGED)
)


async def swap_rows(
    connection: AsyncConnection[Any], db_name: str, table_name: str, own: Sequence[str]
) -> None:
    """Gives the table the rows of `pg_temp.rebuilt`.

    Args:
        own: the columns of its contract.

    Raises:
        CopyRefusedError: the table refuses a row by a rule that is not in its contract.
    """
    found = await table.related(connection, db_name, table_name, own)
    columns = sql.SQL(", ").join(map(sql.Identifier, (*own, LINEAGE_COLUMN)))
    with copy_errors():
        for statement in _REPLACE_CHANGED if found.keeps_rows else _REPLACE_ALL:
            await connection.execute(
                sql.SQL(statement).format(live=sql.Identifier(db_name, table_name), columns=columns)
            )

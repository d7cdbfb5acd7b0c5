"""What the operations share: where they read, who asks, how they answer when they cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, cast
from uuid import UUID

from fastapi import Depends, Request

from headrace_api.authentication import require
from headrace_api.callers import Caller, Scope
from headrace_api.cursors import CursorError, Cursors
from headrace_api.log_store import DynamoDBLogStore
from headrace_api.parameters import DbName, TableName, table_place
from headrace_api.problems import Problem, invalid_parameter, not_found
from headrace_api.rows.known_tables import KnownTables
from headrace_api.rows.streaming import Downloads
from headrace_api.warehouse import PostgresReader


@dataclass(frozen=True, slots=True)
class Stores:
    """What the operations read from; kept in the application's state."""

    log: DynamoDBLogStore
    warehouse: PostgresReader
    cursors: Cursors
    downloads: Downloads = field(default_factory=Downloads)
    known_tables: KnownTables = field(default_factory=KnownTables)


async def stores(request: Request) -> Stores:
    """The stores of this process."""
    return cast("Stores", request.app.state.stores)


FromStores = Annotated[Stores, Depends(stores)]
Reader = Annotated[Caller, Depends(require(Scope.READ))]
"""The caller, who may read."""


async def seen_table(db_name: DbName, table_name: TableName, caller: Reader) -> tuple[str, str]:
    """The table that a path names.

    Raises:
        ApiError: no table can have this name, or the caller may not know of it: one answer.
    """
    place = table_place(db_name, table_name)
    if not caller.sees(*place):
        raise not_found(f"No contract was ever applied for {place[0]}.{place[1]}.")
    return place


SeenTable = Annotated[tuple[str, str], Depends(seen_table)]

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Problem, "description": "A parameter is not valid."},
    401: {"model": Problem, "description": "Who asks is not known."},
    403: {"model": Problem, "description": "The caller lacks the scope."},
    503: {"model": Problem, "description": "The log or the warehouse cannot be reached."},
}
MISSING: Final = {404: {"model": Problem, "description": "There is no such thing."}, **ANSWERS}


async def seen_tables(
    db_name: str | None, table_name: str | None, caller: Caller, warehouse: PostgresReader
) -> Sequence[tuple[str, str]] | None:
    """The tables asked for, of those that the caller sees: were the others read and left out, the
    gaps in the pages would tell how many drops they have. None: all drops, also of no table.

    A name without a database means that table in every database that has it, which the warehouse
    knows: the log has no index by table name alone.
    """
    if table_name is not None and db_name is not None:
        asked = [(db_name, table_name)]
    elif table_name is not None:
        asked = await warehouse.databases_with(table_name)
    elif caller.sees_everything:
        return None
    else:
        named = [(one.db_name, one.table_name) for one in caller.tables if one.names_one]
        asked = list(dict.fromkeys(named + await warehouse.known_tables()))
    return [table for table in asked if caller.sees(*table)]


def after(cursor: str | None, filters: Mapping[str, str | None], cursors: Cursors) -> UUID | None:
    """Where the page before ended; None: this is the first.

    Raises:
        ApiError: the cursor was not given for these filters.
    """
    if cursor is None:
        return None
    try:
        return cursors.read(cursor, filters)
    except CursorError:
        raise invalid_parameter(
            "cursor",
            "This cursor is not one that was given for these filters; repeat the question "
            "without it to begin again.",
        ) from None

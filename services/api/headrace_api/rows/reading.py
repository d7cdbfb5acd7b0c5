"""Reads rows on one connection of the warehouse: pages, and streams from a cursor of the server.

Raises ApiError where the question is at fault, or takes too long.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import psycopg
from psycopg import AsyncConnection, AsyncServerCursor, sql
from psycopg.rows import TupleRow

from headrace_api import problems
from headrace_api.problems import ApiError
from headrace_api.rows import query
from headrace_api.rows.access import OpenTable, open_table
from headrace_api.rows.query import Place, Query
from headrace_api.rows.question import Operator, RowQuestion, not_of_its_type

_MOST_PAGE_BYTES: Final = 8_000_000
"""A page of wide rows ends early: it is held in memory."""

_BATCH_BYTES: Final = 1_000_000
_ROWS_AT_A_TIME: Final = 100
_FIRST_BATCH_ROWS: Final = 50
_MOST_BATCH_ROWS: Final = 1_000

_CONTRACT: Final = sql.SQL(
    "select drop_id, contract from headrace.contracts where drop_id = ({})"
).format(query.IN_FORCE)
_NOT_AS_THE_CONTRACT_SAYS: Final = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.InsufficientPrivilege,
)


@dataclass(frozen=True, slots=True)
class RowsOfPage:
    """Rows as JSON objects, and where the next page begins; None: there is none."""

    rows: list[str]
    last: Place | None


class Rows:
    """Rows, read by a connection that commits by itself."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    async def table(self, place: tuple[str, str]) -> OpenTable | None:
        """What the contract in force opens.

        Raises:
            ApiError: (404) there is no contract.
        """
        try:
            values = {"db": place[0], "table": place[1]}
            cursor = await self._connection.execute(_CONTRACT, values)
            found = await cursor.fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            found = None  # no loader has ever started here
        if found is None:
            raise no_such_table(place)
        return open_table(place, *found)

    async def page(self, question: RowQuestion, after: Place | None, limit: int) -> RowsOfPage:
        """At most so many rows; fewer where they are wide, none where the question's contract is
        not the one in force."""
        asked = query.json_rows(question, after, limit + 1)
        rows: list[str] = []
        size, last, is_full = 0, None, False
        async with self._told_apart(question), self._connection.cursor() as cursor:
            found = cursor.stream(asked.statement, asked.values, size=_ROWS_AT_A_TIME)
            async with aclosing(cast("AsyncGenerator[TupleRow]", found)) as stream:
                async for row, *place in stream:
                    if size > _MOST_PAGE_BYTES:
                        return RowsOfPage(rows, last)
                    if len(rows) == limit:
                        # The one row that tells that there are more; it is the last to come.
                        is_full = True
                        continue
                    rows.append(row)
                    size += len(row)
                    last = tuple(place)
        return RowsOfPage(rows, last if is_full else None)

    @asynccontextmanager
    async def _told_apart(self, question: RowQuestion) -> AsyncIterator[None]:
        """Errors of Postgres that are about the question."""
        try:
            yield
        except psycopg.errors.QueryCanceled:
            raise too_slow(question) from None
        except psycopg.DataError:
            await self._name_the_fault(question)
            raise
        except _NOT_AS_THE_CONTRACT_SAYS:
            table = f"{question.table.db_name}.{question.table.table_name}"
            raise problems.not_found(
                f"The table {table} is not in the warehouse as its contract says, or the API may "
                "not read it. If a contract has just been applied, ask again."
            ) from None

    async def _name_the_fault(self, question: RowQuestion) -> None:
        """Raises ApiError for the first filter whose value Postgres cannot read."""
        for one in question.filters:
            if one.operator is Operator.NULL:
                continue
            asked = query.value_of(one)
            try:
                await self._connection.execute(asked.statement, asked.values)
            except psycopg.DataError as error:
                wanted = error.diag.message_primary or ""
                raise not_of_its_type(one.parameter, one.column, wanted) from None

    async def stream(
        self, question: RowQuestion, asked: Query, limit: int, seconds: float
    ) -> AsyncGenerator[list[TupleRow]]:
        """Every row, in batches of about a megabyte, of one moment: one snapshot, read-only.

        Args:
            limit: the most that the question may have, where it has no limit of its own.
            seconds: for all of it, however slowly it is taken.

        Raises:
            ApiError: also midway, when the time is over.
        """
        ends_at = time.monotonic() + seconds
        async with self._told_apart(question), self._connection.transaction():
            await self._take_at_most(seconds)
            if question.limit is None:
                await self._refuse_more_than(question, limit)
            async with AsyncServerCursor(self._connection, "rows") as cursor:
                await cursor.execute(asked.statement, asked.values)
                batch = await cursor.fetchmany(_FIRST_BATCH_ROWS)
                while batch:
                    yield batch
                    if time.monotonic() > ends_at:
                        raise too_slow(question)
                    batch = await cursor.fetchmany(_next_size(batch))

    async def _take_at_most(self, seconds: float) -> None:
        await self._connection.execute(
            "select set_config('statement_timeout', %s, true)", [str(round(seconds * 1000))]
        )

    async def _refuse_more_than(self, question: RowQuestion, limit: int) -> None:
        asked = query.beyond(question, limit)
        cursor = await self._connection.execute(asked.statement, asked.values)
        if await cursor.fetchone() is not None:
            raise problems.invalid_parameter(
                "limit",
                f"The question has more than {limit:,} rows, the most of one answer. Narrow it, "
                "take pages of application/json, or say with limit how many are enough.",
            )


def no_such_table(place: tuple[str, str]) -> ApiError:
    """Also the answer to who may not know of it."""
    return problems.not_found(
        f"No contract was ever applied for {place[0]}.{place[1]}. Drop one at "
        f"{place[0]}/schema/{place[1]}/contract.json."
    )


def too_slow(question: RowQuestion) -> ApiError:
    """The question, or who takes the answer."""
    return problems.timed_out(column.name for column in question.table.filters)


def _next_size(batch: list[TupleRow]) -> int:
    size = sum(len(cell) for row in batch for cell in row if cell is not None)
    return max(1, min(_MOST_BATCH_ROWS, 2 * len(batch), _BATCH_BYTES * len(batch) // (size + 1)))

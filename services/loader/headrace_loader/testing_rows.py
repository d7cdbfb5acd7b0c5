"""Runs the data tests of a contract on the staged rows of a drop, inside its transaction.

A test only reads, and nothing that it sets outlives it. One that Postgres cannot run, for what
the contract says, has failed; one that met a lost connection, a lock or a full disk says nothing
of the rows, and its error passes through.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql

from headrace_loader.row_tests import (
    RowTest,
    StagedRows,
    measure_statement,
    row_statement,
    sample_statement,
    user_select,
)
from headrace_loader.sqlstate import shortened
from headrace_loader.test_outcomes import SampleRow, TestOutcome, not_run, of_drop, of_rows
from headrace_shared.data_tests import DataTest, Freshness, Matches, RowCount, Sql

_CLASSES_OF_THE_TEST: Final = ("0A", "21", "22", "26", "2F", "38", "39", "3F", "42", "54", "P0")
_OF_THE_TEST: Final = (*_CLASSES_OF_THE_TEST, "25001", "25006", "55000")
"""Classes and codes of SQLSTATEs by which Postgres refuses what a test says or calls.
https://www.postgresql.org/docs/current/errcodes-appendix.html"""

_QUERY_CANCELED: Final = "57014"


async def run_tests(
    connection: AsyncConnection[Any],
    tests: Iterable[DataTest],
    tested: StagedRows,
    *,
    sample: int = 10,
    limit: int = 10_000,
    timeout_seconds: float = 30,
) -> tuple[TestOutcome, ...]:
    """How each test ends, in their order. Leaves the open transaction as it was.

    Args:
        connection: reads times without a zone as UTC.
        sample: how many failing rows of a test are told with their values.
        limit: how many line numbers of failing rows are told.
        timeout_seconds: how long a test that holds a program of its user may run: a select, or a
            regular expression.

    Raises:
        psycopg.Error: the server could not say, whatever the test.
    """
    runner = _Runner(connection, tested, sample, limit, timeout_seconds)
    return tuple([await runner.outcome(test) for test in tests])


@dataclass(frozen=True, slots=True)
class _Runner:
    connection: AsyncConnection[Any]
    tested: StagedRows
    sample: int
    limit: int
    timeout_seconds: float

    async def outcome(self, test: DataTest) -> TestOutcome:
        started_at, limited = time.monotonic(), isinstance(test, Sql | Matches)
        try:
            async with self._reading(limited=limited):
                if isinstance(test, RowCount | Freshness):
                    return await self._measured(test)
                return await self._by_row(test)
        except psycopg.Error as error:
            state = error.sqlstate or ""
            # Of the two that cancel, the time limit and an operator, only the first is the test's.
            late = limited and time.monotonic() - started_at >= self.timeout_seconds
            if state.startswith(_OF_THE_TEST) or (late and state == _QUERY_CANCELED):
                return not_run(test, error.diag.message_primary or str(error))
            raise

    @asynccontextmanager
    async def _reading(self, *, limited: bool) -> AsyncIterator[None]:
        """A savepoint in which nothing can be written, not even by what it sets itself; all that
        is set in it ends with it.

        https://www.postgresql.org/docs/current/sql-set-transaction.html
        """
        settings = {"transaction_read_only": "on"}
        if limited:
            settings["statement_timeout"] = f"{round(self.timeout_seconds * 1000)}ms"
        try:
            async with self.connection.transaction(force_rollback=True):
                for name, value in settings.items():
                    await self.connection.execute("select set_config(%s, %s, true)", [name, value])
                yield
        finally:
            # The one thing that a select can take and no rollback gives back. Locks of the
            # transaction, which the load holds, stay.
            if limited and not self.connection.closed:
                await self.connection.execute("select pg_advisory_unlock_all()")

    async def _measured(self, test: RowCount | Freshness) -> TestOutcome:
        [(passed, measured)] = await self._rows(measure_statement(test, self.tested))
        return of_drop(test, self.tested.drop, measured, passed=passed)

    async def _by_row(self, test: RowTest) -> TestOutcome:
        if isinstance(test, Sql):
            # Stands by itself as one select, so it cannot close the brackets that it is put in.
            await self._rows(
                sql.SQL("explain (costs off) {}").format(user_select(test, self.tested.staged))
            )
        [(failing_rows, lines)] = await self._rows(row_statement(test, self.tested, self.limit))
        return of_rows(test, failing_rows, lines, await self._sample(test.columns, lines))

    async def _sample(self, columns: Sequence[str], lines: Sequence[int]) -> list[SampleRow]:
        if not columns or not lines:
            return []
        rows = await self._rows(sample_statement(columns, lines[: self.sample], self.tested))
        return [
            SampleRow(line, tuple(None if text is None else shortened(text) for text in values))
            for line, *values in rows
        ]

    async def _rows(self, statement: sql.Composed) -> list[tuple[Any, ...]]:
        # A binary answer takes the extended protocol, where one message is one statement; without
        # parameters a per cent sign in it is nothing special.
        # https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
        cursor = await self.connection.execute(statement, prepare=False, binary=True)
        return await cursor.fetchall()

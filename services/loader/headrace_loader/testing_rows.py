"""Runs the data tests of a contract on the staged rows of a drop, inside its transaction.

A test only reads, and nothing that it sets outlives it. One that Postgres cannot run, for what
the contract says, has failed; one that met a lost connection, a lock or a full disk says nothing
of the rows, and its error passes through. All tests of a drop share one time limit.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql

from headrace_loader.confined_tests import REFERENCED, ConfinedTest, ForbiddenSqlError
from headrace_loader.row_tests import (
    StagedRows,
    measure_statement,
    referenced_table,
    row_statement,
    sample_statement,
    user_select,
)
from headrace_loader.sqlstate import shortened
from headrace_loader.test_faults import (
    IN_OTHER_DATABASE,
    OUT_OF_TIME,
    SQL_TESTS_OFF,
    fault_of,
    is_of_the_test,
)
from headrace_loader.test_outcomes import SampleRow, TestOutcome, not_run, of_drop, of_rows
from headrace_shared.data_tests import (
    DataTest,
    Freshness,
    References,
    RowCount,
    Severity,
    Sql,
)
from headrace_shared.drop import Drop
from headrace_shared.errors import HeadraceError, OutOfTimeError
from headrace_shared.reasons import Reason
from headrace_shared.settings import ANY_DATABASE

TESTS_TIMED_OUT: Final = "tests_timed_out"
"""The reason code of a drop whose tests did not end in time."""

_QUERY_CANCELED: Final = "57014"
_INSUFFICIENT_PRIVILEGE: Final = "42501"


@dataclass(frozen=True, slots=True)
class TestRules:
    """How tests are run.

    Args:
        timeout_seconds: how long all tests of a drop may take together.
        without_sql: the databases whose `sql` tests are not run; `*` among them is any.
    """

    __test__ = False

    timeout_seconds: float = 60
    without_sql: frozenset[str] = frozenset()

    def lets_sql_run(self, db_name: str | None) -> bool:
        """Whether `sql` tests of this database are run."""
        return not self.without_sql & {ANY_DATABASE, db_name}


DEFAULT_RULES: Final = TestRules()


class TestsTimedOutError(OutOfTimeError):
    """The tests of a drop took longer than they may. A test of severity `error` did not finish,
    so nothing is known of the rows: the drop is tried again a few times, then it is rejected.

    Args:
        table: as `db_name.table_name`.
        label: the test that was running, or could not begin.
    """

    __test__ = False

    def __init__(self, table: str, label: str, seconds: float) -> None:
        message = (
            f"The tests of {table} take longer than the {seconds:g} seconds that all tests of a "
            f"drop may take together; the time was over at {label}."
        )
        remedy = (
            "Make the test cheaper, or raise HEADRACE_TESTS_TIMEOUT_SECONDS, and replay the drop "
            "if it was rejected."
        )
        reason = Reason(code=TESTS_TIMED_OUT, message=message, remedy=remedy)
        super().__init__(message, reason=reason)
        self.table = table


async def run_tests(
    connection: AsyncConnection[Any],
    tests: Iterable[DataTest],
    tested: StagedRows,
    *,
    sample: int = 10,
    limit: int = 10_000,
    rules: TestRules = DEFAULT_RULES,
) -> tuple[TestOutcome, ...]:
    """The outcome of each test, in their order. Leaves the open transaction as it was.

    A test of severity `warn` for which no time is left has failed.

    Args:
        connection: reads times without a zone as UTC.
        sample: how many failing rows of a test are reported with their values.
        limit: how many line numbers of failing rows are reported.

    Raises:
        TestsTimedOutError: the time was over before a test of severity `error` had its outcome.
        TransientError: the role as which users' tests run is missing.
        psycopg.Error: the server could not run a test, whatever the test.
    """
    runner = _Runner(connection, tested, sample, limit, rules)
    return tuple([await runner.outcome(test) for test in tests])


def forbidden_test(test: DataTest, drop: Drop, rules: TestRules) -> str | None:
    """Why a test of a drop's contract is not run, whatever the rows are; None where it is."""
    if isinstance(test, Sql) and not rules.lets_sql_run(drop.db_name):
        return SQL_TESTS_OFF
    if isinstance(test, References) and test.references.table.split(".")[0] != drop.db_name:
        return IN_OTHER_DATABASE
    return None


class _TimeIsOverError(HeadraceError):
    """There is no time left in which a test could run."""


@dataclass(frozen=True, slots=True)
class _Runner:
    connection: AsyncConnection[Any]
    tested: StagedRows
    sample: int
    limit: int
    rules: TestRules
    started_at: float = field(default_factory=time.monotonic)

    async def outcome(self, test: DataTest) -> TestOutcome:
        if (why := forbidden_test(test, self.tested.drop, self.rules)) is not None:
            return not_run(test, why)
        try:
            return await self._outcome(test)
        except ForbiddenSqlError as forbidden:
            return not_run(test, str(forbidden), _INSUFFICIENT_PRIVILEGE)
        except _TimeIsOverError:
            return self._out_of_time(test)
        except psycopg.Error as error:
            state = error.sqlstate or ""
            # Of the two that cancel, the time limit and an operator, only the first is the test's.
            if state == _QUERY_CANCELED and self._seconds_left() <= 0:
                return self._out_of_time(test)
            if is_of_the_test(state):
                return not_run(test, fault_of(state), state)
            raise

    def _out_of_time(self, test: DataTest) -> TestOutcome:
        if test.severity is Severity.ERROR:
            table, seconds = self.tested.drop.table, self.rules.timeout_seconds
            raise TestsTimedOutError(table, test.label, seconds) from None
        return not_run(test, OUT_OF_TIME, _QUERY_CANCELED)

    async def _outcome(self, test: DataTest) -> TestOutcome:
        match test:
            case RowCount() | Freshness():
                return await self._measured(test)
            case Sql() | References():
                failing_rows, lines = await self._confined(test)
            case _:
                statement = row_statement(test, self.tested, self.limit)
                [(failing_rows, lines)] = await self._rows(statement)
        return of_rows(test, failing_rows, lines, await self._sample(test.columns, lines))

    async def _confined(self, test: Sql | References) -> tuple[Any, ...]:
        place = ConfinedTest(self.connection, self.tested.staged)
        async with self._limited():
            if isinstance(test, Sql):
                statement = row_statement(test, self.tested, self.limit)
                return await place.select(user_select(test, self.tested.staged), statement)
            seen = replace(self.tested, referenced=REFERENCED)
            statement = row_statement(test, seen, self.limit)
            return await place.reference(referenced_table(test), test.references.to, statement)

    async def _measured(self, test: RowCount | Freshness) -> TestOutcome:
        [(passed, measured)] = await self._rows(measure_statement(test, self.tested))
        return of_drop(test, self.tested.drop, measured, passed=passed)

    async def _sample(self, columns: Sequence[str], lines: Sequence[int]) -> list[SampleRow]:
        if not columns or not lines:
            return []
        rows = await self._rows(sample_statement(columns, lines[: self.sample], self.tested))
        return [
            SampleRow(line, tuple(None if text is None else shortened(text) for text in values))
            for line, *values in rows
        ]

    async def _rows(self, statement: sql.Composed) -> list[tuple[Any, ...]]:
        """The answer to a statement of our own, which can write nothing."""
        async with self._limited():
            await self.connection.execute("set local transaction_read_only = on")
            # Without parameters a per cent sign in it is nothing special.
            cursor = await self.connection.execute(statement, prepare=False, binary=True)
            return await cursor.fetchall()

    @asynccontextmanager
    async def _limited(self) -> AsyncIterator[None]:
        """A savepoint with the time that is left; all that is set or made in it ends with it."""
        if (left := self._seconds_left()) <= 0:
            raise _TimeIsOverError
        async with self.connection.transaction(force_rollback=True):
            await self.connection.execute(
                "select set_config('statement_timeout', %s, true)",
                [f"{ceil(left * 1000)}ms"],
            )
            yield

    def _seconds_left(self) -> float:
        return self.started_at + self.rules.timeout_seconds - time.monotonic()

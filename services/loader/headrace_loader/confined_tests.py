"""Runs one statement of a data test as a role that may read the staged rows and nothing else.

Two walls, each of which holds without the other. The statement becomes a view of the tests' role,
and what Postgres's parser made of it is looked at before any of it runs (`permitted_sql`). Then a
function of that role runs the view: within a SECURITY DEFINER function no statement can change
its role, so the role's rights are all that it has.
https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from psycopg import AsyncConnection, sql

from headrace_loader import tests_role
from headrace_loader.permitted_sql import CALLABLE, NO_TYPES, uses
from headrace_shared.errors import HeadraceError
from headrace_shared.warehouse_access import TESTS_ROLE

REFERENCED: Final = sql.Identifier("pg_temp", "referenced")
"""The named columns of the one table that a `references` test may look into."""

_TESTED: Final = sql.Identifier("pg_temp", "tested")
_ROLE: Final = sql.Identifier(TESTS_ROLE)

_TEMPORARY_FILES: Final = "4GB"
"""What a statement may write to the server's disk while it runs, where the loader may set it:
sorts and joins without end would fill the disk of everybody."""

_LIMIT_FILES: Final = (
    "select set_config('temp_file_limit', %s, true) "
    "where has_parameter_privilege('temp_file_limit', 'set')"
)

_NOT_CALLABLE: Final = """
    select 'it calls ' || proname || ', which no test may call' from pg_catalog.pg_proc as called
    where oid = any(%(functions)s) and not (
        pronamespace = 'pg_catalog'::regnamespace and provolatile <> 'v' and (
            prokind in ('a', 'w') or proname = any(%(callable)s)
            or exists (select from pg_catalog.pg_operator where oprcode = called.oid)
            or exists (select from pg_catalog.pg_cast where castfunc = called.oid)))
    union all
    select 'it uses the type ' || typname || ', which no test may use' from pg_catalog.pg_type
    where oid = any(%(types)s) and ltrim(typname, '_') = any(%(no_types)s)
    order by 1 limit 1
    """


class ForbiddenSqlError(HeadraceError):
    """A user's select uses what no test may use. The message is the end of a sentence."""


@dataclass(frozen=True, slots=True)
class ConfinedTest:
    """A place for one statement over the rows of `staged`, inside a savepoint that is rolled back:
    nothing that is made here outlives it."""

    connection: AsyncConnection[Any]
    staged: sql.Identifier

    async def select(self, user_select: sql.Composed, statement: sql.Composed) -> tuple[Any, ...]:
        """The one row of a statement that has a user's select in it.

        Args:
            user_select: the select by itself, which has to be one whole statement: so it cannot
                close the brackets that it is put in.

        Raises:
            ForbiddenSqlError: it uses what no test may use.
        """
        async with self._as_role():
            await self._refuse_parts(user_select)
            await self._make_view(statement)
            await self._refuse_forbidden()
            return await self._run()

    async def reference(
        self, table: sql.Identifier, columns: Sequence[str], statement: sql.Composed
    ) -> tuple[Any, ...]:
        """The one row of a statement of our own over `staged` and REFERENCED, which is made of
        these columns of a table."""
        names = sql.SQL(", ").join(map(sql.Identifier, dict.fromkeys(columns)))
        # A view reads its table with the rights of the view's owner: the tests' role itself is
        # given none on the table, and the table's own entry in the catalog is not written.
        await self._execute(
            sql.SQL("create temporary view {} as select {} from {}").format(
                sql.Identifier("referenced"), names, table
            )
        )
        await self._grant(REFERENCED)
        async with self._as_role():
            await self._make_view(statement)
            return await self._run()

    @asynccontextmanager
    async def _as_role(self) -> AsyncIterator[None]:
        await tests_role.require(self.connection)
        await self.connection.execute(_LIMIT_FILES, [_TEMPORARY_FILES])
        await self._grant(self.staged)
        await self._execute(sql.SQL("set local role {}").format(_ROLE))
        await self._execute(sql.SQL("set local search_path = pg_catalog, pg_temp"))
        yield

    async def _grant(self, relation: sql.Identifier) -> None:
        await self._execute(sql.SQL("grant select on {} to {}").format(relation, _ROLE))

    async def _refuse_parts(self, user_select: sql.Composed) -> None:
        # PREPARE parses, and neither plans nor runs: not even what a planner would compute.
        name = sql.Identifier(f"test {uuid4()}")
        await self._execute(sql.SQL("prepare {} as {}").format(name, user_select))
        await self._execute(sql.SQL("deallocate {}").format(name))

    async def _make_view(self, statement: sql.Composed) -> None:
        await self._execute(
            sql.SQL("create temporary view {} (failing_rows, lines) as {}").format(
                sql.Identifier("tested"), statement
            )
        )

    async def _refuse_forbidden(self) -> None:
        cursor = await self.connection.execute(
            "select ev_action::text, staged.oid::bigint, staged.reltype::bigint "
            "from pg_catalog.pg_rewrite, pg_catalog.pg_class as staged "
            "where ev_class = %s::regclass and staged.oid = %s::regclass",
            [_TESTED.as_string(), self.staged.as_string()],
        )
        row = await cursor.fetchone()
        assert row is not None
        tree, *rows = row
        used = uses(tree, rows)
        if used.objection is not None:
            raise ForbiddenSqlError(used.objection)
        cursor = await self.connection.execute(
            _NOT_CALLABLE,
            {
                "functions": list(used.functions),
                "types": list(used.types),
                "callable": list(CALLABLE),
                "no_types": list(NO_TYPES),
            },
        )
        if objection := await cursor.fetchone():
            raise ForbiddenSqlError(objection[0])

    async def _run(self) -> tuple[Any, ...]:
        await self._execute(
            sql.SQL(
                "create function pg_temp.tested() returns table (failing_rows bigint, "
                "lines bigint[]) language sql stable security definer "
                "as 'select failing_rows, lines from pg_temp.tested'"
            )
        )
        await self._execute(sql.SQL("set local transaction_read_only = on"))
        cursor = await self._execute(sql.SQL("select * from pg_temp.tested()"))
        row = await cursor.fetchone()
        assert row is not None
        return tuple(row)

    async def _execute(self, statement: sql.Composable) -> Any:
        # A binary answer takes the extended protocol, where one message is one statement; without
        # parameters a per cent sign in it is nothing special.
        # https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
        whole = sql.Composed([statement])
        return await self.connection.execute(whole, prepare=False, binary=True)

"""The role of the database as which tests run that look beyond our own statements: it owns
nothing, may nothing, and is handed what a test may read for as long as the test runs.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql

from headrace_shared.errors import TransientError
from headrace_shared.logging import get_logger
from headrace_shared.reasons import Reason
from headrace_shared.warehouse_access import TESTS_ROLE

_log = get_logger(__name__)

_ROLE: Final = sql.Identifier(TESTS_ROLE)

_WEAKER: Final = sql.SQL(
    "alter role {} nosuperuser nobypassrls noreplication nocreaterole;"
).format(_ROLE)

# https://www.postgresql.org/docs/current/role-membership.html
_STATE: Final = """
    select tests.oid is not null,
        coalesce(pg_has_role(current_user, tests.oid, 'set'), false),
        tests.rolsuper or tests.rolbypassrls or tests.rolreplication or tests.rolcreaterole,
        array(select roleid::regrole::text from pg_catalog.pg_auth_members
            where member = tests.oid),
        coalesce(has_database_privilege(tests.oid, current_database(), 'temporary'), false),
        me.rolcreaterole or me.rolsuper,
        current_user, current_database()
    from pg_catalog.pg_roles as me
    left join pg_catalog.pg_roles as tests on tests.rolname = %s
    where me.rolname = current_user
    """


class TestsRoleMissingError(TransientError):
    """The role is not there, or is not as it has to be: drops wait until an administrator has
    run the statements that the reason names."""

    __test__ = False

    def __init__(self, statements: str) -> None:
        message = f"the database has no role {TESTS_ROLE} as which the loader may run tests"
        reason = Reason(
            code="warehouse_needs_attention",
            message=f"{message[0].upper()}{message[1:]}.",
            remedy=f"Run this in the warehouse's database, as a role that may create roles: "
            f"{statements} Headrace tries again by itself.",
        )
        super().__init__(message, reason=reason)


async def make(connection: AsyncConnection[Any]) -> None:
    """Makes the role where the connection's own role may; else logs what has to be run. Drops
    without tests that need the role do not depend on it."""
    missing = await missing_statements(connection, make_where_allowed=True)
    if missing:
        _log.warning("role.missed", role=TESTS_ROLE, run=missing)


async def require(connection: AsyncConnection[Any]) -> None:
    """Raises where tests cannot run as the role.

    Raises:
        TestsRoleMissingError: with the statements that have to be run.
    """
    missing = await missing_statements(connection)
    if missing:
        raise TestsRoleMissingError(missing)


async def missing_statements(
    connection: AsyncConnection[Any], *, make_where_allowed: bool = False
) -> str:
    """What has to be run before tests can run as the role; empty for nothing.

    Args:
        make_where_allowed: runs it, if this connection's role may create roles.
    """
    exists, member, strong, roles, temporary, may_create, me, database = await _state(connection)
    statements = [
        *([] if exists else [sql.SQL("create role {} nologin noinherit;").format(_ROLE)]),
        *([_WEAKER] if strong else []),
        *(sql.SQL("revoke {} from {};").format(sql.SQL(role), _ROLE) for role in roles),
        *([] if member else [membership(me)]),
        *([] if temporary or not exists else [_temporary(database)]),
    ]
    if statements and make_where_allowed and may_create:
        return await _made(connection, statements)
    return _text(connection, statements)


def membership(of: str) -> sql.Composed:
    """The statement that lets a role act as the tests' role, and inherit nothing from it."""
    return sql.SQL("grant {} to {} with set true, inherit false;").format(_ROLE, sql.Identifier(of))


async def _state(connection: AsyncConnection[Any]) -> tuple[Any, ...]:
    cursor = await connection.execute(_STATE, [TESTS_ROLE])
    row = await cursor.fetchone()
    assert row is not None
    return tuple(row)


async def _made(connection: AsyncConnection[Any], statements: list[sql.Composed]) -> str:
    try:
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return _text(connection, statements)
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        # Another loader of the server made it at the same moment.
        return _text(connection, statements[1:])
    _log.info("role.made", role=TESTS_ROLE)
    return ""


def _temporary(database: str) -> sql.Composed:
    return sql.SQL("grant temporary on database {} to {};").format(sql.Identifier(database), _ROLE)


def _text(connection: AsyncConnection[Any], statements: list[sql.Composed]) -> str:
    return " ".join(statement.as_string(connection) for statement in statements)

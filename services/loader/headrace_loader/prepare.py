"""Makes the role of the services in a new warehouse: `python -m headrace_loader.prepare`.

A task of its own, run once as an administrator of the database, who need not be a superuser, and
again when the role's password has changed. What is there already stays. Exit status 0 when the role
is as it has to be, 1 when not, with the reason on the standard error.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import Field

from headrace_loader.sqlstate import warehouse_errors
from headrace_loader.tests_role import membership
from headrace_shared.aws import AwsClients
from headrace_shared.errors import HeadraceError
from headrace_shared.logging import configure
from headrace_shared.settings import WarehouseSettings, load_settings
from headrace_shared.warehouse_access import KEEPALIVES, TESTS_ROLE, WarehouseAccess

_CONNECT_SECONDS: Final = 30

_EXISTS: Final = "select from pg_catalog.pg_roles where rolname = %s"


class PreparationError(HeadraceError):
    """The secrets do not name two users."""


class PrepareSettings(WarehouseSettings):
    """Read once at the start. The warehouse's secret is that of the role which is made."""

    admin_secret: str = Field(
        min_length=1,
        description="Name or ARN of the secret of a user who may create roles and owns the "
        "database, as RDS writes it.",
    )


def main() -> int:
    """Makes the role that the warehouse's secret names."""
    settings = load_settings(PrepareSettings)
    configure("loader", settings)
    try:
        role = asyncio.run(_prepare(settings))
    except HeadraceError as error:
        sys.stderr.write(f"prepare: {error}\n")
        return 1
    sys.stdout.write(f"the role {role} may load the warehouse\n")
    return 0


async def _prepare(settings: PrepareSettings) -> str:
    async with AsyncExitStack() as stack:
        client = await AwsClients(stack, connections=1).open("secretsmanager")
        dsn, authorities = settings.warehouse_dsn, settings.warehouse_ca_file
        admin = WarehouseAccess(dsn, settings.admin_secret, client, authorities)
        role = WarehouseAccess(dsn, settings.warehouse_secret, client, authorities)
        known = conninfo_to_dict(dsn) | await admin.parameters()
        return await make_role(admin.trusting(known), await role.parameters())


async def make_role(admin: Mapping[str, Any], role: Mapping[str, str]) -> str:
    """Makes the role, or gives it its password, and lets it act as the role of users' tests; what
    it is called.

    Args:
        admin: libpq's parameters of the administrator's connection.
        role: user and password of the services.

    Raises:
        PreparationError: both are the same user, whose password would be changed.
        TransientError: the server cannot be reached, or refuses.
    """
    name = role["user"]
    if name == admin["user"]:
        raise PreparationError(
            f"HEADRACE_ADMIN_SECRET and HEADRACE_WAREHOUSE_SECRET both name the user {name}: the "
            "services need a role of their own"
        )
    limits = {"connect_timeout": _CONNECT_SECONDS, **KEEPALIVES}
    with warehouse_errors("making the role of the services"):
        conninfo = make_conninfo("", **(limits | dict(admin)))
        async with await AsyncConnection.connect(conninfo) as connection:
            for statement in await _statements(connection, name, role["password"]):
                await connection.execute(statement)
    return name


async def _statements(
    connection: AsyncConnection[Any], name: str, password: str
) -> list[sql.Composed]:
    is_there = await _has_role(connection, name)
    verb = sql.SQL("alter role" if is_there else "create role")
    tests = sql.Identifier(TESTS_ROLE)
    # The server's log may have statements: this one has no password, only what verifies it.
    # https://www.postgresql.org/docs/current/libpq-misc.html#LIBPQ-PQENCRYPTPASSWORDCONN
    verifier = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    )
    role = sql.Identifier(name)
    database = sql.Identifier(connection.info.dbname)
    return [
        sql.SQL("{} {} with login password {}").format(verb, role, sql.Literal(verifier.decode())),
        sql.SQL("grant connect, create, temporary on database {} to {}").format(database, role),
        *(
            []
            if await _has_role(connection, TESTS_ROLE)
            else [sql.SQL("create role {} nologin noinherit").format(tests)]
        ),
        sql.SQL("grant temporary on database {} to {}").format(database, tests),
        membership(name),
    ]


async def _has_role(connection: AsyncConnection[Any], name: str) -> bool:
    found = await connection.execute(_EXISTS, [name])
    return found.rowcount > 0


if __name__ == "__main__":
    sys.exit(main())

"""Makes the roles that Headrace works as: `python -m headrace_loader.warehouse_roles`.

Run once by an administrator, and again after a change of the role's password. The loader's own
settings say which role it is (the username and password of HEADRACE_WAREHOUSE_SECRET or _DSN);
HEADRACE_ADMIN_SECRET or HEADRACE_ADMIN_DSN is who makes it, on RDS and Aurora the master user.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import Field

from headrace_loader.sqlstate import warehouse_errors
from headrace_loader.tests_role import membership
from headrace_shared.aws import AwsClients
from headrace_shared.errors import HeadraceError
from headrace_shared.logging import configure
from headrace_shared.settings import WarehouseSettings, load_settings
from headrace_shared.warehouse_access import TESTS_ROLE, WarehouseAccess

_CONNECT_SECONDS: Final = 10


class RolesSettings(WarehouseSettings):
    """Read once at the start."""

    admin_dsn: str = Field("", description="Postgres connection string of who makes the role.")
    admin_secret: str = Field(
        "",
        description="Name or ARN of the Secrets Manager secret of who makes the role; what it "
        "says wins over the DSN.",
    )


class RolesError(HeadraceError):
    """The roles cannot be made."""


def main() -> int:
    """Makes the roles that the settings name."""
    settings = load_settings(RolesSettings)
    configure("loader", settings)
    try:
        role = asyncio.run(_made(settings))
    except HeadraceError as error:
        sys.stderr.write(f"warehouse_roles: {error}\n")
        return 1
    sys.stdout.write(f"the roles {role} and {TESTS_ROLE} are as Headrace needs them\n")
    return 0


async def _made(settings: RolesSettings) -> str:
    async with AsyncExitStack() as stack:
        clients = AwsClients(stack, connections=1)
        own = await _conninfo(await WarehouseAccess.open(settings, clients))
        of_admin = settings.model_copy(
            update={
                "warehouse_dsn": settings.admin_dsn or settings.warehouse_dsn,
                "warehouse_secret": settings.admin_secret,
            }
        )
        admin = await _conninfo(await WarehouseAccess.open(of_admin, clients))
    role, password = own.get("user"), own.get("password")
    if not role or not password or role == admin.get("user"):
        raise RolesError(
            "name the role with its password in HEADRACE_WAREHOUSE_SECRET or "
            "HEADRACE_WAREHOUSE_DSN, and another role, which makes it, in HEADRACE_ADMIN_SECRET or "
            "HEADRACE_ADMIN_DSN"
        )
    with warehouse_errors("making the roles"):
        admin |= {"dbname": own.get("dbname"), "connect_timeout": _CONNECT_SECONDS}
        async with await AsyncConnection.connect(make_conninfo("", **admin)) as connection:
            await make_roles(connection, str(role), str(password))
    return str(role)


async def _conninfo(access: WarehouseAccess) -> dict[str, Any]:
    return dict(access.trusting(conninfo_to_dict(access.dsn, **await access.parameters())))


async def make_roles(connection: AsyncConnection[Any], role: str, password: str) -> None:
    """Makes the loader's role and the tests' role, or gives them what they lack.

    Args:
        connection: of a role that may create roles, in the warehouse's database.
    """
    database = sql.Identifier(connection.info.dbname)
    name, tests = sql.Identifier(role), sql.Identifier(TESTS_ROLE)
    # What the server is sent, and may log, is no password.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    await _make(connection, role, sql.SQL("login"))
    await _make(connection, TESTS_ROLE, sql.SQL("nologin noinherit"))
    for statement in (
        sql.SQL("alter role {} with login password {}").format(name, sql.Literal(verifier)),
        sql.SQL("grant connect, create, temporary on database {} to {}").format(database, name),
        sql.SQL("grant temporary on database {} to {}").format(database, tests),
        membership(role),
    ):
        await connection.execute(statement)
    try:
        async with connection.transaction():
            await connection.execute(
                sql.SQL("grant set on parameter temp_file_limit to {}").format(name)
            )
    except psycopg.errors.InsufficientPrivilege:
        sys.stderr.write(
            "warehouse_roles: this role may not grant temp_file_limit: the temporary files of "
            "tests stay unlimited, unless the server's own settings limit them\n"
        )


async def _make(connection: AsyncConnection[Any], role: str, options: sql.SQL) -> None:
    cursor = await connection.execute("select from pg_catalog.pg_roles where rolname = %s", [role])
    if not cursor.rowcount:
        await connection.execute(sql.SQL("create role {} {}").format(sql.Identifier(role), options))


if __name__ == "__main__":
    sys.exit(main())

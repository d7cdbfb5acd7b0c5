"""The role of the services is made once, by an administrator who is no superuser, as on RDS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.prepare import PreparationError, make_role
from headrace_loader.tests_role import missing_statements
from headrace_shared.errors import TransientError
from headrace_shared.warehouse_access import WarehouseAccess
from tests.real_parts import AwsStack, postgres_at
from tests.running_platform import eventually

pytestmark = pytest.mark.integration

ADMIN = {"user": "administrator", "password": "of the administrator"}
PREPARE = [sys.executable, "-m", "headrace_loader.prepare"]


@dataclass
class Server:
    """A server with a database that its administrator owns."""

    dsn: str
    folder: Path
    superuser: psycopg.Connection[Any]

    @property
    def as_admin(self) -> dict[str, Any]:
        return conninfo_to_dict(self.dsn) | ADMIN

    def role(self, name: str) -> tuple[Any, ...] | None:
        """Whether it is a superuser, may create roles, log in, and how its password is kept."""
        return self.superuser.execute(
            "select rolsuper, rolcreaterole, rolcanlogin, split_part(rolpassword, '$', 1) "
            "from pg_authid where rolname = %s",
            [name],
        ).fetchone()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_at(None) as (cluster, port):
        rules = cluster.server.pgdata / "pg_hba.conf"
        rules.write_text("host all postgres 127.0.0.1/32 trust\n" + rules.read_text())
        process = int((cluster.server.pgdata / "postmaster.pid").read_text().split()[0])
        os.kill(process, signal.SIGHUP)
        root = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        eventually(lambda: _opens(root), "the superuser is let in")
        with psycopg.connect(root, autocommit=True) as superuser:
            superuser.execute(
                "create role administrator login createrole password 'of the administrator'"
            )
            # Made by the local platform; on RDS the administrator makes it.
            superuser.execute("drop owned by headrace_tests")
            superuser.execute("drop role headrace_tests")
            superuser.execute("create database prepared owner administrator")
            # As the parameter group of an Aurora has it.
            superuser.execute("alter system set log_statement = 'ddl'")
            superuser.execute("select pg_reload_conf()")
            folder = cluster.server.pgdata.parent
            yield Server(f"host=127.0.0.1 port={port} dbname=prepared", folder, superuser)


@pytest.fixture
def role() -> dict[str, str]:
    return {"user": f"loads {uuid4().hex[:8]}", "password": "first"}


def _opens(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


async def test_prepared_role_may_load(server: Server, role: dict[str, str]) -> None:
    assert await make_role(server.as_admin, role) == role["user"]
    access = WarehouseAccess(make_conninfo(server.dsn, **role))
    async with (
        PostgresWarehouse.open(access, connections=2, lock_timeout_seconds=5) as warehouse,
        warehouse.connection() as connection,
    ):
        await connection.execute("create schema dev create table users (id bigint)")
        found = await connection.execute("select count(*) from dev.users")
        assert await found.fetchone() == (0,)
        await connection.rollback()


async def test_prepared_role_may_run_users_tests(server: Server, role: dict[str, str]) -> None:
    await make_role(server.as_admin, role)
    async with await AsyncConnection.connect(make_conninfo(server.dsn, **role)) as connection:
        assert await missing_statements(connection) == ""


async def test_prepared_role_is_no_administrator(server: Server, role: dict[str, str]) -> None:
    await make_role(server.as_admin, role)
    assert server.role(role["user"]) == (False, False, True, "SCRAM-SHA-256")


async def test_log_of_the_server_has_no_password(server: Server, role: dict[str, str]) -> None:
    role["password"] = f"secret {uuid4()}"
    await make_role(server.as_admin, role)
    logged = "".join(path.read_text() for path in server.folder.glob("*.log"))
    assert f'create role "{role["user"]}" with login password \'SCRAM-SHA-256$' in logged
    assert role["password"] not in logged


async def test_second_preparation_changes_the_password(
    server: Server, role: dict[str, str]
) -> None:
    await make_role(server.as_admin, role)
    await make_role(server.as_admin, role | {"password": "second"})
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(make_conninfo(server.dsn, **role))
    psycopg.connect(server.dsn, user=role["user"], password="second").close()


async def test_administrator_is_no_role_of_the_services(server: Server) -> None:
    with pytest.raises(PreparationError, match="both name the user administrator"):
        await make_role(server.as_admin, ADMIN | {"password": "another"})
    psycopg.connect(make_conninfo(server.dsn, **ADMIN)).close()


async def test_server_that_lets_nobody_in_is_reported(server: Server, role: dict[str, str]) -> None:
    with pytest.raises(TransientError, match="making the role of the services"):
        await make_role(server.as_admin | {"password": "wrong"}, role)
    assert server.role(role["user"]) is None


def test_command_reads_both_secrets(
    server: Server, role: dict[str, str], aws_stack: AwsStack
) -> None:
    client: Any = boto3.client("secretsmanager", endpoint_url=aws_stack.endpoint_url)
    names = {"ADMIN": f"admin-{uuid4().hex[:8]}", "WAREHOUSE": f"role-{uuid4().hex[:8]}"}
    for name, login in ((names["ADMIN"], ADMIN), (names["WAREHOUSE"], role)):
        value = {"username": login["user"], "password": login["password"]}
        client.create_secret(Name=name, SecretString=json.dumps(value))
    told = {f"HEADRACE_{whose}_SECRET": name for whose, name in names.items()}
    done = _command(server, aws_stack, told)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"the role {role['user']} may load the warehouse\n"
    psycopg.connect(make_conninfo(server.dsn, **role)).close()


def test_command_says_which_secret_is_missing(server: Server, aws_stack: AwsStack) -> None:
    told = {"HEADRACE_ADMIN_SECRET": "nowhere", "HEADRACE_WAREHOUSE_SECRET": "nowhere"}
    done = _command(server, aws_stack, told)
    assert done.returncode == 1
    assert done.stderr.startswith("prepare: The warehouse's secret nowhere cannot be read")


def _command(
    server: Server, aws_stack: AwsStack, told: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "HEADRACE_WAREHOUSE_DSN": server.dsn,
        "AWS_ENDPOINT_URL": aws_stack.endpoint_url,
        **told,
    }
    return subprocess.run(
        PREPARE, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

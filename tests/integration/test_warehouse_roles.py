"""Which roles work on the warehouse: none is a superuser, and each can be made without one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import AsyncConnection

from headrace_api.connections import refuse_superuser
from headrace_loader import tests_role
from headrace_loader.lake_mark import LakeMark
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.testing_rows import TestRules as Rules
from headrace_local.ports import free_port
from headrace_shared.warehouse_access import (
    TESTS_ROLE,
    OtherLakeError,
    SuperuserRefusedError,
    WarehouseAccess,
)
from headrace_verifier.ledger import Ledger
from tests.staged_drop import StagedDrop, by_sql, on

pytestmark = pytest.mark.integration


@pytest.fixture
def admin_dsn(warehouse_dsn: str) -> str:
    """The server's superuser, in the database of this test."""
    place = urlsplit(warehouse_dsn)
    return place._replace(netloc=f"postgres@{place.hostname}:{place.port}").geturl()


@pytest.fixture
def plain_dsn(admin_dsn: str, warehouse_dsn: str) -> Iterator[str]:
    """Another role that may create roles and has no part in the tests' role, as an operator's own
    server may have it."""
    place = urlsplit(warehouse_dsn)
    name = f"plain_{place.path.removeprefix('/')}"
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(f"create role {name} login createrole password 'p'".encode())
        admin.execute(f"grant create on database {place.path.removeprefix('/')} to {name}".encode())
        yield place._replace(netloc=f"{name}:p@{place.hostname}:{place.port}").geturl()
        admin.execute(f"drop owned by {name}".encode())
        admin.execute(f"drop role {name}".encode())


async def opened(access: WarehouseAccess, lake: LakeMark | None = None) -> None:
    async with PostgresWarehouse.open(
        access, connections=1, lock_timeout_seconds=5, rules=Rules(), lake=lake
    ):
        pass


async def test_superuser_is_refused_everywhere(admin_dsn: str, warehouse_dsn: str) -> None:
    refused = WarehouseAccess(admin_dsn)
    with pytest.raises(SuperuserRefusedError, match="HEADRACE_ALLOW_SUPERUSER"):
        await opened(refused)
    with pytest.raises(SuperuserRefusedError):
        await refuse_superuser(refused)
    await opened(WarehouseAccess(warehouse_dsn))
    with pytest.raises(SuperuserRefusedError):
        async with Ledger.open(refused, "lake"):
            pass


async def test_superuser_is_taken_where_a_setting_says_so(admin_dsn: str) -> None:
    allowed = WarehouseAccess(admin_dsn, allow_superuser=True)
    await opened(allowed)
    await refuse_superuser(allowed)


@pytest.mark.parametrize("service", ["api", "verifier"])
def test_service_refuses_a_superuser_with_one_sentence(service: str, admin_dsn: str) -> None:
    needed = ("LOG_TABLE", "KEYS_TABLE", "LAKE_BUCKET", "BUS_NAME")
    env = {
        "PATH": os.environ["PATH"],
        **{f"HEADRACE_{name}": "name" for name in needed},
        **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
        "HEADRACE_WAREHOUSE_DSN": admin_dsn,
        "HEADRACE_API_PORT": str(free_port()),
        "HEADRACE_CURSOR_SECRET": "of this test alone",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    done = subprocess.run(
        [sys.executable, "-m", f"headrace_{service}"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"{service}: the warehouse's role is a superuser")


async def test_statements_that_are_reported_make_the_tests_role_usable(
    admin_dsn: str, plain_dsn: str
) -> None:
    async with await AsyncConnection.connect(plain_dsn) as plain:
        await tests_role.make(plain)
        with pytest.raises(tests_role.TestsRoleMissingError) as raised:
            await tests_role.require(plain)
        reason = raised.value.reason
        assert reason.code == "warehouse_needs_attention"
        missing = await tests_role.missing_statements(plain)
        assert missing in reason.remedy
        assert (
            missing == f'grant "{TESTS_ROLE}" to "{plain.info.user}" with set true, inherit false;'
        )
        with psycopg.connect(admin_dsn, autocommit=True) as admin:
            admin.execute(missing.encode())
        await tests_role.require(plain)
        staged = StagedDrop(plain)
        await staged.make()
        await staged.stage("code", "a")
        assert (await staged.run(by_sql("select * from {{rows}} where code = 'a'"))).failing_rows
        await staged.execute("create table dev.codes as select 'a' as code")
        assert (await staged.run(on("references", "code", table="dev.codes", to="code"))).passed
        await plain.rollback()


async def test_tests_role_with_rights_is_refused(
    admin_dsn: str, warehouse_dsn: str, plain_dsn: str
) -> None:
    other = urlsplit(plain_dsn).username
    async with await AsyncConnection.connect(warehouse_dsn, autocommit=True) as connection:
        await tests_role.require(connection)
        with psycopg.connect(admin_dsn, autocommit=True) as admin:
            admin.execute(f"grant {other} to {TESTS_ROLE}".encode())
            try:
                missing = await tests_role.missing_statements(connection)
                assert missing == f'revoke {other} from "{TESTS_ROLE}";'
            finally:
                admin.execute(f"revoke {other} from {TESTS_ROLE}".encode())
        await tests_role.require(connection)


def test_command_makes_the_role_of_the_loader(admin_dsn: str, warehouse_dsn: str) -> None:
    place = urlsplit(warehouse_dsn)
    database = place.path.removeprefix("/")
    role = f"made_{database}"
    env = {
        **os.environ,
        "HEADRACE_WAREHOUSE_DSN": place._replace(
            netloc=f"{role}:its-password@{place.hostname}:{place.port}"
        ).geturl(),
        "HEADRACE_ADMIN_DSN": admin_dsn,
    }
    command = [sys.executable, "-m", "headrace_loader.warehouse_roles"]
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        try:
            for _ in range(2):
                done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
            with psycopg.connect(env["HEADRACE_WAREHOUSE_DSN"]) as made:
                made.execute("create schema of_its_own")
                made.execute(f"set role {TESTS_ROLE}".encode())
            same = subprocess.run(
                command,
                env={**env, "HEADRACE_ADMIN_DSN": env["HEADRACE_WAREHOUSE_DSN"]},
                capture_output=True,
                text=True,
                check=False,
            )
            assert same.returncode == 1
            assert "HEADRACE_ADMIN_SECRET" in same.stderr
        finally:
            admin.execute(f"drop owned by {role} cascade".encode())
            admin.execute(f"drop role {role}".encode())


async def test_warehouse_of_another_lake_is_refused(warehouse_dsn: str) -> None:
    access = WarehouseAccess(warehouse_dsn)
    await opened(access, LakeMark("first"))
    await opened(access, LakeMark("first"))
    with pytest.raises(OtherLakeError, match="belongs to the lake first") as raised:
        await opened(access, LakeMark("second"))
    assert "HEADRACE_LAKE_MOVED_FROM='first'" in str(raised.value)
    async with Ledger.open(access, "first"):
        pass
    with pytest.raises(OtherLakeError):
        async with Ledger.open(access, "second"):
            pass
    with pytest.raises(OtherLakeError):
        await opened(access, LakeMark("second", moved_from="third"))
    await opened(access, LakeMark("second", moved_from="first"))
    await opened(access, LakeMark("second", moved_from="first"))
    with pytest.raises(OtherLakeError):
        await opened(access, LakeMark("first"))

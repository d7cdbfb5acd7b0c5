"""Real parts for tests: one emulator and one Postgres per test worker; each test has its own
resources (by prefix) and its own database on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from uuid import uuid4

import boto3
import psycopg
import pytest
from psycopg import sql

from headrace_loader.files import Files
from headrace_loader.lake import S3Lake
from headrace_loader.loading import Loading
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.sifting.quarantine import Quarantine
from headrace_local import emulator
from headrace_local.ports import listening, port_of
from headrace_local.provision import Clients, provision
from headrace_local.resources import REGION, describe
from headrace_shared.aws import AwsClients
from headrace_shared.warehouse_access import WarehouseAccess
from tests.real_parts import AwsStack, postgres_at, serving
from tests.road import Road


@pytest.fixture(scope="session")
def aws_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("aws")
    with listening() as listener, serving(emulator.emulator(listener, None), folder):
        yield port_of(listener)


@pytest.fixture
def aws_stack(aws_port: int, monkeypatch: pytest.MonkeyPatch) -> AwsStack:
    """Fresh bucket, bus, queues and table; the environment speaks to the emulator."""
    for name, value in emulator.credentials(aws_port).items():
        monkeypatch.setenv(name, value)
    session = boto3.Session(emulator.ACCESS_KEY_ID, emulator.SECRET_ACCESS_KEY, region_name=REGION)
    url = emulator.endpoint(aws_port)
    clients = Clients(
        s3=session.client("s3", endpoint_url=url),
        sqs=session.client("sqs", endpoint_url=url),
        events=session.client("events", endpoint_url=url),
        dynamodb=session.client("dynamodb", endpoint_url=url),
    )
    resources = describe(f"test-{uuid4().hex[:12]}")
    return AwsStack(url, resources, clients, provision(resources, clients, emulator.ACCOUNT))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of the server's first database."""
    with _postgres() as dsn:
        yield dsn


@pytest.fixture
def own_postgres() -> Iterator[str]:
    """Likewise, of a server that nobody else is on."""
    with _postgres() as dsn:
        yield dsn


@pytest.fixture
def warehouse_dsn(postgres_server: str) -> Iterator[str]:
    """An empty database of the test's own."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield postgres_server.rpartition("/")[0] + f"/{name}"
    # An autovacuum worker that is at work in it just then may not be ended by us; the database then
    # stays until the server ends.
    with (
        suppress(psycopg.errors.InsufficientPrivilege),
        psycopg.connect(postgres_server, autocommit=True) as connection,
    ):
        connection.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )


@pytest.fixture
async def road(aws_stack: AwsStack, warehouse_dsn: str) -> AsyncIterator[Road]:
    async with AsyncExitStack() as stack:
        warehouse = await stack.enter_async_context(
            PostgresWarehouse.open(
                WarehouseAccess(warehouse_dsn), connections=9, lock_timeout_seconds=5
            )
        )
        s3 = await AwsClients(stack, connections=8).open("s3")
        files = Files(S3Lake(s3), Quarantine(s3, aws_stack.resources.quarantine.name))
        loading = Loading(files, warehouse, contract_wait_seconds=900)
        yield Road(aws_stack, files, loading, warehouse_dsn)


@contextmanager
def _postgres() -> Iterator[str]:
    with postgres_at(None) as (cluster, port):
        yield cluster.dsn(port)

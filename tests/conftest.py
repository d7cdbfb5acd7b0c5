"""Real parts for tests: one emulator and one Postgres per test worker; each test has its own
resources (by prefix) and its own database on them."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager, suppress
from uuid import uuid4

import botocore.session
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from headrace_loader.files import Files
from headrace_loader.lake import S3Lake
from headrace_loader.loading import Loading
from headrace_loader.migrations import migrate
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.sifting.quarantine import Quarantine
from headrace_local import emulator
from headrace_local.ports import listening, port_of
from headrace_local.provision import Clients, provision, provision_buckets
from headrace_local.resources import describe
from headrace_shared.aws import AwsClients
from headrace_shared.warehouse_access import WarehouseAccess
from tests.real_parts import AwsStack, Lake, postgres_at, serving
from tests.road import Road

# On a busy machine any example takes long; where CI is set, Hypothesis itself loads a profile that
# knows this, with all of its examples.
settings.register_profile(
    "laptop", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
if not os.environ.get("CI"):
    settings.load_profile("laptop")


@pytest.fixture(scope="session", autouse=True)
def one_reading_of_service_models() -> Iterator[None]:
    """Every session of a worker shares one loader: each client of a fresh session would otherwise
    read and parse its service's JSON anew, for half a second."""
    read_once = functools.cache(botocore.session.create_loader)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(botocore.session, "create_loader", read_once)
        yield


@pytest.fixture(scope="session")
def aws_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("aws")
    with listening() as listener, serving(emulator.emulator(listener, None), folder):
        yield port_of(listener)


@pytest.fixture(scope="session")
def aws_clients(aws_port: int) -> Iterator[Clients]:
    made = emulator.clients(emulator.endpoint(aws_port))
    yield made
    for client in (made.s3, made.sqs, made.events, made.dynamodb):
        client.close()


@pytest.fixture
def lake(aws_port: int, aws_clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Fresh buckets, without queues and tables; the environment speaks to the emulator."""
    for name, value in emulator.credentials(aws_port).items():
        monkeypatch.setenv(name, value)
    resources = describe(f"test-{uuid4().hex[:12]}")
    provision_buckets(resources, aws_clients.s3)
    return Lake(emulator.endpoint(aws_port), resources, aws_clients)


@pytest.fixture
def aws_stack(lake: Lake) -> AwsStack:
    """The same buckets, and bus, queues and tables beside them."""
    made = provision(lake.resources, lake.clients, emulator.ACCOUNT)
    return AwsStack(lake.endpoint_url, lake.resources, lake.clients, made)


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
    with _database(postgres_server) as dsn:
        yield dsn


@pytest.fixture
def new_database(postgres_server: str) -> Callable[[], AbstractContextManager[str]]:
    """Makes an empty database for as long as a block lasts."""
    return lambda: _database(postgres_server)


@pytest.fixture(scope="session")
def ledger_template(postgres_server: str) -> Iterator[str]:
    """The name of a database with the ledger's newest schema and nothing in it."""
    with _database(postgres_server) as dsn, ThreadPoolExecutor(1) as pool:
        # In a thread: an event loop may run in this one.
        pool.submit(lambda: asyncio.run(_migrate(dsn))).result()
        yield dsn.rpartition("/")[2]


@pytest.fixture
def ledger_dsn(postgres_server: str, ledger_template: str) -> Iterator[str]:
    """A database of the test's own that is copied: the migrations are not run anew."""
    with _database(postgres_server, ledger_template) as dsn:
        yield dsn


@pytest.fixture
async def road(lake: Lake, ledger_dsn: str) -> AsyncIterator[Road]:
    async with AsyncExitStack() as stack:
        warehouse = await stack.enter_async_context(
            PostgresWarehouse.open(
                WarehouseAccess(ledger_dsn), connections=9, lock_timeout_seconds=5
            )
        )
        s3 = await AwsClients(stack, connections=8).open("s3")
        files = Files(S3Lake(s3), Quarantine(s3, lake.resources.quarantine.name))
        loading = Loading(files, warehouse, contract_wait_seconds=900)
        yield Road(lake, files, loading, ledger_dsn)


@contextmanager
def _postgres() -> Iterator[str]:
    with postgres_at(None) as (cluster, port):
        yield cluster.dsn(port)


@contextmanager
def _database(server: str, template: str = "template1") -> Iterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    yield server.rpartition("/")[0] + f"/{name}"
    # An autovacuum worker that is at work in it just then may not be ended by us; the database then
    # stays until the server ends.
    with (
        suppress(psycopg.errors.InsufficientPrivilege),
        psycopg.connect(server, autocommit=True) as connection,
    ):
        connection.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )


async def _migrate(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await migrate(connection)

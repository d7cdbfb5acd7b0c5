"""A rotated password is survived without a restart, on a Postgres that asks for passwords."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from headrace_api.app import make_app
from headrace_api.settings import ApiSettings
from headrace_loader.files import Files
from headrace_loader.lake import S3Lake
from headrace_loader.loading import Loading
from headrace_loader.outcomes import Applied, Loaded
from headrace_loader.postgres import PostgresWarehouse
from headrace_shared.aws import AwsClients
from headrace_shared.errors import TransientError
from headrace_shared.settings import WarehouseSettings
from headrace_shared.warehouse_access import WarehouseAccess, WarehouseSecretError
from headrace_verifier.settings import VerifierSettings
from headrace_verifier.wiring import opened_ledger
from tests.patience import patience
from tests.real_parts import AwsStack
from tests.road import Road

pytestmark = pytest.mark.integration

HEAL_SECONDS = 20
SENTENCE = (
    "The warehouse's secret nowhere cannot be read (ResourceNotFoundException): make it, or name "
    "another one in HEADRACE_WAREHOUSE_SECRET."
)


@dataclass
class Rotation:
    """A role whose password stands in a secret.

    Args:
        dsn: where the warehouse is, with a password that was right long ago.
        operator: a session that outlives every rotation.
    """

    secret: str
    dsn: str
    password: str
    operator: psycopg.Connection[Any]
    client: Any

    @property
    def settings(self) -> dict[str, Any]:
        return {"warehouse_dsn": self.dsn, "warehouse_secret": self.secret}

    def rotate(self) -> None:
        self.change_password()
        self.write_secret()

    def change_password(self) -> None:
        self.password = secrets.token_urlsafe(12)
        role = sql.Identifier(self.operator.info.user)
        self.operator.execute(
            sql.SQL("alter role {} password {}").format(role, sql.Literal(self.password))
        )

    def write_secret(self) -> None:
        self.client.put_secret_value(SecretId=self.secret, SecretString=self.as_rds_writes())

    def as_rds_writes(self) -> str:
        return json.dumps(
            {"engine": "postgres", "username": self.operator.info.user, "password": self.password}
        )

    def end_sessions(self) -> int:
        """Ends every session but the operator's; how many there were."""
        return self.operator.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where usename = current_user and pid <> pg_backend_pid()"
        ).rowcount

    def rows(self) -> list[int]:
        return [row for (row,) in self.operator.execute("select id from dev.users order by 1")]


@pytest.fixture
def rotation(aws_stack: AwsStack, own_postgres: str) -> Iterator[Rotation]:
    client: Any = boto3.client("secretsmanager", endpoint_url=aws_stack.endpoint_url)
    known = conninfo_to_dict(own_postgres)
    stale = make_conninfo(own_postgres, password="of last year")
    name = f"warehouse-{uuid4().hex[:12]}"
    with psycopg.connect(own_postgres, autocommit=True) as operator:
        made = Rotation(name, stale, str(known["password"]), operator, client)
        client.create_secret(Name=name, SecretString=made.as_rds_writes())
        yield made
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@asynccontextmanager
async def opened_road(aws: AwsStack, rotation: Rotation) -> AsyncIterator[Road]:
    async with AsyncExitStack() as stack:
        clients = AwsClients(stack, connections=3)
        access = await WarehouseAccess.open(WarehouseSettings(**rotation.settings), clients)
        warehouse = await stack.enter_async_context(
            PostgresWarehouse.open(access, connections=3, lock_timeout_seconds=5)
        )
        files = Files(S3Lake(await clients.open("s3")), quarantine=None)
        yield Road(aws, files, Loading(files, warehouse, contract_wait_seconds=900), rotation.dsn)


@asynccontextmanager
async def opened_api(aws: AwsStack, rotation: Rotation) -> AsyncIterator[httpx.AsyncClient]:
    settings = ApiSettings(
        log_table=aws.resources.log_table.name,
        cursor_secret="a secret of the tests",
        anonymous=True,
        **rotation.settings,
    )
    app = make_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client,
    ):
        yield client


async def heals(check: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + patience(HEAL_SECONDS)
    while not await check():
        assert time.monotonic() < deadline, "it was mended, and not tried again"
        await asyncio.sleep(0.1)


async def loads(road: Road, rows: str) -> bool:
    try:
        return isinstance(await road.append(rows), Loaded)
    except TransientError:
        return False


async def test_loader_goes_on_after_a_rotation(aws_stack: AwsStack, rotation: Rotation) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(rotation.dsn)
    async with opened_road(aws_stack, rotation) as road:
        assert isinstance(await road.contract(), Applied)
        for number in range(1, 4):
            rotation.rotate()
            # The session of before is as good as ever.
            assert isinstance(await road.append(f"id\n{number}\n"), Loaded)
            assert rotation.end_sessions() > 0
            assert isinstance(await road.append(f"id\n{number * 10}\n"), Loaded)
        assert rotation.rows() == [1, 2, 3, 10, 20, 30]


async def test_loader_waits_between_the_halves_of_a_rotation(
    aws_stack: AwsStack, rotation: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace_loader.pool._WAIT_SECONDS", 3.0)
    async with opened_road(aws_stack, rotation) as road:
        await road.contract()
        rotation.change_password()
        rotation.end_sessions()
        drop = road.land("dev/append/users/a.csv", "id\n1\n")
        with pytest.raises(TransientError, match="password authentication failed"):
            await road.bring(drop)
        rotation.write_secret()
        await heals(lambda: loads(road, "id\n2\n"))
        assert isinstance(await road.bring(drop), Loaded)
        assert rotation.rows() == [1, 2]


async def test_loader_without_its_secret_says_so_and_goes_on_when_it_is_back(
    aws_stack: AwsStack, rotation: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace_loader.pool._WAIT_SECONDS", 3.0)
    async with opened_road(aws_stack, rotation) as road:
        await road.contract()
        rotation.client.put_secret_value(SecretId=rotation.secret, SecretString="hunter2")
        rotation.end_sessions()
        with pytest.raises(WarehouseSecretError, match="is not a JSON object: write it") as waiting:
            await road.append("id\n1\n")
        assert waiting.value.reason.code == "warehouse_needs_attention"
        rotation.write_secret()
        await heals(lambda: loads(road, "id\n2\n"))


async def test_loader_does_not_start_without_its_secret(
    rotation: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace_loader.pool._WAIT_SECONDS", 3.0)
    settings = WarehouseSettings(warehouse_dsn=rotation.dsn, warehouse_secret="nowhere")
    async with AsyncExitStack() as stack:
        access = await WarehouseAccess.open(settings, AwsClients(stack, connections=1))
        with pytest.raises(WarehouseSecretError, match=re.escape(SENTENCE)):
            await stack.enter_async_context(
                PostgresWarehouse.open(access, connections=1, lock_timeout_seconds=5)
            )


async def test_api_is_ready_after_a_rotation(aws_stack: AwsStack, rotation: Rotation) -> None:
    async with opened_api(aws_stack, rotation) as client:
        assert (await client.get("/readyz")).status_code == 200
        for _ in range(3):
            rotation.rotate()
            assert (await client.get("/readyz")).status_code == 200
            assert rotation.end_sessions() > 0
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.get("/v1/tables")).status_code == 200


async def test_api_without_its_secret_stays_up_says_why_and_heals(
    aws_stack: AwsStack, rotation: Rotation, caplog: pytest.LogCaptureFixture
) -> None:
    rotation.client.put_secret_value(SecretId=rotation.secret, SecretString='{"username": "u"}')
    async with opened_api(aws_stack, rotation) as client:
        answer = await client.get("/v1/tables")
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("The warehouse cannot be reached")
        assert (await client.get("/readyz")).json()["checks"]["warehouse"] == "unreachable"
        assert f"The warehouse's secret {rotation.secret} has no password" in caplog.text
        rotation.write_secret()

        async def is_ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await heals(is_ready)


async def test_verifier_reads_the_secret_at_each_verification(
    aws_stack: AwsStack, rotation: Rotation
) -> None:
    async with opened_road(aws_stack, rotation):
        pass  # the ledger is made
    settings = VerifierSettings(
        lake_bucket=aws_stack.resources.bucket.name,
        log_table=aws_stack.resources.log_table.name,
        bus_name=aws_stack.resources.bus,
        **rotation.settings,
    )
    for _ in range(2):
        async with opened_ledger(settings) as ledger:
            assert await ledger.seconds_since_last({}) is None
        rotation.rotate()


def test_verifier_without_its_secret_ends_with_a_sentence(
    aws_stack: AwsStack, rotation: Rotation
) -> None:
    env = {
        **os.environ,
        "HEADRACE_LAKE_BUCKET": aws_stack.resources.bucket.name,
        "HEADRACE_LOG_TABLE": aws_stack.resources.log_table.name,
        "HEADRACE_BUS_NAME": aws_stack.resources.bus,
        "HEADRACE_WAREHOUSE_DSN": rotation.dsn,
        "HEADRACE_WAREHOUSE_SECRET": "nowhere",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "headrace_verifier.check"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == f"verify: {SENTENCE}\n"

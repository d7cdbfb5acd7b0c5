"""Headrace on a bucket with keys of its own: routes, and what was there before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from headrace_loader.ends import event_of
from headrace_loader.outcomes import Loaded, Outcome
from headrace_logger.dynamodb import DynamoDBLog
from headrace_logger.states import update_for
from headrace_router.handler import RouterHandler
from headrace_shared.aws import AwsClients
from headrace_shared.facts import DropRouted, Fact
from headrace_shared.key_rules import KeyRules
from headrace_shared.routes import read_routes
from headrace_shared.testing.builders import a_message, an_envelope
from headrace_shared.warehouse_access import WarehouseAccess
from headrace_verifier.backfilling import Backfill, Counts, backfill
from headrace_verifier.differences import Difference
from headrace_verifier.lake import Lake
from headrace_verifier.ledger import Ledger
from headrace_verifier.log import Log
from headrace_verifier.verification import Plan, Tally, Verification, Walk
from tests.road import Road

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("aws_stack")]

RULES = KeyRules(
    routes=read_routes(
        [
            "raw/{region}/dt={dt}/*.csv -> dev/append/orders",
            "raw/bad/*.csv -> dev/append/orders",
            "top-*.csv -> dev/append/orders",
        ]
    )
)
COLUMNS = [
    {"name": "id", "type": "integer"},
    {"name": "region", "type": "text"},
    {"name": "dt", "type": "date"},
]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Bucket:
    """The parts that see it, and what is published."""

    road: Road
    lake: Lake
    ledger: Ledger
    log: Log
    log_writer: DynamoDBLog
    published: list[Fact] = field(default_factory=list)

    def put(self, key: str, body: str) -> None:
        name = self.road.aws.resources.bucket.name
        self.road.aws.clients.s3.put_object(Bucket=name, Key=key, Body=body.encode())

    async def publish(self, facts: Sequence[Fact]) -> None:
        self.published += facts

    def proceeds(self, *_: object) -> None:
        """Nobody looks at the progress."""

    def differs(self, difference: Difference, *, repaired: bool) -> None:
        raise AssertionError(f"{difference} {repaired}")

    async def backfill(self, **wanted: Any) -> Counts:
        parts = self.lake, self.ledger, self.log
        return await backfill(Backfill(RULES, **wanted), *parts, self, self)

    async def obey(self) -> list[Outcome]:
        """Does what the services do with what was published."""
        facts, self.published = self.published, []
        ends = []
        for fact in facts:
            for routed in await RouterHandler({"*"}, RULES).handle(a_message(an_envelope(fact))):
                assert isinstance(routed, DropRouted), routed
                ends.append(await self.road.loading.load(routed.drop, 1, routed.request))
                for told in (routed, event_of(ends[-1], routed, 1)):
                    await self.log_writer.write(update_for(told, expiry_days=0))
        return ends

    async def verify(self, **plan: Any) -> Tally:
        wanted = Plan(repair=True, grace=timedelta(0), key_rules=RULES, **plan)
        parts = self.lake, self.ledger, self.log, self
        return await Verification(*parts, wanted, self).run(resume=False)


@pytest.fixture
async def bucket(road: Road) -> AsyncIterator[Bucket]:
    async with AsyncExitStack() as stack:
        clients = AwsClients(stack, connections=10)
        dynamodb, s3 = await clients.open("dynamodb"), await clients.open("s3")
        table, name = road.aws.resources.log_table.name, road.aws.resources.bucket.name
        ledger = Ledger.open(WarehouseAccess(road.dsn), name)
        yield Bucket(
            road,
            Lake(s3, name),
            await stack.enter_async_context(ledger),
            Log(dynamodb, table, RULES),
            DynamoDBLog(dynamodb, table),
        )


def rows(road: Road) -> list[tuple[Any, ...]]:
    with psycopg.connect(road.dsn) as connection:
        query = "select id, region, dt::text from dev.orders order by 1, 2"
        return connection.execute(query).fetchall()


async def test_backfill_lands_each_object_once_and_leaves_the_others_alone(bucket: Bucket) -> None:
    await bucket.road.contract("dev.orders", columns=COLUMNS)
    for key, body in {
        "raw/eu/dt=2026-01-01/a.csv": "id\n0\n",
        "raw/us/dt=2026-01-02/b c.csv": "id\n2\n3\n",
        "raw/us/dt=2026-01-02/_SUCCESS": "",
        "raw/us/dt=2026-01-02/notes.txt": "hello",
        "top-1.csv": "id\n4\n",
        "logs/x/y/z.csv": "id\n9\n",
    }.items():
        bucket.put(key, body)
    bucket.put("raw/eu/dt=2026-01-01/a.csv", "id\n1\n")
    counted = await bucket.backfill(dry_run=True, prefix="raw/")
    assert dict(counted.tables) == {"dev/append/orders": 2}
    assert dict(counted.left_alone) == {"marker": 1, "no_route": 1}
    assert bucket.published == []
    assert (await bucket.backfill(since=datetime.now(UTC) + timedelta(days=1))).tables == {}
    for prefix in ("raw/", "top-", "logs/"):
        await bucket.backfill(prefix=prefix)
    again = list(bucket.published)
    ends = await bucket.obey()
    assert [type(one) for one in ends] == [Loaded] * 3
    wanted = [(1, "eu", "2026-01-01"), (2, "us", "2026-01-02"), (3, "us", "2026-01-02")]
    assert rows(bucket.road) == [*wanted, (4, None, None)]
    bucket.published = again
    assert all(isinstance(one, Loaded) and one.repeated for one in await bucket.obey())
    counts = await bucket.backfill(prefix="raw/")
    assert (counts.known, dict(counts.tables), bucket.published) == (2, {}, [])
    tally = await bucket.verify(prefix="raw/", lake_since=datetime.now(UTC) + timedelta(days=1))
    assert tally.read[Walk.LEDGER] == 4
    assert not bucket.published


async def test_verifier_leaves_alone_what_was_there_before(bucket: Bucket) -> None:
    bucket.put("raw/eu/dt=2026-01-01/a.csv", "id\n1\n")
    bucket.put("logs/a.csv", "id\n1\n")
    tally = await bucket.verify(lake_since=datetime.now(UTC) + timedelta(days=1))
    assert tally.found.total() == 0
    with pytest.raises(AssertionError, match="not_routed"):
        await bucket.verify(lake_since=LONG_AGO)
    assert len(bucket.published) == 1


async def test_drop_that_is_loaded_again_has_the_values_of_its_key(bucket: Bucket) -> None:
    road = bucket.road
    narrow = [{**COLUMNS[0], "type": "smallint"}, *COLUMNS[1:]]
    await road.contract("dev.orders", columns=narrow, primary_key=["id"])
    bucket.put("raw/eu/dt=2026-01-01/a.csv", "id\n1\n")
    await bucket.backfill(prefix="raw/")
    await bucket.obey()
    entries = await bucket.ledger.page(UUID(int=0))
    drop = next(one.drop for one in entries if one.drop.key.startswith("raw/"))
    assert drop.file == "region=eu/dt=2026-01-01/a.csv"
    outcome = await road.loading.load(drop, 1, int(datetime.now(UTC).timestamp() * 1000))
    assert isinstance(outcome, Loaded), outcome
    assert rows(road) == [(1, "eu", "2026-01-01")]

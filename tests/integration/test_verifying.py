"""The verifier on a real lake, a real ledger and a real log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from headrace_loader.ends import event_of
from headrace_logger.dynamodb import DynamoDBLog
from headrace_logger.states import update_for
from headrace_router.handler import RouterHandler
from headrace_shared.attribute_values import plain_item
from headrace_shared.aws import AwsClients
from headrace_shared.drop import Drop
from headrace_shared.errors import TransientError
from headrace_shared.facts import DropRouted, Fact, ReplayRequested, RevertRequested
from headrace_shared.log_schema import STEP_PREFIX
from headrace_shared.testing.builders import a_message, an_envelope
from headrace_shared.warehouse_access import WarehouseAccess
from headrace_verifier.differences import Difference, Kind
from headrace_verifier.lake import Lake, LakePage, Marker
from headrace_verifier.ledger import Ledger
from headrace_verifier.log import Log
from headrace_verifier.verification import Plan, Tally, Verification, Walk
from tests.road import CONTRACT, Road

# The verifier compares the log with the lake, so that a lake alone is not enough here.
pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("aws_stack")]

KEYED: dict[str, Any] = {"primary_key": ["id"]}
NOW_AND_REPAIR = Plan(repair=True, grace=timedelta(0))


@dataclass
class Found:
    """What was told and published."""

    differences: list[Difference] = field(default_factory=list)
    published: list[Fact] = field(default_factory=list)
    pages: list[Walk] = field(default_factory=list)

    @property
    def kinds(self) -> list[Kind]:
        return sorted(one.kind for one in self.differences)

    def differs(self, difference: Difference, *, repaired: bool) -> None:
        assert repaired is (difference.repair in self.published)
        self.differences.append(difference)

    def proceeds(self, walk: Walk, tally: Tally) -> None:
        self.pages.append(walk)

    async def publish(self, facts: Sequence[Fact]) -> None:
        self.published += facts


class BrokenLake(Lake):
    """The real lake, until so many pages have been read: then it cannot be reached. No real part
    fails on demand at the second page."""

    pages_left = 1

    async def pages(self, prefix: str, marker: Marker) -> AsyncIterator[LakePage]:
        async for page in super().pages(prefix, marker):
            if not self.pages_left:
                raise TransientError("listing the lake: gone")
            self.pages_left -= 1
            yield page


@dataclass
class Platform:
    """A road, and beside it the log and a verifier."""

    road: Road
    log_writer: DynamoDBLog
    lake: Lake
    broken_lake: BrokenLake
    ledger: Ledger
    log: Log

    async def verify(
        self, plan: Plan = NOW_AND_REPAIR, *, resume: bool = False, lake: Lake | None = None
    ) -> tuple[Found, Tally]:
        found = Found()
        verification = Verification(lake or self.lake, self.ledger, self.log, found, plan, found)
        return found, await verification.run(resume=resume)

    async def tell(self, *facts: Fact) -> None:
        for fact in facts:
            await self.log_writer.write(update_for(fact, expiry_days=0))

    async def carry(self, drop: Drop, request: int = 0) -> None:
        """Routes, loads and logs a drop, and those that it opens again."""
        routed = DropRouted(drop=drop, run=request, request=request)
        outcome = await self.road.loading.load(drop, 1, request)
        await self.tell(routed, event_of(outcome, routed, 1))
        for fact in await self.road.load_reopened(drop, outcome):
            again = await self.road.loading.load(fact.drop, 1, fact.request)
            await self.tell(fact, event_of(again, fact, 1))

    async def revert(self, drop: Drop, run: int) -> None:
        asked = RevertRequested(drop=drop, run=run)
        outcome = await self.road.loading.revert(drop, run)
        for fact in await self.road.load_reopened(drop, outcome):
            again = await self.road.loading.load(fact.drop, 1, fact.request)
            await self.tell(fact, event_of(again, fact, 1))
        await self.tell(asked, event_of(outcome, asked, 1))

    async def obey(self, facts: Sequence[Fact]) -> None:
        """Does what the services do when they hear these facts."""
        for fact in facts:
            await self.tell(fact)
            if isinstance(fact, ReplayRequested):
                for routed in await RouterHandler({"*"}).handle(a_message(an_envelope(fact))):
                    assert isinstance(routed, DropRouted)
                    outcome = await self.road.loading.load(routed.drop, 1, routed.request)
                    await self.tell(routed, event_of(outcome, routed, 1))

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.road.dsn) as connection:
            connection.execute(statement.encode())


@pytest.fixture
async def platform(road: Road) -> AsyncIterator[Platform]:
    async with AsyncExitStack() as stack:
        clients = AwsClients(stack, connections=10)
        dynamodb, s3 = await clients.open("dynamodb"), await clients.open("s3")
        table, bucket = road.aws.resources.log_table.name, road.aws.resources.bucket.name
        yield Platform(
            road,
            DynamoDBLog(dynamodb, table),
            Lake(s3, bucket),
            BrokenLake(s3, bucket),
            await stack.enter_async_context(Ledger.open(WarehouseAccess(road.dsn), bucket)),
            Log(dynamodb, table),
        )


def now(road: Road) -> int:
    """Seconds on the road's clock, so that what lands now lands when the lake says."""
    return int((datetime.now(UTC) - datetime(2026, 11, 20, 12, tzinfo=UTC)).total_seconds())


async def a_history(platform: Platform) -> list[Drop]:
    """Every action, and every end."""
    road = platform.road
    at = now(road)
    drops = [
        road.land_contract(at=at, **KEYED),
        road.land("dev/append/users/a.csv", "id,name\n1,a\n2,b\n", at=at + 1),
        road.land("dev/truncate/users/b.csv", "id,name\n3,c\n4,d\n5,e\n", at=at + 2),
        road.land("dev/upsert/users/c.csv", "id,name\n4,x\n", at=at + 3),
        road.land("dev/append/users/bad.csv", "id,name\nno number,x\n", at=at + 4),
        road.land("dev/append/users/gone.csv", "id,name\n9,x\n", at=at + 5),
    ]
    for drop in drops:
        await platform.carry(drop)
    await platform.revert(drops[-1], run=int(datetime.now(UTC).timestamp() * 1000))
    return drops


async def test_whole_platform_has_no_difference(platform: Platform) -> None:
    drops = await a_history(platform)
    found, tally = await platform.verify()
    assert found.differences == []
    assert tally.read == {"versions": 6, "drops": len(drops), "items": len(drops), "tables": 1}


@pytest.mark.parametrize("action", ["append", "truncate", "upsert", "schema"])
async def test_after_a_revert_there_is_no_difference(platform: Platform, action: str) -> None:
    road, at = platform.road, now(platform.road)
    first = road.land_contract(at=at - 2, **KEYED)
    kept = road.land("dev/append/users/kept.csv", "id\n1\n2\n", at=at - 1)
    wider = [*CONTRACT["columns"], {"name": "note", "type": "text"}]
    reverted = (
        road.land_contract(at=at, columns=wider, **KEYED)
        if action == "schema"
        else road.land(f"dev/{action}/users/reverted.csv", "id\n2\n3\n", at=at)
    )
    for drop in (first, kept, reverted):
        await platform.carry(drop)
    await platform.revert(reverted, run=int(datetime.now(UTC).timestamp() * 1000))
    found, _ = await platform.verify()
    assert found.differences == []
    assert [row[0] for row in road.rows()] == [1, 2]


async def test_lost_event_is_found_and_the_drop_loaded_at_its_place(platform: Platform) -> None:
    road, at = platform.road, now(platform.road)
    await platform.carry(road.land_contract(at=at, format={"null": "nil"}))
    road.land("dev/append/users/lost.csv", "id,name\n1,nil\n")
    await platform.carry(road.land_contract(at=at + 20))
    found, _ = await platform.verify()
    assert found.kinds == ["not_routed"]
    await platform.obey(found.published)
    assert (await platform.verify())[0].differences == []
    assert road.rows() == [(1, None, None)], "read under the contract of its place"


async def test_every_kind_of_difference_is_told(platform: Platform) -> None:
    drops = await a_history(platform)
    dynamodb = platform.road.aws.clients.dynamodb
    table = platform.road.aws.resources.log_table.name
    dynamodb.delete_item(TableName=table, Key={"drop_id": {"S": str(drops[1].drop_id)}})
    platform.execute("delete from dev.users where id = 3")
    platform.execute("insert into dev.users (id, _drop_id) values (7, gen_random_uuid())")
    platform.execute(f"delete from headrace.ledger where drop_id = '{drops[4].drop_id}'")
    found, tally = await platform.verify()
    assert found.kinds == ["log_ahead", "log_missing", "rows_differ", "rows_unknown"]
    assert (tally.repaired.total(), tally.left) == (2, 2)
    await platform.obey(found.published)
    again, _ = await platform.verify(replace(NOW_AND_REPAIR, repair=False))
    assert again.kinds == ["rows_differ", "rows_unknown"]
    assert again.published == []


WITH_TESTS: dict[str, Any] = {
    "on_bad_rows": {"mode": "quarantine"},
    "tests": [
        {"not_null": "name", "severity": "warn"},
        {"row_count": {"max": 3}, "severity": "error"},
    ],
}


async def test_log_that_is_made_again_from_the_ledger_is_the_same_log(platform: Platform) -> None:
    road, at = platform.road, now(platform.road)
    drops = [
        road.land_contract("dev.tested", at=at, **WITH_TESTS),
        road.land("dev/append/tested/quarantined.csv", "id,name\n1,a\nx,bad\n2,\n", at=at + 1),
        road.land("dev/append/tested/header.csv", "id,nobody\n1,a\n", at=at + 2),
        road.land("dev/append/tested/tests.csv", "id\n1\n2\n3\n4\n", at=at + 3),
    ]
    for drop in [*drops, *await a_history(platform)]:
        await platform.carry(drop)
    before = items(road)
    stages = [before[str(drop.drop_id)]["stage"] for drop in drops]
    assert stages == ["load", "load", "transform", "test"]
    assert before[str(drops[1].drop_id)]["rows_quarantined"] == 1
    for drop_id in before:
        key = {"drop_id": {"S": drop_id}}
        road.aws.clients.dynamodb.delete_item(TableName=road.aws.resources.log_table.name, Key=key)
    await platform.obey((await platform.verify())[0].published)
    assert items(road) == before
    assert (await platform.verify())[0].differences == []


def items(road: Road) -> dict[str, dict[str, Any]]:
    """The log without the timelines, of which the ledger knows the last step alone."""
    answer = road.aws.clients.dynamodb.scan(TableName=road.aws.resources.log_table.name)
    plain = map(plain_item, answer["Items"])
    return {
        item["drop_id"]: {
            name: value
            for name, value in item.items()
            if not name.startswith(STEP_PREFIX) and name != "traceparent"
        }
        for item in plain
    }


async def test_table_that_was_dropped_by_hand_is_told(platform: Platform) -> None:
    await a_history(platform)
    platform.execute("drop table dev.users")
    found, tally = await platform.verify()
    assert found.kinds == ["table_missing"]
    assert tally.left == 1
    assert (await platform.verify(replace(NOW_AND_REPAIR, rows=False)))[1].found == {}


async def test_drop_that_waits_for_its_new_run_is_routed_again(platform: Platform) -> None:
    road, at = platform.road, now(platform.road)
    early = road.land_contract(at=at + 2, format={"null": "nil"})
    drop = road.land("dev/append/users/a.csv", "id,name\n1,nil\n", at=at + 3)
    late = road.land_contract(at=at + 1)
    for one in (late, drop):
        await platform.carry(one)
    routed = DropRouted(drop=early)
    outcome = await road.loading.load(early, 1)  # and is killed before it says what it reopened
    await platform.tell(routed, event_of(outcome, routed, 1))
    found, _ = await platform.verify()
    assert found.kinds == ["reopened"]
    await platform.obey(found.published)
    assert (await platform.verify())[0].differences == []
    assert road.rows() == [(1, None, None)]


@pytest.mark.timeout(600)
async def test_walk_that_was_broken_off_goes_on_where_it_was(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace_verifier.verification._SAVE_SECONDS", -1)
    bucket, s3 = platform.road.aws.resources.bucket.name, platform.road.aws.clients.s3
    for number in range(1_050):
        s3.put_object(Bucket=bucket, Key=f"dev/append/users/{number % 700}.csv", Body=b"id\n1\n")
    with pytest.raises(TransientError):
        await platform.verify(lake=platform.broken_lake)
    found, tally = await platform.verify(resume=True)
    assert found.pages.count(Walk.LAKE) == 1
    assert len(found.differences) == 50
    assert tally.read["versions"] == tally.found[Kind.NOT_ROUTED] == 1_050
    fresh, tally = await platform.verify(resume=True)
    assert fresh.pages.count(Walk.LAKE) == 2
    assert len({one.drop_id for one in fresh.differences}) == 1_050
    assert tally.read["versions"] == 1_050


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"prefix": "dev/append/users/2026/"}, 1),
        ({"since": datetime(2026, 1, 1, tzinfo=UTC)}, 2),
        ({"since": datetime(2100, 1, 1, tzinfo=UTC)}, 0),
        ({"grace": timedelta(minutes=5)}, 0),
    ],
    ids=["prefix", "since", "since tomorrow", "grace"],
)
async def test_what_is_not_meant_is_left_out(
    platform: Platform, changes: dict[str, Any], expected: int
) -> None:
    platform.road.land("dev/append/users/2026/a.csv", "id\n1\n")
    platform.road.land("dev/append/users/b.csv", "id\n1\n")
    found, _ = await platform.verify(replace(NOW_AND_REPAIR, **changes))
    assert len(found.differences) == expected


async def test_warehouse_without_a_ledger_asks_for_another_try(warehouse_dsn: str) -> None:
    async with Ledger.open(WarehouseAccess(warehouse_dsn), "lake") as ledger:
        with pytest.raises(TransientError, match="start a loader"):
            await ledger.begin({})
    with pytest.raises(TransientError, match="the warehouse"):
        async with Ledger.open(WarehouseAccess("postgresql://127.0.0.1:1/none"), "lake"):
            pass

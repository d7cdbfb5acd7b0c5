"""A reverted drop counts as never landed: cases in which something that it had changed stays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from headrace_loader.loading import Loading
from headrace_loader.outcomes import Rejected
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.rebuilding import Rebuild, RebuildError
from headrace_loader.transaction import LoadTransaction
from headrace_shared.errors import TransientError
from headrace_shared.facts import DropRouted
from headrace_shared.warehouse_access import WarehouseAccess
from tests.road import CONTRACT, EPOCH, Road

ID, NAME, DAY = CONTRACT["columns"]
BREAKING: dict[str, Any] = {"columns": [ID, DAY], "evolution": "allow_breaking"}


def request_at(second: int) -> int:
    """A request so many seconds after the first landing."""
    return int(EPOCH.timestamp() + second) * 1000


def names(road: Road) -> list[tuple[Any, Any]]:
    return [(number, name) for number, name, _ in road.rows()]


@pytest.mark.parametrize("append_comes_last", [False, True])
async def test_keys_of_a_replaced_upsert_are_taken_again(
    road: Road, append_comes_last: bool
) -> None:
    """The replaced upsert has no row that the reverted one could have removed, but keys."""
    await road.contract(primary_key=["id"], on_reupload="replace")
    append = road.land("dev/append/users/a.csv", "id,name\n1,a\n")
    replaced = road.land("dev/upsert/users/same.csv", "id,name\n1,b\n")
    replacing = road.land("dev/upsert/users/same.csv", "id,name\n2,c\n")
    reverted = road.land("dev/upsert/users/d.csv", "id,name\n1,d\n")
    drops = [replacing, replaced]
    for drop in [reverted, *drops, append] if append_comes_last else [append, *drops, reverted]:
        await road.bring(drop)
    assert names(road) == [(1, "d"), (2, "c")]
    await road.revert(reverted, request_at(50))
    assert names(road) == [(2, "c")]


@pytest.mark.parametrize("followed", [False, True])
@pytest.mark.parametrize(
    "breaking",
    [
        BREAKING,
        {"columns": [ID, {**NAME, "type": "varchar(1)"}, DAY], "evolution": "allow_breaking"},
    ],
    ids=["a column is dropped", "a column is narrowed"],
)
async def test_values_that_a_reverted_contract_had_taken_come_back(
    road: Road, breaking: dict[str, Any], followed: bool
) -> None:
    await road.contract()
    drop = road.land("dev/append/users/a.csv", "id,name\n1,abc\n")
    reverted = road.land_contract(**breaking)
    for one in (drop, reverted):
        await road.bring(one)
    if followed:
        await road.bring(road.land_contract(description="again"))
    await road.revert(reverted, request_at(50))
    assert names(road) == [(1, "abc")]


async def test_values_come_back_where_a_late_contract_refuses_a_breaking_one(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/a.csv", "id,name\n1,a\n")
    final = road.land_contract(allowed_operations=["append"])
    breaking = road.land_contract(**BREAKING)
    for one in (drop, breaking, final):
        await road.bring(one)
    assert names(road) == [(1, "a")]


async def test_breaking_contract_is_reverted_and_replayed_beside_an_upsert(road: Road) -> None:
    await road.contract(primary_key=["id"])
    append = road.land("dev/append/users/a.csv", "id,name\n1,a\n2,b\n")
    breaking = road.land_contract(primary_key=["id"], **BREAKING)
    after = road.land_contract(primary_key=["id"])
    upsert = road.land("dev/upsert/users/u.csv", "id,name\n1,u\n")
    for drop in (append, breaking, after, upsert):
        await road.bring(drop)
    assert names(road) == [(1, "u"), (2, None)]
    await road.revert(breaking, request_at(50))
    assert names(road) == [(1, "u"), (2, "b")]
    await road.bring(breaking, request=request_at(60))
    assert names(road) == [(1, "u"), (2, None)]
    await road.revert(upsert, request_at(70))
    assert names(road) == [(1, None), (2, None)]


async def test_drop_before_the_first_contract_is_read_under_the_next_one(road: Road) -> None:
    drop = road.land("dev/append/users/a.csv", "id,name\n1,none\n")
    first = road.land_contract(format={"null": "none"})
    second = road.land_contract(format={"null": "nil"})
    for one in (first, drop, second):
        await road.bring(one)
    assert names(road) == [(1, None)]
    await road.revert(first, request_at(50))
    assert names(road) == [(1, "none")]


async def test_without_its_only_contract_a_table_has_no_rows_until_it_is_back(road: Road) -> None:
    before = road.land("dev/append/users/before.csv", "id,name\n0,a\n")
    only = road.land_contract()
    after = road.land("dev/append/users/after.csv", "id,name\n1,a\n")
    for drop in (only, before, after):
        await road.bring(drop)
    outcome = await road.loading.revert(only, request_at(50))
    assert outcome.reopens
    assert names(road) == []
    for routed in await road.published(only):
        with pytest.raises(TransientError):
            await road.loading.load(routed.drop, 1, routed.request)
    await road.bring(only, request=request_at(60))
    for drop in (before, after):
        await road.bring(drop)
    assert names(road) == [(0, "a"), (1, "a")]


async def test_contract_that_was_accepted_meanwhile_is_reverted(road: Road) -> None:
    """The ledger still says rejected: the contract waits to be applied again."""
    await road.contract(format={"null": "first"})
    final = road.land_contract(format={"null": "none"}, allowed_operations=["append"])
    refused = road.land_contract(format={"null": "nil"})
    drop = road.land("dev/append/users/a.csv", "id,name\n1,nil\n")
    for one in (final, refused, drop):
        await road.bring(one)
    await road.loading.revert(final, request_at(50))
    reopened = await road.published(final)
    for routed in reopened:
        if routed.drop.drop_id == drop.drop_id:
            await road.bring(routed.drop, routed.request)
    assert names(road) == [(1, None)]
    await road.revert(refused, request_at(51))
    for routed in reopened:
        await road.bring(routed.drop, routed.request)
    assert names(road) == [(1, "nil")]


async def test_contract_that_cannot_be_read_again_leaves_the_chain(road: Road) -> None:
    await road.contract()
    contract = road.land_contract(format={"null": "none"})
    drop = road.land("dev/append/users/a.csv", "id,name\n1,none\n")
    for one in (contract, drop):
        await road.bring(one)
    assert names(road) == [(1, None)]
    s3, bucket = road.aws.clients.s3, contract.bucket
    for version in s3.list_object_versions(Bucket=bucket, Prefix=contract.key)["Versions"]:
        s3.delete_object(Bucket=bucket, Key=contract.key, VersionId=version["VersionId"])
    assert isinstance(await road.bring(contract, request=request_at(60)), Rejected)
    assert names(road) == [(1, "none")]


@pytest.mark.parametrize("action", ["append", "truncate"])
async def test_rebuild_does_not_bring_a_drop_back_that_is_reverted_meanwhile(
    road: Road, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await road.contract()
    await road.append("id,name\n1,a\n")
    drop = road.land(f"dev/{action}/users/b.csv", "id,name\n2,b\n")
    await road.bring(drop)
    take_table = Rebuild._take_table

    async def take_later(self: Rebuild, one: Any) -> None:
        await road.revert(drop, request_at(50))
        await take_table(self, one)

    monkeypatch.setattr(Rebuild, "_take_table", take_later)
    async with (
        PostgresWarehouse.open(
            WarehouseAccess(road.dsn), connections=2, lock_timeout_seconds=5
        ) as warehouse,
        warehouse.connection() as connection,
    ):
        rebuild = Rebuild(connection, road.files, lambda _: None, stall_seconds=30)
        with pytest.raises(RebuildError, match="once more"):
            await rebuild.run("dev", "users")
    assert names(road) == [(1, "a")]


async def test_truncate_that_a_later_one_supersedes_reopens_nothing(road: Road) -> None:
    await road.contract()
    for number in range(3):
        await road.append(f"id\n{number}\n")
    earlier = road.land("dev/truncate/users/a.csv", "id\n8\n")
    later = road.land("dev/truncate/users/b.csv", "id\n9\n")
    for drop in (earlier, later):
        await road.bring(drop)
    await road.bring(earlier, request=request_at(60))
    assert road.scalar("select sum(reopenings) from headrace.ledger") == 0
    await road.revert(later, request_at(70))
    assert [row[0] for row in road.rows()] == [8]


async def test_drop_that_is_being_loaded_does_not_have_the_others_published_again(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    await road.contract()
    late = road.land_contract(format={"null": "none"})
    drops = [road.land(f"dev/append/users/{n}.csv", "id,name\n1,none\n") for n in range(5)]
    for drop in drops:
        await road.bring(drop)
    await road.loading.load(late, attempt=1)
    holding, go, undo = asyncio.Event(), asyncio.Event(), LoadTransaction.undo

    async def hold(self: LoadTransaction, claim: Any) -> int:
        holding.set()
        await go.wait()
        return await undo(self, claim)

    monkeypatch.setattr(LoadTransaction, "undo", hold)
    pages: list[int] = []

    async def publish(page: Sequence[DropRouted]) -> None:
        pages.append(len(page))

    async with PostgresWarehouse.open(
        WarehouseAccess(road.dsn), connections=5, lock_timeout_seconds=0.3
    ) as warehouse:
        other = Loading(road.files, warehouse, contract_wait_seconds=900)
        loading = asyncio.create_task(road.loading.load(drops[2], attempt=1))
        await holding.wait()
        for _ in range(3):
            with pytest.raises(TransientError):
                await other.publish_reopened(late, publish)
        go.set()
        await loading
        await other.publish_reopened(late, publish)
    assert pages == [4]


async def test_drop_that_an_older_version_reopened_is_published(road: Road) -> None:
    """A loader of the version before noted no opener, and died before it published."""
    await road.contract()
    late = road.land_contract(format={"null": "none"})
    drop = road.land("dev/append/users/a.csv", "id,name\n1,none\n")
    await road.bring(drop)
    await road.loading.load(late, attempt=1)
    with psycopg.connect(road.dsn) as connection:
        connection.execute("update headrace.ledger set reopened_by = null")
    await road.bring(late)
    assert names(road) == [(1, None)]
    assert not await road.published(late)

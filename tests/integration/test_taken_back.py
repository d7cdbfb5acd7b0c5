"""What a drop had taken away comes back when the drop ends otherwise; nothing else does."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any
from uuid import UUID

import pytest

from headrace_loader.outcomes import Loaded, Rejected, Reverted, Superseded
from headrace_shared.drop import Drop
from tests.road import CONTRACT, EPOCH, Road

pytestmark = pytest.mark.integration

KEYED: dict[str, Any] = {"primary_key": ["id"]}
DELETING: dict[str, Any] = {
    "columns": [*CONTRACT["columns"], {"name": "gone", "type": "boolean"}],
    "primary_key": ["id"],
    "delete_flag": "gone",
}


def request_at(second: int) -> int:
    """A request so many seconds after the first landing."""
    return int(EPOCH.timestamp() + second) * 1000


def names(road: Road, table: str = "dev.users") -> list[tuple[Any, Any]]:
    return [(number, name) for number, name, _ in road.rows(table)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_rejected_replacement_gives_the_version_before_it_back(
    road: Road, order: tuple[int, ...]
) -> None:
    await road.contract(on_reupload="replace")
    drops = [
        road.land("dev/append/users/same.csv", "id,name\n1,a\n2,a\n"),
        road.land_contract(on_reupload="replace", allowed_operations=["schema", "truncate"]),
        road.land("dev/append/users/same.csv", "id,name\n1,b\n"),
    ]
    other = road.land("dev/truncate/users/other.csv", "id,name\n9,z\n", at=0)
    await road.bring(other)
    for place in order:
        await road.bring(drops[place])
    assert names(road) == [(1, "a"), (2, "a"), (9, "z")]
    assert isinstance(await road.bring(drops[2]), Rejected)


async def test_rejected_upsert_gives_the_rows_of_other_files_back(road: Road) -> None:
    await road.contract(**KEYED)
    earlier = road.land("dev/append/users/a.csv", "id,name\n1,a\n2,a\n")
    late = road.land_contract(**KEYED, allowed_operations=["schema", "append"])
    upsert = road.land("dev/upsert/users/b.csv", "id,name\n1,b\n3,b\n")
    for drop in (earlier, upsert):
        await road.bring(drop)
    assert names(road) == [(1, "b"), (2, "a"), (3, "b")]
    await road.bring(late)
    assert names(road) == [(1, "a"), (2, "a")]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
async def test_truncate_forgets_no_deleted_key_of_another_table(
    road: Road, order: tuple[int, ...]
) -> None:
    tables = ("dev.users", "dev.others", "prod.users")
    for table in tables:
        await road.contract(table, **DELETING)
    late = [
        road.land(f"{table.replace('.', '/append/')}/late.csv", "id,name\n1,a\n2,a\n")
        for table in tables
    ]
    drops = [
        road.land("dev/upsert/others/b.csv", "id,gone\n1,true\n"),
        road.land("prod/upsert/users/b.csv", "id,gone\n1,true\n"),
        road.land("dev/truncate/users/c.csv", "id,name\n7,c\n"),
        road.land("dev/upsert/users/d.csv", "id,gone\n1,true\n"),
    ]
    for place in order:
        await road.bring(drops[place])
    for drop in late:
        await road.bring(drop)
    assert [names(road, table) for table in tables] == [[(7, "c")], [(2, "a")], [(2, "a")]]


async def test_truncate_leaves_the_keys_that_later_upserts_have_deleted(road: Road) -> None:
    await road.contract(**DELETING)
    truncate = road.land("dev/truncate/users/a.csv", "id,name\n7,a\n")
    late = road.land("dev/append/users/b.csv", "id,name\n1,b\n2,b\n")
    upsert = road.land("dev/upsert/users/c.csv", "id,gone\n1,true\n")
    for drop in (upsert, truncate, late):
        await road.bring(drop)
    assert names(road) == [(2, "b"), (7, "a")]


async def test_each_request_has_a_later_run_than_what_was_before_it(road: Road) -> None:
    await road.contract()
    late = road.land_contract(format={"null": "none"})
    drop = road.land("dev/append/users/a.csv", "id,name\n1,none\n")
    runs = [(await road.bring(drop)).run]
    await road.bring(late)
    runs.append((await road.bring(drop)).run)
    # Its run is the time at which it was loaded again: later than these requests.
    runs.append((await road.bring(drop, request=request_at(100))).run)
    runs.append((await road.loading.revert(drop, request_at(101))).run)
    runs.append((await road.bring(drop, request=request_at(102))).run)
    assert sorted(set(runs)) == runs
    assert names(road) == [(1, None)]


@pytest.mark.parametrize("action", ["append", "truncate"])
async def test_version_that_comes_under_two_ids_is_loaded_once(road: Road, action: str) -> None:
    await road.contract()
    event = _versioned(road, road.land(f"dev/{action}/users/a.csv", "id,name\n1,a\n"))
    listed = event.model_copy(update={"drop_id": UUID(int=event.drop_id.int + 1)})
    first = await road.bring(event)
    assert isinstance(first, Loaded)
    for _ in range(2):
        second = await road.bring(listed)
        assert isinstance(second, Superseded)
        assert (second.by, second.repeated) == (event.drop_id, True)
    assert names(road) == [(1, "a")]
    assert road.scalar("select count(*) from headrace.ledger where action <> 'schema'") == 1


async def test_replays_at_the_same_time_load_a_drop_once(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/a.csv", "id,name\n1,a\n2,b\n")
    await road.bring(drop)
    outcomes = await asyncio.gather(
        *(road.loading.load(drop, attempt=1, request=request_at(100 + n)) for n in range(4)),
        road.loading.revert(drop, request_at(99)),
    )
    assert all(isinstance(one, Loaded | Reverted) for one in outcomes)
    last = await road.bring(drop, request=request_at(200))
    assert last.run > max(one.run for one in outcomes)
    assert names(road) == [(1, "a"), (2, "b")]


def _versioned(road: Road, drop: Drop) -> Drop:
    """The drop as S3's event names it: with its version."""
    head = road.aws.clients.s3.head_object(Bucket=drop.bucket, Key=drop.key)
    return drop.model_copy(update={"version_id": head["VersionId"]})

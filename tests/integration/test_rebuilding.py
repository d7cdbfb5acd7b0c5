"""A table made again from the lake is the same table, whatever had happened to it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.rebuilding import Rebuild, RebuildError
from headrace_shared.warehouse_access import WarehouseAccess
from tests.real_parts import AwsStack
from tests.road import CONTRACT, Road

DELETING: dict[str, Any] = {
    "columns": [*CONTRACT["columns"], {"name": "gone", "type": "boolean"}],
    "primary_key": ["id"],
    "delete_flag": "gone",
    "on_reupload": "replace",
}


@asynccontextmanager
async def rebuilding(road: Road, told: list[str] | None = None) -> AsyncIterator[Rebuild]:
    async with (
        PostgresWarehouse.open(
            WarehouseAccess(road.dsn), connections=2, lock_timeout_seconds=5
        ) as warehouse,
        warehouse.connection() as connection,
    ):
        tell = (told if told is not None else []).append
        yield Rebuild(connection, road.files, tell, stall_seconds=30)


def whole(road: Road) -> list[tuple[object, ...]]:
    with psycopg.connect(road.dsn) as connection:
        return connection.execute(
            "select id, name, _drop_id from dev.users order by 1, 2, 3"
        ).fetchall()


def damage(road: Road) -> None:
    with psycopg.connect(road.dsn) as connection:
        connection.execute("delete from dev.users where id = 1")
        connection.execute("update dev.users set name = 'damaged' where id = 9")


async def story(road: Road) -> None:
    await road.contract(**DELETING)
    for key, body in (
        ("append/users/a.csv", "id,name\n7,before\n"),
        ("truncate/users/b.csv", "id,name\n1,a\n2,a\n3,a\n"),
        ("append/users/same.csv", "id,name\n8,old\n"),
        ("upsert/users/c.csv", "id,name,gone\n2,c,\n3,,true\n4,c,\n"),
        ("append/users/same.csv", "id,name\n9,new\n"),
        ("append/users/bad.csv", "id\nx\n"),
        ("upsert/users/d.csv", "id,name,gone\n4,d,\n"),
    ):
        await road.bring(road.land(f"dev/{key}", body))


async def test_rebuild_gives_the_content_that_the_drops_gave(road: Road) -> None:
    await story(road)
    good = whole(road)
    assert [row[:2] for row in good] == [(1, "a"), (2, "c"), (4, "d"), (9, "new")]
    damage(road)
    async with rebuilding(road) as rebuild:
        done = await rebuild.run("dev", "users")
    assert whole(road) == good
    assert (done.rows_before, done.rows_after) == (3, 4)
    assert road.scalar(
        "select bool_and(rows_loaded - rows_removed = (select count(*) from dev.users "
        "where _drop_id = drop_id)) from headrace.ledger "
        "where outcome = 'loaded' and action <> 'schema' and key not like '%/a.csv'"
    )


async def test_drops_that_come_late_meet_the_rebuilt_table_as_they_would_have_met_the_old(
    road: Road,
) -> None:
    await road.contract(**DELETING)
    late = road.land("dev/append/users/late.csv", "id,name\n1,late\n2,late\n")
    await road.bring(road.land("dev/upsert/users/u.csv", "id,gone\n1,true\n"))
    async with rebuilding(road) as rebuild:
        await rebuild.run("dev", "users")
    await road.bring(late)
    assert [row[:2] for row in whole(road)] == [(2, "late")]


async def test_loads_that_land_meanwhile_are_not_lost(road: Road) -> None:
    await story(road)
    told: list[str] = []
    async with rebuilding(road, told) as rebuild:
        drops = [
            road.land(f"dev/append/users/m{number}.csv", f"id\n{100 + number}\n")
            for number in range(30)
        ]
        running = asyncio.create_task(rebuild.run("dev", "users"))
        for drop in drops:
            await road.bring(drop)
        await running
    assert [row[0] for row in whole(road)] == [1, 2, 4, 9, *range(100, 130)]


async def test_rows_that_no_drop_brought_are_kept(road: Road) -> None:
    await road.contract()
    await road.append("id\n1\n")
    with psycopg.connect(road.dsn) as connection:
        connection.execute("insert into dev.users (id) values (5)")
    async with rebuilding(road) as rebuild:
        await rebuild.run("dev", "users")
    assert [row[0] for row in whole(road)] == [1, 5]


async def test_views_and_grants_stay(road: Road) -> None:
    await road.contract()
    await road.append("id\n1\n")
    with psycopg.connect(road.dsn) as connection:
        connection.execute("create view dev.seen as select id from dev.users")
    async with rebuilding(road) as rebuild:
        await rebuild.run("dev", "users")
    assert road.scalar("select id from dev.seen") == 1


async def test_file_that_is_gone_stops_the_rebuild_and_leaves_the_table(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    await road.bring(drop)
    s3 = road.aws.clients.s3
    for version in s3.list_object_versions(Bucket=drop.bucket, Prefix=drop.key)["Versions"]:
        s3.delete_object(Bucket=drop.bucket, Key=drop.key, VersionId=version["VersionId"])
    async with rebuilding(road) as rebuild:
        with pytest.raises(RebuildError, match=str(drop.drop_id)):
            await rebuild.run("dev", "users")
    assert [row[0] for row in whole(road)] == [1]


async def test_table_without_a_contract_is_told(road: Road) -> None:
    async with rebuilding(road) as rebuild:
        with pytest.raises(RebuildError, match="has no contract"):
            await rebuild.run("dev", "users")


async def test_task_rebuilds_and_says_so(road: Road, aws_stack: AwsStack) -> None:
    await story(road)
    damage(road)
    env = {
        **os.environ,
        "HEADRACE_WAREHOUSE_DSN": road.dsn,
        "HEADRACE_INBOX_URL": aws_stack.queue_url("loader"),
        "HEADRACE_BUS_NAME": road.aws.resources.bus,
        "HEADRACE_LAKE_BUCKET": road.aws.resources.bucket.name,
        "HEADRACE_QUARANTINE_BUCKET": road.aws.resources.quarantine.name,
    }
    command = [sys.executable, "-m", "headrace_loader.rebuild"]
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, "dev.users"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("rebuilt from 5 drops: 3 rows before, 4 now\n"), done.stderr
    wrong = await asyncio.to_thread(
        subprocess.run,
        [*command, "dev.nothing"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 1
    assert "rebuild: dev.nothing has no contract" in wrong.stderr


async def test_table_that_was_dropped_by_hand_comes_back_by_its_contract_and_a_rebuild(
    road: Road,
) -> None:
    await story(road)
    good = whole(road)
    with psycopg.connect(road.dsn) as connection:
        connection.execute("drop table dev.users")
    await road.contract(**DELETING)
    assert whole(road) == []
    async with rebuilding(road) as rebuild:
        await rebuild.run("dev", "users")
    assert whole(road) == good

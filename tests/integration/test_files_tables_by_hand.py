"""Tables that were made by hand are taken over as they are, and stay what they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import LiteralString

import pytest

from headrace_loader.outcomes import Applied, Loaded, Rejected
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.rebuilding import Rebuild, RebuildError
from headrace_shared.warehouse_access import WarehouseAccess
from tests.hand_made import COLUMNS, QUARANTINE, bad_rows, by_hand, rows
from tests.road import Road

HAND_MADE: tuple[LiteralString, ...] = (
    "create type dev.mood as enum ('good', 'bad')",
    """create table dev.users (id int, t text, made timestamptz not null default '2026-01-01',
        number serial, always int generated always as identity,
        upper text generated always as (upper(t)) stored,
        address inet, mood dev.mood, secret text)""",
    """insert into dev.users (id, t, made, address, mood, secret)
        values (9, 'old', '2020-02-02', '10.0.0.1', 'good', 'keep me')""",
)
FILLED = "id, t, made::date::text, number, always, upper"
OTHERS = "id, t, host(address), mood::text, secret"


@pytest.mark.parametrize("evolution", ["safe", "allow_breaking"])
@pytest.mark.parametrize("times", [1, 2])
async def test_table_made_by_hand_is_taken_over_as_it_is(
    road: Road, evolution: str, times: int
) -> None:
    by_hand(road, *HAND_MADE)
    for _ in range(times):
        applied = await road.contract(columns=COLUMNS, evolution=evolution)
        assert isinstance(applied, Applied), applied
    assert isinstance(await road.append("id,t\n1,a\n2,b\n"), Loaded)
    assert rows(road, FILLED) == [
        (1, "a", "2026-01-01", 2, 2, "A"),
        (2, "b", "2026-01-01", 3, 3, "B"),
        (9, "old", "2020-02-02", 1, 1, "OLD"),
    ]
    assert rows(road, OTHERS)[2] == (9, "old", "10.0.0.1", "good", "keep me")


async def test_column_that_is_added_by_hand_later_stays_when_the_contract_changes(
    road: Road,
) -> None:
    await road.contract(columns=COLUMNS)
    await road.append("id,t\n1,a\n")
    by_hand(road, "alter table dev.users add column note text default 'by hand'")
    more = [*COLUMNS, {"name": "n", "type": "integer"}]
    assert isinstance(await road.contract(columns=more), Applied)
    assert isinstance(await road.contract(columns=COLUMNS, evolution="allow_breaking"), Applied)
    assert rows(road, "id, t, note") == [(1, "a", "by hand")]


async def test_revert_of_the_contract_leaves_what_it_has_not_declared(road: Road) -> None:
    by_hand(road, *HAND_MADE)
    contract = road.land_contract(columns=[*COLUMNS, {"name": "n", "type": "integer"}])
    await road.bring(contract)
    await road.revert(contract, 1_900_000_000_000)
    assert rows(road, OTHERS) == [(9, "old", "10.0.0.1", "good", "keep me")]
    assert isinstance(await road.contract(columns=COLUMNS, evolution="allow_breaking"), Applied)
    assert rows(road, OTHERS) == [(9, "old", "10.0.0.1", "good", "keep me")]


async def test_contract_that_comes_late_takes_no_values_from_columns_of_others(road: Road) -> None:
    by_hand(road, *HAND_MADE)
    early = road.land_contract(columns=COLUMNS)
    assert isinstance(
        await road.contract(columns=[*COLUMNS, {"name": "secret", "type": "text"}]), Applied
    )
    assert isinstance(await road.bring(early), Applied)
    assert rows(road, OTHERS) == [(9, "old", "10.0.0.1", "good", "keep me")]


UNFIT: dict[str, tuple[LiteralString, str]] = {
    "generated": ("id int, t text generated always as ('x') stored", "the column 't'"),
    "identity": ("id int generated always as identity, t text", "the column 'id'"),
    "not null": ("id int, t text, must int not null", "'must' must not be null"),
    "other case": ('id int, "T" text', "has the column 'T'"),
}


@pytest.mark.parametrize(("columns", "message"), UNFIT.values(), ids=UNFIT)
async def test_table_that_no_row_can_fill_refuses_the_contract(
    road: Road, columns: LiteralString, message: str
) -> None:
    by_hand(road, "create table dev.users (" + columns + ")")
    refused = await road.contract(columns=COLUMNS, evolution="allow_breaking")
    assert isinstance(refused, Rejected), refused
    assert message in refused.reason.message
    assert refused.reason.remedy


async def test_trigger_may_fill_what_must_not_be_null(road: Road) -> None:
    by_hand(
        road,
        "create table dev.users (id int, t text, must int not null)",
        "create function dev.fill() returns trigger language plpgsql as "
        "$$ begin new.must = 7; return new; end $$",
        "create trigger fill before insert on dev.users for each row execute function dev.fill()",
    )
    await road.contract(columns=COLUMNS)
    assert isinstance(await road.append("id,t\n1,a\n"), Loaded)
    assert rows(road, "id, must") == [(1, 7)]


async def test_key_made_by_hand_keeps_its_not_null(road: Road) -> None:
    by_hand(road, "create table dev.users (id int primary key, t text)")
    assert isinstance(await road.contract(columns=COLUMNS, on_bad_rows=QUARANTINE), Applied)
    loaded = await road.append("id,t\n1,a\n,b\n")
    assert isinstance(loaded, Loaded), loaded
    assert bad_rows(loaded) == [(3, "refused_by_table")]


async def test_upsert_keeps_what_columns_of_others_hold(road: Road) -> None:
    by_hand(road, *HAND_MADE)
    await road.contract(columns=COLUMNS, primary_key=["id"], on_bad_rows=QUARANTINE)
    await road.append("id,t\n1,a\n1,b\n,n\n")
    by_hand(road, "update dev.users set secret = 'of ' || t where secret is null")
    loaded = await road.load("dev/upsert/users/u.csv", "id,t\n9,new\n1,c\n,m\n2,d\n2,e\n")
    assert isinstance(loaded, Loaded), loaded
    assert rows(road, "id, t, secret, upper") in (
        [
            (1, "c", f"of {kept}", "C"),
            (2, "e", None, "E"),
            (9, "new", "keep me", "NEW"),
            (None, "m", "of n", "M"),
        ]
        for kept in "ab"
    )
    removed = road.scalar(
        "select rows_removed from headrace.ledger where action = 'append' and outcome = 'loaded'"
    )
    assert (removed, loaded.rows_removed) == (3, 1)


async def test_upsert_in_place_removes_keys_and_leaves_out_refused_rows(road: Road) -> None:
    columns = [*COLUMNS, {"name": "gone", "type": "boolean"}]
    by_hand(
        road,
        "create table dev.users (id int, t text check (length(t) < 3), gone boolean, secret text)",
        "insert into dev.users (id, t, secret) values (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z')",
    )
    await road.contract(
        columns=columns, primary_key=["id"], delete_flag="gone", on_bad_rows=QUARANTINE
    )
    loaded = await road.load(
        "dev/upsert/users/u.csv", "id,t,gone\n1,long,\n2,,true\n3,C,\n4,long,\n5,e,false\n"
    )
    assert isinstance(loaded, Loaded), loaded
    assert bad_rows(loaded) == [(2, "refused_by_table"), (5, "refused_by_table")]
    assert rows(road, "id, t, secret") == [(1, "a", "x"), (3, "C", "z"), (5, "e", None)]


async def test_rows_that_others_refer_to_are_updated_where_they_are(road: Road) -> None:
    by_hand(
        road,
        "create table dev.users (id int primary key, t text)",
        "create table dev.orders (user_id int references dev.users on delete cascade)",
    )
    await road.contract(columns=COLUMNS, primary_key=["id"])
    await road.append("id,t\n1,a\n2,b\n")
    by_hand(road, "insert into dev.orders values (1)")
    assert isinstance(await road.load("dev/upsert/users/u.csv", "id,t\n1,A\n3,c\n"), Loaded)
    assert rows(road) == [(1, "A"), (2, "b"), (3, "c")]
    assert road.scalar("select count(*) from dev.orders") == 1


async def test_truncate_of_a_table_that_others_refer_to_loads_where_no_row_does(
    road: Road,
) -> None:
    by_hand(
        road,
        "create table dev.users (id int primary key, t text)",
        "create table dev.orders (user_id int references dev.users)",
    )
    await road.contract(columns=COLUMNS)
    await road.append("id,t\n1,a\n")
    assert isinstance(await road.truncate("id,t\n1,b\n2,c\n"), Loaded)
    assert rows(road) == [(1, "b"), (2, "c")]


async def test_append_that_comes_late_is_held_against_a_column_named_drop_id(road: Road) -> None:
    columns = [*COLUMNS, {"name": "drop_id", "type": "text"}]
    await road.contract(columns=columns, primary_key=["id", "drop_id"])
    late = road.land("dev/append/users/late.csv", "id,t,drop_id\n1,a,x\n2,b,x\n")
    await road.load("dev/upsert/users/u.csv", "id,t,drop_id\n1,A,x\n")
    assert isinstance(await road.bring(late), Loaded)
    assert rows(road) == [(1, "A"), (2, "b")]


@asynccontextmanager
async def rebuilding(road: Road) -> AsyncIterator[Rebuild]:
    access = WarehouseAccess(road.dsn)
    async with (
        PostgresWarehouse.open(access, connections=2, lock_timeout_seconds=5) as warehouse,
        warehouse.connection() as connection,
    ):
        yield Rebuild(connection, road.files, lambda _: None, stall_seconds=30)


async def test_rebuild_keeps_what_columns_of_others_hold(road: Road) -> None:
    by_hand(road, *HAND_MADE)
    await road.contract(columns=COLUMNS, primary_key=["id"])
    await road.append("id,t\n1,a\n1,a\n2,b\n")
    await road.load("dev/upsert/users/u.csv", "id,t\n2,B\n3,c\n")
    by_hand(road, "update dev.users set secret = 'of ' || id where secret is null")
    before = rows(road, "*")
    by_hand(road, "delete from dev.users where id = 3", "update dev.users set t = 'x' where id = 2")
    async with rebuilding(road) as rebuild:
        await rebuild.run("dev", "users")
    assert rows(road) == [(1, "a"), (1, "a"), (2, "B"), (3, "c"), (9, "old")]
    kept = [row for row in before if row[0] in (1, 9)]
    assert [row for row in rows(road, "*") if row[0] in (1, 9)] == kept


async def test_rebuild_leaves_out_the_rows_that_a_check_refuses(road: Road) -> None:
    by_hand(road, "create table dev.users (id int check (id > 0), t text)")
    await road.contract(columns=COLUMNS, primary_key=["id"], on_bad_rows=QUARANTINE)
    await road.append("id,t\n1,a\n-2,b\n3,c\n")
    by_hand(road, "delete from dev.users")
    async with rebuilding(road) as rebuild:
        await rebuild.run("dev", "users")
    assert rows(road) == [(1, "a"), (3, "c")]


async def test_rebuild_that_the_table_refuses_names_the_rule_and_changes_nothing(
    road: Road,
) -> None:
    by_hand(
        road,
        "create table dev.parents (id int primary key)",
        "insert into dev.parents values (1)",
        "create table dev.users (id int constraint known references dev.parents, t text)",
    )
    await road.contract(columns=COLUMNS, on_bad_rows=QUARANTINE)
    await road.append("id,t\n1,a\n2,b\n")
    async with rebuilding(road) as rebuild:
        with pytest.raises(RebuildError, match="breaks the foreign key known of"):
            await rebuild.run("dev", "users")
    assert rows(road) == [(1, "a")]

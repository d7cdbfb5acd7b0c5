"""Whatever the order in which drops are loaded, the table holds what their order of landing gives.

A few cases that people ask about, each in every order; tests/model has the law in general.
"""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg
import pytest

from headrace_loader.outcomes import Applied, Loaded, Rejected, Reverted, Superseded
from headrace_shared.contract import Contract, OnReupload
from headrace_shared.drop import Drop
from headrace_shared.errors import TransientError
from headrace_shared.testing.builders import a_drop
from tests.road import CONTRACT, EPOCH, Road

KEYED: dict[str, Any] = {"primary_key": ["id"]}
DELETING: dict[str, Any] = {
    "columns": [*CONTRACT["columns"], {"name": "gone", "type": "boolean"}],
    "primary_key": ["id"],
    "delete_flag": "gone",
}

ORDERS = list(itertools.permutations(range(4)))[::5]


def request_at(second: int) -> int:
    """A request so many seconds after the first landing."""
    return int(EPOCH.timestamp() + second) * 1000


async def bring_all(road: Road, drops: list[Drop], order: tuple[int, ...]) -> None:
    for place in order:
        await road.bring(drops[place])
    for drop in drops:
        await road.bring(drop)


def names(road: Road) -> list[tuple[Any, Any]]:
    return [(number, name) for number, name, _ in road.rows()]


@pytest.mark.parametrize("order", ORDERS)
async def test_upsert_sets_the_latest_row_of_each_key(road: Road, order: tuple[int, ...]) -> None:
    await road.contract(**KEYED)
    drops = [
        road.land("dev/append/users/a.csv", "id,name\n1,a\n2,a\n2,b\n"),
        road.land("dev/upsert/users/b.csv", "id,name\n2,c\n3,c\n3,d\n"),
        road.land("dev/upsert/users/c.csv", "id,name\n3,e\n"),
        road.land("dev/append/users/d.csv", "id,name\n3,f\n"),
    ]
    await bring_all(road, drops, order)
    assert names(road) == [(1, "a"), (2, "c"), (3, "e"), (3, "f")]


@pytest.mark.parametrize("order", ORDERS)
async def test_delete_flag_removes_keys(road: Road, order: tuple[int, ...]) -> None:
    await road.contract(**DELETING)
    drops = [
        road.land("dev/append/users/a.csv", "id,name\n1,a\n2,a\n"),
        road.land("dev/upsert/users/b.csv", "id,name,gone\n1,,true\n3,b,false\n"),
        road.land("dev/upsert/users/c.csv", "id,name,gone\n3,,true\n4,c,\n"),
        road.land("dev/append/users/d.csv", "id,name\n1,d\n"),
    ]
    await bring_all(road, drops, order)
    assert names(road) == [(1, "d"), (2, "a"), (4, "c")]


@pytest.mark.parametrize("order", ORDERS)
async def test_nulls_in_a_key_are_equal(road: Road, order: tuple[int, ...]) -> None:
    await road.contract(primary_key=["name", "id"])
    drops = [
        road.land("dev/append/users/a.csv", "id,name,day\n1,,2026-01-01\n1,x,2026-01-01\n"),
        road.land("dev/upsert/users/b.csv", "id,name,day\n1,,2026-01-02\n"),
        road.land("dev/upsert/users/c.csv", "id,name,day\n1,,\n"),
        road.land("dev/upsert/users/d.csv", "id,name,day\n2,,\n"),
    ]
    await bring_all(road, drops, order)
    assert road.rows() == [(1, "x", "2026-01-01"), (1, None, None), (2, None, None)]


@pytest.mark.parametrize("order", ORDERS)
async def test_replace_lets_earlier_versions_give_way(road: Road, order: tuple[int, ...]) -> None:
    await road.contract(on_reupload="replace")
    drops = [
        road.land("dev/append/users/same.csv", "id,name\n1,a\n2,a\n"),
        road.land("dev/append/users/other.csv", "id,name\n9,z\n"),
        road.land("dev/append/users/same.csv", "id,name\n1,b\n"),
        road.land("dev/append/users/same.csv", "id,name\n1,c\n"),
    ]
    await bring_all(road, drops, order)
    assert names(road) == [(1, "c"), (9, "z")]


@pytest.mark.parametrize("order", ORDERS)
async def test_correction_replaces_its_earlier_versions_by_default(
    road: Road, order: tuple[int, ...]
) -> None:
    await road.contract(on_bad_rows={"mode": "quarantine"})
    original = road.land("dev/append/users/a.csv", "id,name\n1,a\nx,b\ny,c\n")
    key = f"dev/append/users/a.corrects-{original.drop_id}.csv"
    drops = [
        original,
        road.land(key, "id,name\n2,b\ny,c\n"),
        road.land(key, "id,name\n2,b\n3,c\n"),
        road.land(key, "id,name\n2,b\n3,c\n"),
    ]
    await bring_all(road, drops, order)
    assert names(road) == [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.parametrize("order", ORDERS)
async def test_correction_is_added_where_the_contract_says_append(
    road: Road, order: tuple[int, ...]
) -> None:
    await road.contract(on_reupload="append")
    original = road.land("dev/append/users/a.csv", "id,name\n1,a\n")
    key = f"dev/append/users/a.corrects-{original.drop_id}.csv"
    drops = [original, *(road.land(key, "id,name\n2,b\n") for _ in range(3))]
    await bring_all(road, drops, order)
    assert names(road) == [(1, "a"), (2, "b"), (2, "b"), (2, "b")]


CORRECTS = f".corrects-{UUID(int=10**37)}"
PARTS = (CORRECTS, CORRECTS[:-1], ".", ".csv", "/", "a", "a\n", "\n")


async def test_sql_and_python_agree_on_what_a_second_upload_means(road: Road) -> None:
    await road.contract()
    contracts = [
        Contract.model_validate({**CONTRACT, "on_reupload": rule}) for rule in (None, *OnReupload)
    ]
    with psycopg.connect(road.dsn) as connection:
        for file in map("".join, itertools.product(PARTS, repeat=3)):
            drop = a_drop(f"dev/append/users/{file}")
            rules = [contract.on_reupload_of(drop) for contract in contracts]
            documents = [json.dumps(contract.model_dump(mode="json")) for contract in contracts]
            row = connection.execute(
                "select array_agg(headrace.on_reupload(one::jsonb, %s) order by place) "
                "from unnest(%s::text[]) with ordinality as given (one, place)",
                [drop.key, documents],
            ).fetchone()
            assert row == (rules,), drop.key


@pytest.mark.parametrize("order", ORDERS)
async def test_reject_keeps_the_first_version(road: Road, order: tuple[int, ...]) -> None:
    await road.contract(on_reupload="reject")
    drops = [
        road.land("dev/append/users/same.csv", "id,name\n1,a\n"),
        road.land("dev/append/users/same.csv", "id,name\n1,b\n"),
        road.land("dev/append/users/other.csv", "id,name\n2,a\n"),
        road.land("dev/append/users/same.csv", "id,name\n1,c\n"),
    ]
    await bring_all(road, drops, order)
    assert names(road) == [(1, "a"), (2, "a")]
    last = await road.bring(drops[3])
    assert isinstance(last, Rejected)
    assert last.reason.code == "reuploaded"
    assert any(str(drop.drop_id) in last.reason.message for drop in drops[:2])


@pytest.mark.parametrize("order", ORDERS)
async def test_each_drop_is_read_under_the_contract_of_its_place(
    road: Road, order: tuple[int, ...]
) -> None:
    drops = [
        road.land_contract(format={"null": "none"}),
        road.land("dev/append/users/a.csv", "id,name\n1,none\n2,nil\n"),
        road.land_contract(format={"null": "nil"}),
        road.land("dev/append/users/b.csv", "id,name\n3,none\n4,nil\n"),
    ]
    for place in order:
        with suppress(TransientError):  # data before the first contract waits
            await road.bring(drops[place])
    for drop in drops:
        await road.bring(drop)
    assert names(road) == [(1, None), (2, "nil"), (3, "none"), (4, None)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_contracts_form_the_same_chain_in_any_order(
    road: Road, order: tuple[int, ...]
) -> None:
    note, tag = ({"name": name, "type": "text"} for name in ("note", "tag"))
    drops = [
        road.land_contract(columns=CONTRACT["columns"]),
        road.land_contract(columns=[*CONTRACT["columns"], note]),
        road.land_contract(columns=[*CONTRACT["columns"], tag]),
    ]
    data = road.land("dev/append/users/a.csv", "id,name\n1,a\n")
    await bring_all(road, drops, order)
    await road.bring(data)
    outcomes = [await road.bring(drop) for drop in drops]
    assert [type(outcome) for outcome in outcomes] == [Applied, Applied, Rejected]
    assert (
        road.scalar(
            "select string_agg(attname, ',' order by attname) from pg_attribute "
            "where attrelid = 'dev.users'::regclass and attnum > 0 and not attisdropped"
        )
        == "_drop_id,day,id,name,note"
    )


async def test_a_wider_type_keeps_the_rows_and_takes_larger_ones(road: Road) -> None:
    await road.contract()
    first = road.land("dev/append/users/a.csv", "id,name\n1,a\n")
    columns = [dict(column) for column in CONTRACT["columns"]]
    columns[1]["type"] = "text"
    wider = road.land_contract(columns=columns)
    late = road.land("dev/append/users/c.csv", "id,name\n3,much longer than ten\n")
    for drop in (wider, late, first):
        await road.bring(drop)
    assert names(road) == [(1, "a"), (3, "much longer than ten")]


async def test_breaking_contract_is_refused_unless_it_says_so(road: Road) -> None:
    await road.contract()
    await road.append("id,name\n1,5\n")
    columns = [CONTRACT["columns"][0], {"name": "name", "type": "integer"}]
    refused = await road.contract(columns=columns)
    assert isinstance(refused, Rejected)
    assert "'name'" in refused.reason.message
    applied = await road.contract(columns=columns, evolution="allow_breaking")
    assert isinstance(applied, Applied)
    assert road.scalar("select name + 1 from dev.users") == 6


async def test_breaking_contract_that_the_rows_do_not_bear_is_refused(road: Road) -> None:
    await road.contract()
    await road.append("id,name\n1,five\n")
    columns = [CONTRACT["columns"][0], {"name": "name", "type": "integer"}]
    refused = await road.contract(columns=columns, evolution="allow_breaking")
    assert isinstance(refused, Rejected)
    assert "five" in refused.reason.message
    assert isinstance(await road.append("id,name\n2,six\n"), Loaded)


async def test_rejected_drop_is_replayed_under_the_contract_of_the_request(road: Road) -> None:
    await road.contract(allowed_operations=["schema", "truncate"])
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    assert isinstance(await road.bring(drop), Rejected)
    await road.contract()
    assert isinstance(await road.bring(drop), Rejected)
    replayed = await road.bring(drop, request=request_at(100))
    assert isinstance(replayed, Loaded)
    assert replayed.run == request_at(100)
    assert [row[0] for row in road.rows()] == [1]
    again = await road.bring(drop, request=request_at(100))
    assert again.repeated
    assert [row[0] for row in road.rows()] == [1]


async def test_replay_of_a_loaded_drop_mends_its_rows(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/a.csv", "id\n1\n2\n")
    await road.bring(drop)
    with psycopg.connect(road.dsn) as connection:
        connection.execute("delete from dev.users where id = 1")
    await road.bring(drop, request=request_at(100))
    assert [row[0] for row in road.rows()] == [1, 2]


async def test_revert_takes_rows_out_and_replay_brings_them_back(road: Road) -> None:
    await road.contract()
    kept = road.land("dev/append/users/a.csv", "id\n1\n")
    drop = road.land("dev/append/users/b.csv", "id\n2\n3\n")
    for each in (kept, drop):
        await road.bring(each)
    reverted = await road.loading.revert(drop, request_at(50))
    assert reverted == Reverted(2, 2, run=request_at(50))
    assert [row[0] for row in road.rows()] == [1]
    assert isinstance(await road.bring(drop), Reverted)
    await road.bring(drop, request=request_at(60))
    assert [row[0] for row in road.rows()] == [1, 2, 3]
    late = await road.loading.revert(drop, request_at(55))
    assert isinstance(late, Loaded)
    assert [row[0] for row in road.rows()] == [1, 2, 3]


async def test_reverted_upsert_has_still_taken_away_what_it_replaced(road: Road) -> None:
    await road.contract(**KEYED)
    late = road.land("dev/append/users/a.csv", "id,name\n1,a\n2,a\n")
    upsert = road.land("dev/upsert/users/b.csv", "id,name\n1,b\n")
    await road.bring(upsert)
    await road.loading.revert(upsert, request_at(50))
    await road.bring(late)
    assert names(road) == [(2, "a")]


async def test_revert_of_a_drop_that_is_still_on_its_way_waits(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    with pytest.raises(TransientError):
        await road.loading.revert(drop, request_at(50))


async def test_upsert_without_a_key_is_rejected(road: Road) -> None:
    await road.contract()
    outcome = await road.load("dev/upsert/users/a.csv", "id\n1\n")
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "primary_key_missing"


async def test_late_upsert_behind_a_truncate_is_superseded(road: Road) -> None:
    await road.contract(**KEYED)
    upsert = road.land("dev/upsert/users/a.csv", "id\n1\n")
    truncate = road.land("dev/truncate/users/b.csv", "id\n2\n")
    await road.bring(truncate)
    assert await road.bring(upsert) == Superseded(truncate.drop_id)


async def test_ledger_counts_the_rows_that_are_there(road: Road) -> None:
    await road.contract(**DELETING)
    drops = [
        road.land("dev/append/users/a.csv", "id,name\n1,a\n2,a\n3,a\n"),
        road.land("dev/upsert/users/b.csv", "id,name,gone\n1,b,\n1,c,\n2,,true\n4,b,\n"),
        road.land("dev/upsert/users/c.csv", "id,name,gone\n4,c,\n"),
    ]
    for drop in (drops[1], drops[2], drops[0]):
        await road.bring(drop)
    assert road.scalar(
        "select bool_and(rows_loaded - rows_removed = (select count(*) from dev.users "
        "where _drop_id = drop_id)) from headrace.ledger where action <> 'schema'"
    )
    assert names(road) == [(1, "c"), (3, "a"), (4, "c")]


async def test_upsert_that_is_rejected_after_all_gives_its_keys_back(road: Road) -> None:
    """Superseded by a later version of its key, it had still taken its keys away."""
    rejecting = road.land_contract(**KEYED, on_reupload="reject")
    first = road.land("dev/upsert/users/same.csv", "id,name\n9,z\n")
    kept = road.land("dev/append/users/a.csv", "id,name\n3,a\n")
    taking = road.land("dev/upsert/users/same.csv", "id,name\n3,b\n")
    replacing = road.land_contract(**KEYED, on_reupload="replace")
    last = road.land("dev/upsert/users/same.csv", "id,name\n4,c\n")
    for drop in (replacing, first, kept, last, taking, rejecting):
        await road.bring(drop)
    assert names(road) == [(3, "a"), (4, "c")]


async def test_revert_waits_for_a_drop_that_is_about_to_be_loaded_again(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    await road.bring(drop)
    with psycopg.connect(road.dsn) as connection:
        connection.execute(
            "update headrace.ledger set reopened_at = now() where drop_id = %s", [drop.drop_id]
        )
    with pytest.raises(TransientError):
        await road.loading.revert(drop, request_at(50))
    await road.bring(drop)
    assert isinstance(await road.loading.revert(drop, request_at(50)), Reverted)
    assert road.rows() == []


async def test_older_replay_behind_an_revert_still_chooses_the_contract(road: Road) -> None:
    await road.contract(allowed_operations=["schema", "truncate"])
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    await road.bring(drop)
    await road.contract()
    await road.loading.revert(drop, request_at(60))
    assert isinstance(await road.bring(drop, request=request_at(50)), Reverted)
    assert road.rows() == []

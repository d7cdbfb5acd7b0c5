"""Whatever the order in which drops are loaded, the table holds what their order of landing gives.

A few cases that people ask about, each in every order; tests/model has the law in general.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg
import pytest

from headrace_loader.outcomes import Applied, Loaded, Rejected, Reverted, Superseded
from headrace_shared.contract import Contract, OnReupload
from headrace_shared.drop import Drop
from headrace_shared.errors import PermanentError, TransientError
from headrace_shared.facts import DropRouted
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
    assert reverted == Reverted(2, run=request_at(50), reopens=True)
    assert [row[0] for row in road.rows()] == [1]
    assert isinstance(await road.bring(drop), Reverted)
    await road.bring(drop, request=request_at(60))
    assert [row[0] for row in road.rows()] == [1, 2, 3]
    late = await road.loading.revert(drop, request_at(55))
    assert isinstance(late, Loaded)
    assert [row[0] for row in road.rows()] == [1, 2, 3]


@pytest.mark.parametrize("late", [True, False])
async def test_reverted_upsert_gives_the_earlier_values_back(road: Road, late: bool) -> None:
    await road.contract(**DELETING)
    earlier = road.land("dev/append/users/a.csv", "id,name\n1,a\n2,a\n3,a\n")
    other = road.land("dev/append/users/other.csv", "id,name\n9,z\n")
    upsert = road.land("dev/upsert/users/b.csv", "id,name,gone\n1,b,\n3,,true\n")
    for drop in (other, upsert) if late else (other, earlier, upsert):
        await road.bring(drop)
    outcome = await road.loading.revert(upsert, request_at(50))
    published = await road.load_reopened(upsert, outcome)
    await road.bring(earlier)
    assert names(road) == [(1, "a"), (2, "a"), (3, "a"), (9, "z")]
    assert [one.drop.drop_id for one in published] == ([] if late else [earlier.drop_id])


@pytest.mark.parametrize("late", [True, False])
async def test_reverted_truncate_gives_the_earlier_rows_back(road: Road, late: bool) -> None:
    await road.contract(**KEYED)
    drops = [
        road.land("dev/append/users/a.csv", "id,name\n1,a\n"),
        road.land("dev/truncate/users/b.csv", "id,name\n2,b\n"),
        road.land("dev/upsert/users/c.csv", "id,name\n2,c\n3,c\n"),
        road.land("dev/truncate/users/d.csv", "id,name\n4,d\n"),
        road.land("dev/append/users/e.csv", "id,name\n5,e\n"),
    ]
    for drop in reversed(drops) if late else drops:
        await road.bring(drop)
    await road.revert(drops[3], request_at(50))
    assert names(road) == [(2, "c"), (3, "c"), (5, "e")]
    await road.revert(drops[1], request_at(51))
    assert names(road) == [(1, "a"), (2, "c"), (3, "c"), (5, "e")]
    await road.bring(drops[3], request=request_at(60))
    assert names(road) == [(4, "d"), (5, "e")]


@pytest.mark.parametrize("late", [True, False])
async def test_reverted_replacement_gives_the_version_before_it_back(
    road: Road, late: bool
) -> None:
    await road.contract(on_reupload="replace")
    versions = [
        road.land("dev/append/users/same.csv", f"id,name\n1,{name}\n") for name in ("a", "b", "c")
    ]
    for drop in reversed(versions) if late else versions:
        await road.bring(drop)
    await road.revert(versions[2], request_at(50))
    assert names(road) == [(1, "b")]
    await road.revert(versions[1], request_at(51))
    assert names(road) == [(1, "a")]


async def test_reverted_first_version_lets_the_next_one_in_where_reuploads_are_rejected(
    road: Road,
) -> None:
    await road.contract(on_reupload="reject")
    first, second, third = (
        road.land("dev/append/users/same.csv", f"id,name\n1,{name}\n") for name in ("a", "b", "c")
    )
    for drop in (first, second, third):
        await road.bring(drop)
    assert names(road) == [(1, "a")]
    await road.revert(first, request_at(50))
    assert names(road) == [(1, "b")]
    await road.bring(first, request=request_at(60))
    assert names(road) == [(1, "a")]


async def test_reverted_contract_counts_as_never_landed(road: Road) -> None:
    await road.contract()
    before = road.land("dev/append/users/a.csv", "id,name\n1,a\n")
    adding = road.land_contract(columns=[*CONTRACT["columns"], {"name": "note", "type": "text"}])
    plain = road.land("dev/append/users/b.csv", "id,name\n2,b\n")
    noted = road.land("dev/append/users/c.csv", "id,name,note\n3,c,n\n")
    for drop in (before, adding, plain, noted):
        await road.bring(drop)
    reverted = await road.revert(adding, request_at(50))
    assert isinstance(reverted, Reverted)
    assert names(road) == [(1, "a"), (2, "b")]
    outcome = await road.bring(noted)
    assert isinstance(outcome, Rejected)
    assert "note" in outcome.reason.message
    await road.bring(adding, request=request_at(60))
    assert names(road) == [(1, "a"), (2, "b"), (3, "c")]
    assert road.scalar("select note from dev.users where id = 3") == "n"


async def test_contract_whose_columns_a_view_uses_is_not_reverted(road: Road) -> None:
    await road.contract()
    adding = road.land_contract(columns=[*CONTRACT["columns"], {"name": "note", "type": "text"}])
    await road.bring(adding)
    drop = road.land("dev/append/users/a.csv", "id,note\n1,n\n")
    await road.bring(drop)
    with psycopg.connect(road.dsn) as connection:
        connection.execute("create view dev.notes as select note from dev.users")
    with pytest.raises(PermanentError) as refused:
        await road.revert(adding, request_at(50))
    assert refused.value.reason.code == "revert_refused"
    assert "column note" in refused.value.reason.message
    assert isinstance(await road.bring(adding), Applied)
    assert road.scalar("select note from dev.users") == "n"


@pytest.mark.parametrize("ended", ["rejected", "superseded"])
async def test_every_outcome_can_be_reverted(road: Road, ended: str) -> None:
    """A drop of which no row is in the table may get in when another one is reverted."""
    await road.contract()
    body = "id\nno number\n" if ended == "rejected" else "id\n1\n"
    drop = road.land("dev/append/users/a.csv", body)
    truncate = road.land("dev/truncate/users/b.csv", "id\n2\n")
    for one in (truncate, drop) if ended == "superseded" else (drop, truncate):
        await road.bring(one)
    assert isinstance(await road.revert(drop, request_at(50)), Reverted)
    await road.revert(truncate, request_at(51))
    assert road.rows() == []


async def test_a_late_contract_loads_each_drop_once_more(road: Road) -> None:
    """Appends and upserts of one table, in any order: no upsert that takes the same keys reopens
    anything."""
    await road.contract(**KEYED)
    adding = road.land_contract(
        columns=[*CONTRACT["columns"], {"name": "note", "type": "text"}], **KEYED
    )
    drops = [
        *(road.land(f"dev/append/users/a{n}.csv", f"id,name\n{n},a\n") for n in range(6)),
        *(road.land(f"dev/upsert/users/u{n}.csv", f"id,name\n{n},u\n") for n in range(6)),
    ]
    for drop in drops:
        await road.bring(drop)
    published = await road.load_reopened(adding, await road.loading.load(adding, 1))
    assert sorted(one.drop.drop_id for one in published) == [drop.drop_id for drop in drops]
    assert road.scalar("select sum(reopenings) from headrace.ledger") == len(drops)
    assert names(road) == [(n, "u") for n in range(6)]


async def test_repeated_deliveries_publish_nothing(road: Road) -> None:
    await road.contract(**KEYED)
    adding = road.land_contract(
        columns=[*CONTRACT["columns"], {"name": "note", "type": "text"}], **KEYED
    )
    drops = [road.land(f"dev/append/users/{n}.csv", f"id\n{n}\n") for n in range(5)]
    for drop in drops:
        await road.bring(drop)
    await road.loading.load(adding, 1)
    for drop in drops:
        assert not await road.published(drop)
    assert len(await road.published(adding)) == 5
    for drop in drops:
        await road.loading.load(drop, 1)
        assert not await road.published(drop)
    assert not await road.published(adding)


async def test_reopened_drops_are_published_again_where_publishing_failed(road: Road) -> None:
    await road.contract()
    adding = road.land_contract(columns=[*CONTRACT["columns"], {"name": "note", "type": "text"}])
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    await road.bring(drop)
    await road.loading.load(adding, 1)

    async def fails(page: Sequence[DropRouted]) -> None:
        raise TransientError("the bus does not answer")

    with pytest.raises(TransientError):
        await road.loading.publish_reopened(adding, fails)
    assert len(await road.published(adding)) == 1


async def test_two_deliveries_of_one_opener_publish_once(road: Road) -> None:
    await road.contract()
    adding = road.land_contract(columns=[*CONTRACT["columns"], {"name": "note", "type": "text"}])
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    await road.bring(drop)
    await road.loading.load(adding, 1)
    published = await asyncio.gather(*(road.published(adding) for _ in range(4)))
    assert sorted(map(len, published)) == [0, 0, 0, 1]


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


async def test_drop_that_waits_to_be_loaded_again_is_reverted_at_once(road: Road) -> None:
    await road.contract()
    adding = road.land_contract(columns=[*CONTRACT["columns"], {"name": "x", "type": "text"}])
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    await road.bring(drop)
    await road.loading.load(adding, 1)
    assert road.scalar("select count(*) from headrace.ledger where reopened_at is not null") == 1
    assert isinstance(await road.loading.revert(drop, request_at(50)), Reverted)
    assert road.rows() == []
    assert isinstance(await road.bring(drop), Reverted)
    assert road.rows() == []


async def test_older_replay_behind_a_revert_still_chooses_the_contract(road: Road) -> None:
    await road.contract(allowed_operations=["schema", "truncate"])
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    await road.bring(drop)
    await road.contract()
    await road.loading.revert(drop, request_at(60))
    assert isinstance(await road.bring(drop, request=request_at(50)), Reverted)
    assert road.rows() == []

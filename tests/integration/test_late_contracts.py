"""A contract that lands late changes what it has to, and nothing else, in any order of arrival."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from headrace_loader.outcomes import Applied, Loaded, Rejected
from headrace_shared.drop import Drop
from headrace_shared.errors import TransientError
from tests.road import CONTRACT, EPOCH, Road

pytestmark = pytest.mark.integration

ID, NAME, DAY = CONTRACT["columns"]
NOTE = {"name": "note", "type": "text"}

ORDERS = [(0, 2, 1), (2, 0, 1), (0, 1, 2)]


def request_at(second: int) -> int:
    """A request so many seconds after the first landing."""
    return int(EPOCH.timestamp() + second) * 1000


async def bring_in(road: Road, drops: Sequence[Drop], order: Sequence[int]) -> None:
    for place in order:
        with suppress(TransientError):  # data before the first contract waits
            await road.bring(drops[place])
    for drop in drops:
        await road.bring(drop)


def names(road: Road) -> list[tuple[Any, Any]]:
    return [(number, name) for number, name, _ in road.rows()]


async def waiting(road: Road, drop: Drop) -> list[Drop]:
    """The drops that this one reopened."""
    return [routed.drop for routed in await road.published(drop)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::23])
async def test_contract_that_makes_a_later_one_refused_is_right_for_all_drops_after_it(
    road: Road, order: tuple[int, ...]
) -> None:
    drops = [
        road.land_contract(),
        road.land_contract(format={"null": "none"}, allowed_operations=["append"]),
        road.land("dev/append/users/between.csv", "id,name\n1,none\n2,nil\n"),
        road.land_contract(format={"null": "nil"}),
        road.land("dev/append/users/after.csv", "id,name\n3,none\n4,nil\n"),
    ]
    await bring_in(road, drops, order)
    assert names(road) == [(1, None), (2, "nil"), (3, None), (4, "nil")]
    assert isinstance(await road.bring(drops[3]), Rejected)


@pytest.mark.parametrize("late", [False, True])
async def test_contract_refused_for_its_rows_has_no_say_in_the_chain_any_more(
    road: Road, late: bool
) -> None:
    await road.contract()
    await road.append("id,name\n1,five\n")
    numbers = [ID, {"name": "name", "type": "integer"}]
    between = road.land_contract(columns=[*CONTRACT["columns"], NOTE])
    refused = road.land_contract(columns=numbers, evolution="allow_breaking")
    after = road.land_contract(columns=[*CONTRACT["columns"], NOTE], description="again")
    for drop in [between, refused, after] if not late else [refused, after, between]:
        outcome = await road.bring(drop)
        assert isinstance(outcome, Rejected if drop == refused else Applied), outcome
    data = await road.load("dev/append/users/late.csv", "id,name,note\n2,six,n\n")
    assert isinstance(data, Loaded)
    assert names(road) == [(1, "five"), (2, "six")]
    assert isinstance(await road.bring(refused), Rejected)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "later",
    [
        {"columns": [{**ID, "nullable": True}, NAME, DAY]},
        {"columns": [{**ID, "nullable": True}, NAME, DAY], "primary_key": ["name"]},
        {"columns": [{**ID, "nullable": True}, {**NAME, "type": "text"}, DAY, NOTE]},
    ],
    ids=["a null is allowed", "and a key is added", "and a column is added"],
)
async def test_earlier_drop_is_held_to_the_nulls_of_its_own_contract(
    road: Road, later: dict[str, Any], order: tuple[int, ...]
) -> None:
    drops = [
        road.land_contract(),
        road.land("dev/append/users/a.csv", "id,name\n,a\n"),
        road.land_contract(**later),
    ]
    after = road.land("dev/append/users/b.csv", "id,name\n,b\n")
    await bring_in(road, drops, order)
    assert isinstance(await road.bring(after), Loaded)
    assert isinstance(await road.bring(drops[1]), Rejected)
    assert names(road) == [(None, "b")]


async def test_earlier_drop_is_held_to_its_nulls_where_every_column_allows_them_later(
    road: Road,
) -> None:
    strict = [ID, {**NAME, "nullable": False}]
    await road.contract(columns=strict)
    drop = road.land("dev/append/users/a.csv", "id,name\n,a\n")
    await road.contract(columns=[{**column, "nullable": True} for column in strict])
    assert isinstance(await road.bring(drop), Rejected)
    assert road.scalar("select count(*) from dev.users") == 0


@pytest.mark.parametrize("order", ORDERS)
async def test_earlier_drop_is_held_to_the_types_of_its_own_contract(
    road: Road, order: tuple[int, ...]
) -> None:
    drops = [
        road.land_contract(),
        road.land("dev/append/users/a.csv", "id,name\n1,longer than ten\n"),
        road.land_contract(columns=[ID, {**NAME, "type": "text"}, DAY]),
    ]
    await bring_in(road, drops, order)
    assert isinstance(await road.bring(drops[1]), Rejected)
    assert names(road) == []


@pytest.mark.parametrize("order", ORDERS)
async def test_earlier_upsert_is_held_to_the_key_of_its_own_contract(
    road: Road, order: tuple[int, ...]
) -> None:
    drops = [
        road.land_contract(),
        road.land("dev/upsert/users/a.csv", "id,name\n1,a\n"),
        road.land_contract(primary_key=["id"]),
    ]
    await bring_in(road, drops, order)
    rejected = await road.bring(drops[1])
    assert isinstance(rejected, Rejected)
    assert rejected.reason.code == "primary_key_missing"


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "the same, described"},
        {"columns": [*CONTRACT["columns"], NOTE]},
        {"columns": [ID, {**NAME, "type": "text"}, DAY]},
        {"primary_key": ["id"]},
    ],
    ids=["a description", "a new column", "a wider type", "a key"],
)
async def test_contract_after_all_drops_has_none_of_them_loaded_again(
    road: Road, changes: dict[str, Any]
) -> None:
    await road.contract()
    await road.append("id,name\n1,a\n")
    await road.truncate("id,name\n2,b\n")
    later = road.land_contract(**changes)
    assert isinstance(await road.loading.load(later, attempt=1), Applied)
    assert await waiting(road, later) == []
    assert names(road) == [(2, "b")]


async def test_contract_that_widens_between_drops_has_those_before_it_left_alone(
    road: Road,
) -> None:
    await road.contract()
    before = road.land("dev/append/users/before.csv", "id,name\n1,a\n")
    late = road.land_contract(columns=[ID, {**NAME, "type": "varchar(20)"}, DAY])
    after = road.land("dev/append/users/after.csv", "id,name\n2,b\n")
    wider = road.land_contract(columns=[ID, {**NAME, "type": "text"}, DAY])
    for drop in (before, after, wider):
        await road.bring(drop)
    await road.loading.load(late, attempt=1)
    assert await waiting(road, late) == [after]


async def test_drop_that_is_loaded_again_keeps_its_file_with_all_its_folders(road: Road) -> None:
    await road.contract()
    late = road.land_contract(format={"null": "none"})
    drop = road.land("dev/append/users/2026/11/a.csv", "id,name\n1,none\n")
    await road.bring(drop)
    await road.loading.load(late, attempt=1)
    assert await waiting(road, late) == [drop]
    assert drop.file == "2026/11/a.csv"


async def test_refused_contract_may_come_again_when_its_rows_are_gone(road: Road) -> None:
    await road.contract()
    await road.append("id,name\n1,five\n")
    truncate = road.land("dev/truncate/users/b.csv", "id,name\n2,6\n")
    numbers = road.land_contract(
        columns=[ID, {"name": "name", "type": "integer"}], evolution="allow_breaking"
    )
    assert isinstance(await road.bring(numbers), Rejected)
    await road.bring(truncate)
    with psycopg.connect(road.dsn) as connection:
        assert connection.execute("select name from dev.users").fetchall() == [("6",)]
    replayed = await road.bring(numbers, request=request_at(100))
    assert isinstance(replayed, Applied)
    assert road.scalar("select name + 1 from dev.users") == 7

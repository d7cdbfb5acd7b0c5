"""Breaking contracts in the midst of a chain: what a column loses on the way is lost in any order
of arrival, and stays lost when it comes back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.rebuilding import Rebuild
from headrace_shared.drop import Drop
from headrace_shared.errors import TransientError
from headrace_shared.warehouse_access import WarehouseAccess
from tests.road import Road

pytestmark = pytest.mark.integration

Rows = list[tuple[Any, Any]]

CHAINS: dict[str, tuple[list[str | None], Rows]] = {
    "a column goes and comes back": (
        ["varchar(10)", None, "text"],
        [(1, None), (2, None), (3, "third")],
    ),
    "a column is made narrower and wide again": (
        ["varchar(10)", "varchar(2)", "text"],
        [(1, "fi"), (2, "se"), (3, "third")],
    ),
    "another type and back": (
        ["text", "varchar(3)", "varchar(9)"],
        [(1, "fir"), (2, "sec"), (3, "third")],
    ),
}


def contract(road: Road, table: str, kind: str | None) -> Drop:
    columns = [{"name": "id", "type": "bigint"}]
    columns += [{"name": "name", "type": kind}] if kind else []
    return road.land_contract(table, columns=columns, evolution="allow_breaking")


def landed(road: Road, table: str, kinds: Sequence[str | None]) -> list[Drop]:
    """Three contracts, and rows after each; in the order of landing."""
    drops: list[Drop] = []
    for number, (kind, name) in enumerate(zip(kinds, ("first", "se", "third"), strict=True), 1):
        drops.append(contract(road, table, kind))
        header, row = ("id,name", f"{number},{name}") if kind else ("id", str(number))
        body = f"{header}\n{row}\n"
        if number == 2 and kind == "varchar(3)":
            body = "id,name\n2,sec\n"
        drops.append(road.land(f"{table.replace('.', '/append/')}/{number}.csv", body))
    return drops


def rows(road: Road, table: str) -> Rows:
    with psycopg.connect(road.dsn) as connection:
        return connection.execute(f"select id, name from {table} order by id".encode()).fetchall()


async def bring_all(road: Road, drops: list[Drop], order: Sequence[int]) -> None:
    for place in order:
        with suppress(TransientError):  # its contract is not there yet
            await road.bring(drops[place])
    for drop in drops:
        await road.bring(drop)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chain", CHAINS)
async def test_values_are_lost_in_any_order_of_arrival(road: Road, chain: str) -> None:
    kinds, wanted = CHAINS[chain]
    for number, order in enumerate(itertools.permutations(range(6))):
        if number % 9:
            continue
        table = f"dev.t{number}"
        await bring_all(road, landed(road, table, kinds), order)
        assert rows(road, table) == wanted, order


async def test_rebuild_gives_the_same_rows(road: Road) -> None:
    kinds, wanted = CHAINS["a column goes and comes back"]
    drops = landed(road, "dev.users", kinds)
    await bring_all(road, drops, range(6))
    files = road.files
    async with (
        PostgresWarehouse.open(
            WarehouseAccess(road.dsn), connections=2, lock_timeout_seconds=5
        ) as warehouse,
        warehouse.connection() as connection,
    ):
        rebuild = Rebuild(connection, files, lambda _: None, stall_seconds=5)
        await rebuild.run("dev", "users")
    assert rows(road, "dev.users") == wanted


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_rows_that_were_there_before_lose_what_the_chain_takes(
    road: Road, order: tuple[int, ...]
) -> None:
    with psycopg.connect(road.dsn) as connection:
        connection.execute("create schema dev")
        connection.execute("create table dev.users (id bigint, name varchar(10))")
        connection.execute("insert into dev.users values (1, 'before')")
    contracts = [contract(road, "dev.users", kind) for kind in ("varchar(10)", None, "text")]
    await bring_all(road, contracts, order)
    assert rows(road, "dev.users") == [(1, None)]


async def test_later_drops_keep_their_values_when_a_late_contract_takes_the_earlier_ones(
    road: Road,
) -> None:
    drops = landed(road, "dev.users", ["text", None, "text"])
    first, rows_1, late, rows_2, third, rows_3 = drops
    for drop in (first, rows_1, third, rows_3):
        await road.bring(drop)
    assert rows(road, "dev.users") == [(1, "first"), (3, "third")]
    await road.bring(late)
    assert rows(road, "dev.users") == [(1, None), (3, "third")]
    await road.bring(rows_2)
    assert rows(road, "dev.users") == [(1, None), (2, None), (3, "third")]

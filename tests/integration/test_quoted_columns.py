"""A table whose columns have any names: every statement quotes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql

from headrace_loader.csv_fields import record_of
from headrace_loader.outcomes import Applied, Loaded, Outcome, Rejected
from headrace_shared.drop import Drop
from headrace_shared.file_formats import CsvFormat
from tests.road import Road

ODD: list[list[str]] = [
    ["Order ID", 'say "hi"', "100 %", "%s", "{a}"],
    ["\u00e4" * 31 + "x", "a.b", "select", " x ", "staged"],
    ["ID", "id", "$1", "%(drop_id)s", "a\nb\t"],
]


def contract(names: list[str], **parts: Any) -> dict[str, Any]:
    key, *others = names
    columns = [{"name": key, "type": "integer", "quoted": True}]
    columns += [{"name": name, "type": "text", "quoted": True} for name in others]
    return {"columns": columns, "primary_key": [key], **parts}


def csv(names: list[str], *lines: str) -> str:
    return "\n".join([record_of(names, CsvFormat()), *lines, ""])


def rows(road: Road, names: list[str]) -> list[tuple[Any, ...]]:
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    with psycopg.connect(road.dsn) as connection:
        query = sql.SQL("select {} from dev.users order by 1, 2").format(columns)
        return connection.execute(query).fetchall()


async def loaded(road: Road, drop: Drop) -> Outcome:
    return await road.bring(drop)


def later() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


@pytest.mark.parametrize("names", ODD)
async def test_every_action_of_a_table_with_odd_names(road: Road, names: list[str]) -> None:
    one = names[1]
    tests = [{"unique": names[0]}, {"not_null": one}, {"matches": {"column": one, "pattern": "."}}]
    assert isinstance(await road.contract(**contract(names)), Applied)
    await road.load("dev/append/users/a.csv", csv(names, "1,a,b,c,d", "2,a,b,c,d"))
    await road.load("dev/append/users/b.csv", csv(names, '3,"a",b,c,d'))
    record = dict(zip(names, [4, *"abcd"], strict=True))
    await road.load("dev/append/users/c.json", json.dumps(record))
    upsert = road.land("dev/upsert/users/d.csv", csv(names, "1,x,b,c,d", "5,a,b,c,d"))
    await loaded(road, upsert)
    wanted = [(1, "x", *"bcd"), *((number, *"abcd") for number in (2, 3, 4, 5))]
    assert rows(road, names) == wanted
    late = road.land("dev/append/users/e.csv", csv(names, "5,late,b,c,d"), at=2)
    await loaded(road, late)
    assert rows(road, names) == wanted
    await road.revert(upsert, later())
    assert rows(road, names)[0] == (1, *"abcd")
    wider = contract(names, tests=tests, hard_testing=False, on_bad_rows={"mode": "quarantine"})
    wider["columns"][0]["type"] = "bigint"
    assert isinstance(await road.contract(**wider), Applied)
    tested = await road.load(
        "dev/append/users/f.csv", csv(names, "7,,b,c,d", "x,a,b,c,d", "8,a,b,c,d")
    )
    assert isinstance(tested, Loaded), tested
    assert [(row.column, row.code) for row in tested.aside.first] == [
        (one, "test"),
        (names[0], "type"),
    ]
    await road.load("dev/truncate/users/g.csv", csv(names, "9,a,b,c,d"))
    assert rows(road, names) == [(9, *"abcd")]


async def test_header_that_differs_in_case_alone_is_told_apart(road: Road) -> None:
    names = ["ID", "id"]
    await road.contract(**contract(names, primary_key=[]))
    await road.load("dev/append/users/a.csv", "id,ID\na,1\n")
    assert rows(road, names) == [(1, "a")]
    outcome = await road.load("dev/append/users/b.csv", "Id,ID\na,2\n")
    assert isinstance(outcome, Rejected)

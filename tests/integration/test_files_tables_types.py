"""Types that Headrace does not read itself: Postgres judges their values, by COPY's text form."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from headrace_loader.outcomes import Applied, Loaded, Rejected
from tests.hand_made import QUARANTINE, by_hand
from tests.road import Road

OWN: tuple[LiteralString, ...] = (
    "create type dev.mood as enum ('good', 'bad')",
    "create domain dev.positive as int check (value > 0)",
    "create domain public.short as varchar(3)",
    "create type dev.pair as (a int, b int)",
    "create domain dev.birthday as date",
    "create type dev.week as range (subtype = date)",
)
TYPES: dict[str, tuple[str, str, str]] = {
    "inet": ("10.0.0.1/24", "10.0.0.1/24", "10.0.0.300"),
    "cidr": ("10.0.0.0/24", "10.0.0.0/24", "10.0.0.1/24"),
    "macaddr": ("08:00:2b:01:02:03", "08:00:2b:01:02:03", "08:00:2b:01:02"),
    "interval": ("1 day -02:03:04", "1 day -02:03:04", "1 dya"),
    "bytea": (r"\x00ff", r"\x00ff", r"\x0"),
    "bit(3)": ("101", "101", "1011"),
    "varbit(3)": ("10", "10", "1011"),
    "int4range": ("[1,5)", "[1,5)", "[5,1)"),
    "nummultirange": ("{[1.5,2]}", "{[1.5,2]}", "{[2,1]}"),
    "int[]": ("{1,NULL,3}", "{1,NULL,3}", "{1,x}"),
    "text[]": ('{a,"b,c"}', '{a,"b,c"}', "[a]"),
    "varchar(2)[]": ("{ab}", "{ab}", "{abc}"),
    "numeric(4,1)[]": ("{1.5}", "{1.5}", "{12345.5}"),
    "dev.mood": ("good", "good", "so so"),
    "dev.mood[]": ("{good,bad}", "{good,bad}", "{so so}"),
    "dev.positive": ("5", "5", "-5"),
    "public.short": ("abc", "abc", "abcd"),
}
QUOTED = '"{}"'


def csv(*values: str) -> str:
    fields = [QUOTED.format(value.replace('"', '""')) for value in values]
    return "\n".join(["id,v", *(f"{number},{one}" for number, one in enumerate(fields, 1)), ""])


def texts(road: Road) -> list[tuple[Any, ...]]:
    with psycopg.connect(road.dsn) as connection:
        return connection.execute("select id, v::text from dev.users order by 1").fetchall()


def columns(kind: str) -> list[dict[str, Any]]:
    return [{"name": "id", "type": "integer"}, {"name": "v", "type": kind}]


@pytest.mark.parametrize(("kind", "values"), TYPES.items(), ids=TYPES)
async def test_type_is_declared_and_its_values_are_judged_by_postgres(
    road: Road, kind: str, values: tuple[str, str, str]
) -> None:
    by_hand(road, *OWN)
    good, text, bad = values
    applied = await road.contract(columns=columns(kind), on_bad_rows=QUARANTINE)
    assert isinstance(applied, Applied), applied
    loaded = await road.append(csv(good, bad, good))
    assert isinstance(loaded, Loaded), loaded
    assert [(row.line, row.column) for row in loaded.aside.first] == [(3, "v")]
    assert texts(road) == [(1, text), (3, text)]
    await road.contract(columns=columns(kind))
    assert isinstance(await road.append(csv(good)), Loaded)
    rejected = await road.append(csv(bad))
    assert isinstance(rejected, Rejected), rejected
    assert "line 2, column v" in rejected.reason.message


@pytest.mark.parametrize("kind", TYPES)
async def test_column_of_such_a_type_made_by_hand_is_taken_over(road: Road, kind: str) -> None:
    by_hand(road, *OWN)
    with psycopg.connect(road.dsn) as connection:
        connection.execute(sql.SQL("create table dev.users (id int, v {})").format(sql.SQL(kind)))
    for evolution in ("safe", "allow_breaking"):
        applied = await road.contract(columns=columns(kind), evolution=evolution)
        assert isinstance(applied, Applied), applied
        assert not [one for one in applied.changes if "->" in one]
    assert isinstance(await road.append(csv(TYPES[kind][0])), Loaded)
    assert texts(road) == [(1, TYPES[kind][1])]


REFUSED = {
    "dev.nothing": "is not in the warehouse",
    "dev.pair": "is not one of single values",
    "dev.birthday": "holds dates or times",
    "dev.birthday[]": "holds dates or times",
    "dev.week": "holds dates or times",
    "money": "use numeric",
    "date[]": "use text[]",
    "tstzrange": "unknown type",
    "regclass": "unknown type",
    "pg_catalog.regclass": "unknown type",
    "anyarray": "unknown type",
    "dev.mood; drop table x": "unknown type",
    'dev."Mood"': "unknown type",
}


@pytest.mark.parametrize(("kind", "why"), REFUSED.items(), ids=REFUSED)
async def test_type_whose_values_may_change_or_are_not_single_is_refused(
    road: Road, kind: str, why: str
) -> None:
    by_hand(road, *OWN)
    refused = await road.contract(columns=columns(kind))
    assert isinstance(refused, Rejected), refused
    assert refused.reason.code == "contract_invalid"
    assert why in refused.reason.message


async def test_interval_means_the_same_whatever_the_server_is_set_to(road: Road) -> None:
    name = sql.Identifier(road.dsn.rpartition("/")[2])
    with psycopg.connect(road.dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("alter database {} set intervalstyle = 'sql_standard'").format(name)
        )
    await road.contract(columns=columns("interval"))
    await road.append(csv("-1 1:00:00"))
    assert road.scalar("select extract(epoch from v)::int from dev.users") == -86_400 + 3_600

"""Routes: which key goes where, and which lists of them are refused."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace_loader.key_values import values_in_key
from headrace_router.handler import RouterHandler
from headrace_router.routing import Ignored, Rejected, Routed, route
from headrace_router.settings import RouterSettings
from headrace_shared.contract import Contract
from headrace_shared.drop import drop_in_ledger, file_for_ledger
from headrace_shared.facts import DropRouted
from headrace_shared.key_rules import KeyRules, LeftAlone
from headrace_shared.routes import read_routes
from headrace_shared.testing.builders import a_drop, a_message, an_s3_event

ANY = frozenset({"*"})
ORDERS = "raw/orders/dt={dt}/*.csv.gz -> shop/append/orders"


def landed(
    key: str, *lines: str, layout: bool = True, size: int = 10
) -> Routed | Rejected | Ignored:
    bare = {"db_name": None, "action": None, "table_name": None, "file": None}
    drop = a_drop(size_bytes=size).model_copy(update={"key": key, **bare})
    return route(drop, ANY, KeyRules(routes=read_routes(lines), layout=layout))


ROUTED = [
    (ORDERS, "raw/orders/dt=2026-01-01/a b.csv.gz", "shop.orders", "dt=2026-01-01/a b.csv.gz"),
    ("raw/**/*.csv -> s/append/t", "raw/a.csv", "s.t", "a.csv"),
    ("raw/**/*.csv -> s/append/t", "raw/x/y=1/a.csv", "s.t", "y=1/a.csv"),
    ("**/* -> s/append/t", "a", "s.t", "a"),
    ("r/{day}/{table}-*.csv -> s/append/{table}", "r/d 1/T-1.csv", "s.t", "day=d 1/T-1.csv"),
    ("{db}/x/{n}.json -> {db}/schema/t", "s/x/c.json", "s.t", "n=c/c.json"),
    ("a.b+(c)/* -> s/append/t", "a.b+(c)/f", "s.t", "f"),
]


@pytest.mark.parametrize(("line", "key", "table", "file"), ROUTED)
def test_key_goes_where_its_route_says(line: str, key: str, table: str, file: str) -> None:
    found = landed(key, line)
    assert isinstance(found, Routed), found
    assert (found.drop.table, found.drop.file, found.drop.key) == (table, file, key)
    assert found.drop.drop_id == a_drop().drop_id
    row = found.drop.model_dump() | {"file": file_for_ledger(found.drop)}
    assert drop_in_ledger(row) == found.drop


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("raw/orders/dt=1/a.csv", LeftAlone.NO_ROUTE),
        ("raw/orders/dt=1/x/a.csv.gz", LeftAlone.NO_ROUTE),
        ("logs/2026/a.csv.gz", LeftAlone.NO_ROUTE),
        ("a.csv", LeftAlone.NO_ROUTE),
        ("raw/orders/dt=1/_SUCCESS", LeftAlone.MARKER),
        ("raw/orders/dt=1/_a.csv.gz", LeftAlone.MARKER),
        ("raw/", LeftAlone.FOLDER),
    ],
)
def test_other_keys_are_left_alone_where_there_are_routes(key: str, why: LeftAlone) -> None:
    found = landed(key, ORDERS, size=0)
    assert isinstance(found, Ignored)
    assert found.why is why


def test_folder_of_a_routed_key_may_be_a_marker() -> None:
    found = landed("raw/_temporary/0/a.csv", "raw/**/*.csv -> s/append/t")
    assert isinstance(found, Ignored)


def test_own_layout_stays_unless_it_is_switched_off() -> None:
    key = "dev/append/users/a.csv"
    assert isinstance(landed(key, ORDERS), Routed)
    assert isinstance(landed("dev/append/1users/a.csv", ORDERS), Rejected)
    assert isinstance(landed(key, ORDERS, layout=False), Ignored)


def test_first_route_that_fits_decides() -> None:
    lines = ["raw/a*.csv -> s/append/a", "raw/*b.csv -> s/append/b"]
    for order, table in ((lines, "s.a"), (lines[::-1], "s.b")):
        found = landed("raw/ab.csv", *order)
        assert isinstance(found, Routed)
        assert found.drop.table == table


def test_name_that_a_route_takes_from_the_key_is_checked_like_any_other() -> None:
    found = landed("raw/pg_catalog/a.csv", "raw/{db}/*.csv -> {db}/append/t")
    assert isinstance(found, Rejected)
    assert found.reason.code == "database_name_unsafe"


SHADOWED = [
    ["raw/**/* -> s/append/a", "raw/x/*.csv -> s/append/b"],
    ["raw/*/*.csv -> s/append/a", "raw/dt={dt}/{n}.csv -> s/append/b"],
    ["{a}/x -> s/append/a", "{b}/x -> s/append/b"],
    ["**/* -> s/append/a", "x -> s/append/b"],
]


@pytest.mark.parametrize("lines", SHADOWED)
def test_route_that_is_never_reached_is_named(lines: list[str]) -> None:
    with pytest.raises(ValueError, match=r"route 2 .* is never reached: route 1"):
        read_routes(lines)


names = st.sampled_from(["a", "b1", "x.csv", "dt=1", "*", "**", "a*", "*.csv", "{v}", "dt={v}"])
patterns = st.lists(names, min_size=1, max_size=3).map("/".join)
keys = st.lists(st.sampled_from(["a", "b1", "ab.csv", "x.csv", "dt=1", ""]), min_size=1, max_size=4)


@given(first=patterns, second=patterns, found=st.lists(keys.map("/".join), max_size=8))
def test_shadowed_route_takes_no_key(first: str, second: str, found: list[str]) -> None:
    try:
        (one,), (other,) = (read_routes([f"{one} -> s/append/t"]) for one in (first, second))
    except ValueError:
        return
    try:
        read_routes([f"{first} -> s/append/t", f"{second} -> s/append/t"])
    except ValueError:
        assert not [key for key in found if other.place(key) and not one.place(key)]


FAULTY: list[tuple[Any, str]] = [
    ("raw/*.csv", "is not written as"),
    (5, "is not written as"),
    ("raw//* -> s/append/t", "empty part"),
    ("/raw/* -> s/append/t", "empty part"),
    ("raw/a** -> s/append/t", "whole folders"),
    ("raw/** -> s/append/t", "ends in the name of a file"),
    ("raw/{X}/* -> s/append/t", "in small letters"),
    ("raw/{x}/{x} -> s/append/t", "twice"),
    ("raw/* -> s/append", "is not db_name/action/table_name"),
    ("raw/* -> s/load/t", "is no action"),
    ("raw/* -> pg_s/append/t", "cannot be a database name"),
    ("raw/* -> s/append/1t", "cannot be a table name"),
    ("raw/* -> s/append/{t}", "{t} is not in the pattern"),
]


@pytest.mark.parametrize(("line", "told"), FAULTY)
def test_line_that_is_no_route_is_named(line: Any, told: str) -> None:
    with pytest.raises(ValueError, match=f"route 2: .*{re.escape(told)}"):
        read_routes([ORDERS, line])


@given(st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=20))
def test_value_in_a_key_comes_through_a_route(value: str) -> None:
    contract = Contract.model_validate({"columns": [{"name": "v", "type": "text"}]})
    found = landed(f"raw/x/{quote(value)}/f.csv", "raw/x/{v}/*.csv -> s/append/t")
    if isinstance(found, Routed):
        assert found.drop.file is not None
        assert values_in_key(found.drop.file, contract) == {"v": value}
    else:
        assert value[0] in "._" or value.endswith((".crc", "_$folder$"))


async def test_routes_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_INBOX_URL", "q")
    monkeypatch.setenv("HEADRACE_BUS_NAME", "b")
    monkeypatch.setenv("HEADRACE_DATABASES", "shop")
    monkeypatch.setenv("HEADRACE_ROUTES", json.dumps([ORDERS]))
    handler = RouterHandler(ANY, RouterSettings().key_rules)
    (fact,) = await handler.handle(a_message(an_s3_event("raw/orders/dt=1/a.csv.gz")))
    assert isinstance(fact, DropRouted)
    assert fact.drop.table == "shop.orders"
    assert await handler.handle(a_message(an_s3_event("raw/other/a.csv.gz"))) == []
    for wrong in ("raw/* -> s/append/t", '["x"]', '{"a": 1}'):
        monkeypatch.setenv("HEADRACE_ROUTES", wrong)
        with pytest.raises(ValidationError, match="route"):
            RouterSettings()
    monkeypatch.setenv("HEADRACE_ROUTES", "[]")
    monkeypatch.setenv("HEADRACE_LAYOUT", "false")
    with pytest.raises(ValidationError, match="HEADRACE_ROUTES"):
        RouterSettings()

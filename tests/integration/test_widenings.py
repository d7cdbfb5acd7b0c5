"""Every widening that a contract may make keeps every value, on a real Postgres."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from headrace_shared.column_types import canonical_type, widens

TYPES = [
    canonical_type(text)
    for text in (
        *("smallint", "integer", "bigint", "numeric", "numeric(5,2)", "numeric(7,2)"),
        *("numeric(7,4)", "numeric(9,4)", "numeric(3,0)", "real", "double precision", "boolean"),
        *("text", "varchar", "varchar(5)", "varchar(9)", "char(5)", "date", "time", "timestamp"),
        *("timestamptz", "uuid", "json", "jsonb"),
    )
]

WIDENINGS = [(old, new) for old in TYPES for new in TYPES if old != new and widens(old, new)]

LETTERS = st.characters(codec="utf-8", exclude_characters="\0")


def whole(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def digits(precision: int, scale: int) -> st.SearchStrategy[Any]:
    most = 10 ** (precision - scale) - 1
    return st.decimals(-most, most, places=scale, allow_nan=False)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "smallint": whole(16),
    "integer": whole(32),
    "bigint": whole(64),
    "numeric(5,2)": digits(5, 2),
    "numeric(7,2)": digits(7, 2),
    "numeric(7,4)": digits(7, 4),
    "numeric(9,4)": digits(9, 4),
    "numeric(3,0)": digits(3, 0),
    "real": st.floats(width=32),
    "character varying": st.text(LETTERS),
    "character varying(5)": st.text(LETTERS, max_size=5),
    "character varying(9)": st.text(LETTERS, max_size=9),
}


def changed(server: str, old: str, new: str, values: list[Any]) -> int:
    """How many values are not the same after their column was altered and altered back."""
    kinds = {"old": sql.SQL(old), "new": sql.SQL(new)}
    texts = [None if value is None else str(value) for value in values]
    with psycopg.connect(server) as connection:
        connection.execute(
            sql.SQL("create temporary table t (value {old}, was text)").format(**kinds)
        )
        connection.execute(
            sql.SQL("insert into t (value) select unnest(%s::text[])::{old}").format(**kinds),
            [texts],
        )
        connection.execute("update t set was = value::text")
        for kind in (new, old):
            connection.execute(
                sql.SQL("alter table t alter value type {kind} using value::{kind}").format(
                    kind=sql.SQL(kind)
                )
            )
        row = connection.execute(
            "select count(*) from t where value::text is distinct from was"
        ).fetchone()
        connection.rollback()
    assert row is not None
    return int(row[0])


def test_every_widening_is_tried() -> None:
    assert {old for old, _ in WIDENINGS} == set(VALUES)


@pytest.mark.parametrize(("old", "new"), WIDENINGS)
@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_widening_keeps_every_value(
    postgres_server: str, old: str, new: str, data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.none() | VALUES[old], min_size=20, max_size=50))
    assert changed(postgres_server, old, new, values) == 0


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("bigint", "double precision", 2**53 + 1),
        ("json", "jsonb", '{"b":  1, "a": 2}'),
        ("numeric", "double precision", "0.12345678901234567890"),
        ("numeric(7,2)", "numeric(9,1)", "12345.67"),
    ],
)
def test_change_that_loses_something_is_no_widening(
    postgres_server: str, old: str, new: str, value: object
) -> None:
    assert changed(postgres_server, old, new, [value]) == 1
    assert not widens(old, new)

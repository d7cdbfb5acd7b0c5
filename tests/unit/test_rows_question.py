"""Which parameters a table's rows may be asked by follows from its contract, and nothing else."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_api.problems import ApiError
from headrace_api.rows.access import OpenTable, open_table
from headrace_api.rows.question import Operator, RowQuestion, row_question

CONTRACT_ID = UUID("6b00cbd0-0000-8000-8000-000000000001")
CONTRACT: dict[str, Any] = {
    "columns": [
        {"name": "username", "type": "varchar(64)", "nullable": False, "hint": "a newer field"},
        {"name": "age", "type": "smallint"},
        {"name": "born_on", "type": "date"},
        {"name": "seen_at", "type": "timestamptz"},
        {"name": "active", "type": "boolean"},
        {"name": "token", "type": "uuid"},
        {"name": "balance", "type": "numeric(10,2)"},
        {"name": "limit", "type": "bigint"},
        {"name": "salary", "type": "bigint"},
    ],
    "primary_key": ["username"],
    "api": {
        "filter_by": [
            "username",
            "active",
            "token",
            "limit",
            {"column": "age", "range": True},
            {"column": "born_on", "range": True},
            {"column": "seen_at", "range": True},
            {"column": "balance", "range": True},
        ],
        "columns": ["username", "age"],
    },
}


def opened(**changes: Any) -> OpenTable | None:
    return open_table(("dev", "users"), CONTRACT_ID, {**CONTRACT, **changes})


def asked(*parameters: tuple[str, str]) -> RowQuestion:
    table = opened()
    assert table is not None
    return row_question(parameters, table)


def refused(*parameters: tuple[str, str]) -> tuple[str | None, str]:
    with pytest.raises(ApiError) as caught:
        asked(*parameters)
    assert caught.value.problem.status == 400
    return caught.value.problem.parameter, caught.value.problem.detail


@pytest.mark.parametrize("api", [None, {}, {"filter_by": [], "columns": []}])
def test_contract_that_shows_nothing_opens_nothing(api: Any) -> None:
    assert opened(api=api) is None


def test_without_columns_those_of_the_filters_are_shown_and_no_other() -> None:
    table = opened(api={"filter_by": ["age", {"column": "born_on", "range": True}]})
    assert table is not None
    assert [one.name for one in table.shown] == ["age", "born_on"]


def test_key_orders_rows_only_where_all_of_it_is_shown() -> None:
    both = {"primary_key": ["username", "salary"]}
    shown, hidden = opened(), opened(**both)
    assert shown is not None
    assert hidden is not None
    assert [one.name for one in shown.key] == ["username"]
    assert hidden.key == ()


def test_each_way_to_ask_is_read() -> None:
    question = asked(
        ("username", "ada"),
        ("age[gte]", "18"),
        ("age[lt]", "70"),
        ("born_on[null]", "false"),
        ("limit[eq]", "5"),
        ("limit", "7"),
        ("columns", "age, _DROP_ID"),
    )
    assert [(one.column.name, one.operator, one.value) for one in question.filters] == [
        ("username", Operator.EQ, "ada"),
        ("age", Operator.GTE, "18"),
        ("age", Operator.LT, "70"),
        ("born_on", Operator.NULL, "false"),
        ("limit", Operator.EQ, "5"),
    ]
    assert question.limit == 7
    assert [one.name for one in question.columns] == ["age", "_drop_id"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("usernam", "ada"),
        ("salary", "1"),
        ("_drop_id", str(CONTRACT_ID)),
        ("ctid", "(0,1)"),
        ("username[gt]", "a"),
        ("username[like]", "a"),
        ("username[", "a"),
        ("USERNAME", "ada"),
        ("username'--", "a"),
        ("username\0", "a"),
        ("", ""),
        ("username", "a\0b"),
        ("username", "x" * 2_001),
        ("age", ""),
        ("age", "18.0"),
        ("age", "32768"),
        ("age", "٣"),
        ("limit[eq]", "9223372036854775808"),
        ("born_on", "tomorrow"),
        ("born_on", "20.11.2026"),
        ("seen_at", "2026-11-20T00:00:00"),
        ("active", "yes"),
        ("token", "1; drop table users"),
        ("balance", "1_000"),
        ("age[null]", "maybe"),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "1e3"),
        ("columns", ""),
        ("columns", "salary"),
        ("columns", "age,age"),
        ("columns", "*"),
    ],
)
def test_parameter_that_cannot_be_taken_is_named(parameter: str, value: str) -> None:
    assert refused((parameter, value))[0] == parameter.replace("\0", "\\0")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("username", ""),
        ("username", "' or 1=1 --"),
        ("age", "-32768"),
        ("born_on", "2026-02-30"),
        ("seen_at", "2026-11-20T22:38:14.204+01:00"),
        ("balance", "-.5e3"),
        ("balance[gt]", "-Infinity"),
        ("token", str(CONTRACT_ID)),
    ],
)
def test_value_of_its_type_is_taken(parameter: str, value: str) -> None:
    assert asked((parameter, value)).filters[0].value == value


def test_unknown_parameter_is_refused_with_those_there_are() -> None:
    _, detail = refused(("usernam", "ada"))
    for name in ("username", "age[gte]", "born_on[null]", "limit[eq]", "columns", "cursor"):
        assert name in detail
    assert "salary" not in detail
    assert "username[gte]" not in detail


def test_range_that_the_contract_does_not_allow_says_how_to_allow_it() -> None:
    assert '"range": true' in refused(("username[gt]", "a"))[1]


@pytest.mark.parametrize("twice", ["username", "limit", "cursor", "columns", "age[gt]"])
def test_parameter_that_is_there_twice_is_refused(twice: str) -> None:
    assert refused((twice, "1"), (twice, "1"))[0] == twice


def test_two_names_of_one_filter_are_refused() -> None:
    assert refused(("username", "a"), ("username[eq]", "b"))[0] == "username[eq]"


def test_ten_thousand_parameters_are_refused_at_once() -> None:
    assert "at most" in refused(*((f"p{number}", "1") for number in range(10_000)))[1]


@given(st.permutations([("username", "ada"), ("age[gte]", "18"), ("limit", "7")]))
def test_cursor_is_bound_to_the_filters_whatever_their_order(
    parameters: list[tuple[str, str]],
) -> None:
    assert asked(*parameters).bound == asked(("age[gte]", "18"), ("username[eq]", "ada")).bound


def test_cursor_is_bound_to_table_contract_and_values() -> None:
    one = asked(("username", "ada"))
    other = open_table(("dev", "users"), UUID(int=1), CONTRACT)
    assert other is not None
    for different in (
        asked(("username", "bob")),
        asked(),
        asked(("username[null]", "true")),
        row_question([("username", "ada")], other),
    ):
        assert different.bound != one.bound

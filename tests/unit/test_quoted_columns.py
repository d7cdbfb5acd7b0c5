"""Columns whose names are kept as they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from headrace_loader.sql_parameters import with_parameters
from headrace_shared.contract import Contract, ContractError, read_contract

ANY_NAME = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=15)
COLUMN = {"name": "Order Date", "type": "date", "quoted": True}


def document(*columns: Any, **parts: Any) -> bytes:
    return json.dumps({"columns": columns, **parts}).encode()


@given(ANY_NAME)
def test_any_name_that_postgres_takes_can_be_quoted(name: str) -> None:
    column = {"name": name, "type": "text", "quoted": True}
    contract = read_contract(
        document(column, primary_key=[name], delete_flag=None, tests=[{"not_null": name}])
    )
    assert [one.name for one in contract.columns] == [name]
    assert contract.primary_key == (name,)
    assert contract.tests[0].columns == (name,)
    assert Contract.model_validate(json.loads(contract.model_dump_json())) == contract


@pytest.mark.parametrize("name", ["", "x" * 64, "\u00e9" * 32, "ctid", "_drop_id", "line number"])
def test_name_that_postgres_or_headrace_keeps_cannot(name: str) -> None:
    with pytest.raises(ContractError, match="cannot be a column name in quotes"):
        read_contract(document({"name": name, "type": "text", "quoted": True}))


def test_without_the_word_the_safe_rule_stays() -> None:
    with pytest.raises(ContractError, match='or write "quoted": true'):
        read_contract(document({**COLUMN, "quoted": False}))
    contract = read_contract(document({"name": "ID", "type": "text"}, primary_key=["Id"]))
    assert (contract.columns[0].name, contract.primary_key) == ("id", ("id",))


def test_parts_name_a_quoted_column_exactly_and_others_in_any_case() -> None:
    contract = read_contract(
        document(
            COLUMN,
            {"name": "id", "type": "text"},
            {"name": "ID", "type": "text", "quoted": True},
            primary_key=["ID", "Id"],
            api={"filter_by": ["Order Date", "ID", "iD"]},
        )
    )
    assert contract.primary_key == ("ID", "id")
    assert contract.api is not None
    assert contract.api.filter_names == ("Order Date", "ID", "id")
    with pytest.raises(ContractError, match="'order date' is not one of the columns"):
        read_contract(document(COLUMN, primary_key=["order date"]))


def test_fault_of_a_quoted_column_is_the_only_one() -> None:
    with pytest.raises(ContractError) as raised:
        read_contract(document({**COLUMN, "type": "dat"}, primary_key=["Order Date"]))
    assert len(raised.value.faults) == 1


def test_name_that_no_parameter_can_name_is_not_for_the_api() -> None:
    column = {"name": "a[eq]", "type": "text", "quoted": True}
    with pytest.raises(ContractError, match="has a bracket or a comma"):
        read_contract(document(column, api={"filter_by": ["a[eq]"]}))


@given(ANY_NAME)
def test_percent_sign_in_a_name_is_no_placeholder(name: str) -> None:
    statement = with_parameters(
        sql.SQL("select {} where {} = %s").format(sql.Identifier(name), sql.Identifier("a", name))
    )
    quoted = sql.Identifier(name).as_string().replace("%", "%%")
    assert statement.as_string() == f'select {quoted} where "a".{quoted} = %s'

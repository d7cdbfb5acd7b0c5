"""What a question becomes in SQL: values are parameters, names are quoted, the order is whole."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_api.rows.access import OpenTable, open_table
from headrace_api.rows.query import Query, beyond, json_lines, json_rows, order, text_rows
from headrace_api.rows.question import row_question

TEXTS = st.text(st.characters(exclude_characters="\0"), max_size=50)


def table(*, nullable: bool = False, key: bool = True) -> OpenTable:
    made = open_table(
        ("dev", "users"),
        UUID(int=1),
        {
            "columns": [
                {"name": "username", "type": "varchar(3)", "nullable": nullable},
                {"name": "order", "type": "bigint"},
            ],
            "primary_key": ["username"] if key else [],
            "api": {"filter_by": ["username", {"column": "order", "range": True}]},
        },
    )
    assert made is not None
    return made


def told(query: Query) -> str:
    return query.statement.as_string()


def where(query: Query) -> str:
    """The conditions, but for the one about the contract, which is every page's last."""
    conditions = told(query).partition(" where ")[2].rpartition(" order by ")[0]
    return conditions.partition(" and %(contract)s = (")[0]


def test_page_has_rows_only_while_its_contract_is_in_force() -> None:
    query = json_rows(row_question([], table()), None, 51)
    assert where(query).startswith("%(contract)s = (\n    select drop_id from headrace.contracts\n")
    assert query.values["contract"] == UUID(int=1)


def test_values_are_parameters_cast_to_the_type_without_its_length() -> None:
    question = row_question([("username", "' or 1=1"), ("order[lte]", "7")], table())
    query = json_rows(question, None, 51)
    assert where(query) == ('"t"."username" = %(f0)s::text and "t"."order" <= %(f1)s::bigint')
    of_the_contract = {"contract": UUID(int=1), "db": "dev", "table": "users"}
    assert query.values == {"f0": "' or 1=1", "f1": "7", "limit": 51, **of_the_contract}


@pytest.mark.parametrize(("value", "test"), [("true", "is null"), ("false", "is not null")])
def test_null_is_asked_for_by_its_own_operator(value: str, test: str) -> None:
    query = json_lines(row_question([("order[null]", value)], table()), 1)
    assert where(query) == f'"t"."order" {test}'
    assert query.values == {"limit": 1}


@given(TEXTS)
def test_no_value_is_ever_part_of_the_statement(value: str) -> None:
    statements = {
        told(json_rows(asked, (given, None, "1", "(0,1)"), 5))
        for given in (value, "ada")
        for asked in (row_question([("username", given)], table()),)
    }
    assert len(statements) == 1


@pytest.mark.parametrize("key", [True, False])
def test_order_ends_with_what_tells_rows_of_one_key_apart(key: bool) -> None:
    names = [one.name for one in order(table(key=key))]
    assert names == [*(["username"] if key else []), "_drop_id", "tableoid", "ctid"]


def test_page_begins_right_after_a_row_and_enters_an_index_there() -> None:
    query = json_rows(row_question([], table()), ("ada", "d", "1", "(0,1)"), 5)
    assert where(query).startswith(
        '("t"."username" >= %(a0)s::text and ("t"."username" > %(a0)s::text or '
        '("t"."username" = %(a0)s::text and '
    )


def test_nulls_of_a_key_come_last() -> None:
    after_value = json_rows(row_question([], table(nullable=True)), ("a", None, "1", "(0,1)"), 5)
    assert '"t"."username" is null' in where(after_value)
    after_null = json_rows(row_question([], table(nullable=True)), (None, None, "1", "(0,1)"), 5)
    assert where(after_null).startswith('("t"."username" is null and ("t"."_drop_id" is null and ')


def test_streams_and_pages_have_one_order() -> None:
    question = row_question([], table())
    tails = {
        told(query).rpartition(" order by ")[2]
        for query in (json_rows(question, None, 5), json_lines(question, 5), text_rows(question, 5))
    }
    assert len(tails) == 1


def test_looking_beyond_needs_no_order() -> None:
    assert "order by" not in told(beyond(row_question([], table()), 5))


def test_key_of_a_type_that_only_postgres_reads_orders_no_page() -> None:
    made = open_table(
        ("dev", "users"),
        UUID(int=1),
        {
            "columns": [{"name": "host", "type": "inet"}, {"name": "tags", "type": "varchar(5)[]"}],
            "primary_key": ["host"],
            "api": {"columns": ["host", "tags"]},
        },
    )
    assert made is not None
    assert made.key == ()
    assert '"t"."tags"' in told(json_rows(row_question([], made), None, 51))

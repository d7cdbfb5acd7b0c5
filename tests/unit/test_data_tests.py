"""Data tests: what a contract may write, how its faults are told, what their ends say."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from psycopg import sql
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from headrace_loader.row_tests import StagedRows, user_select
from headrace_loader.test_outcomes import SampleRow, not_run, of_drop, of_rows
from headrace_shared.data_test_fields import read_duration
from headrace_shared.data_tests import KINDS, DataTest, Freshness, RowCount, Severity, Sql
from headrace_shared.drop import Drop


class Holder(BaseModel):
    """As a contract holds them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tests: tuple[DataTest, ...] = ()


READ: TypeAdapter[DataTest] = TypeAdapter(DataTest)
SCHEMA = Draft202012Validator(Holder.model_json_schema())
DROP = Drop(
    drop_id=UUID(int=1),
    bucket="lake",
    key="dev/append/users/1.csv",
    etag="e",
    size_bytes=1,
    landed_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
)
BEFORE = "before the drop landed (2026-11-20 12:00:00+00:00)"
ROWS = StagedRows(sql.Identifier("pg_temp", "staged"), sql.Identifier("dev", "users"), DROP)


def on(kind: str, column: Any = "c", **fields: Any) -> dict[str, Any]:
    return {kind: {"column": column, **fields}}


GOOD: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
    ({"not_null": "Email"}, "not_null(email)", ("email",)),
    ({"unique": "A"}, "unique(a)", ("a",)),
    ({"unique": ["A", "b"], "within": "table"}, "unique(a, b) within table", ("a", "b")),
    (on("accepted_values", "C", values=["a", 1, True, 1.5]), "accepted_values(c)", ("c",)),
    (on("range", min=0), "range(c)", ("c",)),
    (on("range", min=-0.5, max=10**30), "range(c)", ("c",)),
    (on("range", max="2026-12-31", min=None), "range(c)", ("c",)),
    (on("length", min=1, max=1), "length(c)", ("c",)),
    (on("matches", pattern="^[a-z]\\d+$"), "matches(c)", ("c",)),
    (on("references", table="Dev.Users", to="id"), "references(c)", ("c",)),
    (on("references", ["a", "b"], table="d.t", to=["x", "y"]), "references(a, b)", ("a", "b")),
    ({"row_count": {"min": 0, "max": 2**63 - 1}}, "row_count", ()),
    (on("freshness", within="36 hours"), "freshness(c)", ("c",)),
    ({"sql": "select * from {{rows}} where true;", "name": " odd \n"}, "odd", ()),
    ({"not_null": "a", "severity": "warn", "name": "there"}, "there", ("a",)),
]


@pytest.mark.parametrize(("document", "label", "columns"), GOOD)
def test_test_is_read_as_it_is_written(
    document: dict[str, Any], label: str, columns: tuple[str, ...]
) -> None:
    [test] = Holder.model_validate_json(json.dumps({"tests": [document]})).tests
    assert (test.label, test.columns, test.kind in document) == (label, columns, True)
    assert test.severity is Severity(document.get("severity", "error"))


@pytest.mark.parametrize("document", [document for document, _, _ in GOOD])
def test_test_survives_being_stored(document: dict[str, Any]) -> None:
    held = Holder.model_validate({"tests": [document]})
    stored = held.model_dump_json()
    assert Holder.model_validate_json(stored) == held
    assert Holder(tests=held.tests) == held
    assert SCHEMA.is_valid(json.loads(stored))


def test_every_kind_is_written_here() -> None:
    assert {READ.validate_python(document).kind for document, _, _ in GOOD} == set(KINDS)


BAD: list[tuple[Any, str, str]] = [
    (5, "0", "a test is an object"),
    ([], "0", "a test is an object"),
    ({}, "0", "names no test; there are not_null, unique,"),
    ({"severity": "warn"}, "0", "names no test"),
    ({"not_nul": "a"}, "0", "'not_nul' is no test; there are not_null,"),
    ({"not_null": "a", "unique": "a"}, "0", "names not_null and unique"),
    ({"not_null": "a", "within": "drop"}, "0/within", "Extra inputs"),
    ({"not_null": "a", "severity": "fatal"}, "0/severity", "'error' or 'warn'"),
    ({"not_null": "a", "name": " "}, "0/name", "at least 1 character"),
    ({"not_null": "a", "name": "n" * 101}, "0/name", "at most 100 characters"),
    ({"not_null": ["a"]}, "0/not_null", "valid string"),
    ({"not_null": "ctid"}, "0/not_null", "'ctid' cannot be a column name"),
    ({"not_null": 'a" or true --'}, "0/not_null", "cannot be a column name"),
    ({"not_null": "line number"}, "0/not_null", "cannot be a column name"),
    ({"unique": []}, "0/unique", "at least 1 item"),
    ({"unique": ["a", "A"]}, "0/unique", "a column is there twice"),
    ({"unique": ["a", "b b"]}, "0/unique/1", "cannot be a column name"),
    ({"unique": "a", "within": "lake"}, "0/within", "'drop' or 'table'"),
    (on("accepted_values", values=[]), "0/accepted_values/values", "at least 1 item"),
    (on("accepted_values"), "0/accepted_values/values", "required"),
    (on("accepted_values", values=["a", None]), "0/accepted_values/values/1", "must be a text"),
    (on("accepted_values", values=[["a"]]), "0/accepted_values/values/0", "must be a text"),
    (on("accepted_values", values=["\0"]), "0/accepted_values/values/0", "must be a text"),
    (on("range"), "0/range", "min or max is missing"),
    (on("range", min=2, max=1.5), "0/range", "min is above max"),
    (on("range", min=0, max="9"), "0/range", "two numbers or two texts"),
    (on("range", min=True), "0/range/min", "must be a number, or a text such as a date"),
    (on("range", min=float("nan")), "0/range/min", "must be a number"),
    (on("range", min=10**400), "0/range/min", "must be a number"),
    (on("length", min=-1), "0/length/min", "greater than or equal to 0"),
    (on("length", min="1"), "0/length/min", "valid integer"),
    (on("length", max=2**63), "0/length/max", "less than or equal"),
    (on("length", min=2, max=1), "0/length", "min is above max"),
    (on("matches", pattern=""), "0/matches/pattern", "at least 1 character"),
    (on("matches", pattern="a\0"), "0/matches/pattern", "NUL"),
    (on("references", table="users", to="id"), "0/references/table", "'users' is no table"),
    (on("references", table="pg_catalog.pg_class", to="oid"), "0/references/table", "no table"),
    (on("references", table="headrace.ledger", to="key"), "0/references/table", "no table"),
    (on("references", table="a.b.c", to="id"), "0/references/table", "no table"),
    (on("references", table="a.b", to=["x", "y"]), "0/references", "as many columns"),
    ({"row_count": {}}, "0/row_count", "min or max is missing"),
    ({"row_count": {"min": True}}, "0/row_count/min", "valid integer"),
    (on("freshness", within="soon"), "0/freshness/within", "'soon' is no duration"),
    (on("freshness", within="36"), "0/freshness/within", "'36' is no duration"),
    ({"sql": "select * from {{rows}}"}, "0/name", "required"),
    ({"sql": "select 1", "name": "n"}, "0/sql", "must select from {{rows}}"),
    ({"sql": "select '\0' from {{rows}}", "name": "n"}, "0/sql", "NUL"),
]


@pytest.mark.parametrize(("document", "place", "told"), BAD)
def test_fault_is_told_once_and_with_its_place(document: Any, place: str, told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Holder.model_validate({"tests": [document]})
    faults = [("/".join(map(str, part["loc"])), part["msg"]) for part in refused.value.errors()]
    assert faults[0][0] == f"tests/{place}"
    assert told in faults[0][1]


@pytest.mark.parametrize("document", [document for document, _, _ in GOOD])
def test_schema_takes_what_may_be_written(document: dict[str, Any]) -> None:
    assert SCHEMA.is_valid({"tests": [document]})


@pytest.mark.parametrize(
    "document",
    [
        5,
        {},
        {"not_nul": "a"},
        {"not_null": "a", "unique": "a"},
        {"not_null": "a", "severity": "fatal"},
        {"unique": []},
        {"unique": 1},
        {"unique": "a", "within": "lake"},
        on("accepted_values"),
        on("accepted_values", values=[None]),
        on("length", min=-1),
        {"sql": "select * from {{rows}}"},
    ],
)
def test_schema_refuses_what_may_not_be_written(document: Any) -> None:
    assert not SCHEMA.is_valid({"tests": [document]})


def test_schema_says_what_each_test_does() -> None:
    schema = Holder.model_json_schema()
    kinds = schema["properties"]["tests"]["items"]["anyOf"]
    models = [schema["$defs"][kind["$ref"].rpartition("/")[2]] for kind in kinds]
    assert [kind for model in models for kind in KINDS if kind in model["required"]] == list(KINDS)
    assert all(model["description"] and not model["additionalProperties"] for model in models)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("36 hours", timedelta(hours=36)),
        ("1 hour", timedelta(hours=1)),
        (" 1.5  Days ", timedelta(hours=36)),
        ("90minutes", timedelta(minutes=90)),
        ("0 seconds", timedelta()),
    ],
)
def test_duration_is_read(text: str, duration: timedelta) -> None:
    assert read_duration(text) == duration


@pytest.mark.parametrize("text", ["", "hours", "-1 hour", "1 week", "1e3 days", "99999 days", "1"])
def test_text_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no duration|hundred years"):
        read_duration(text)


@given(st.recursive(st.none() | st.text() | st.integers() | st.floats(), st.lists, max_leaves=4))
def test_no_value_of_a_test_breaks_the_reading(value: Any) -> None:
    for kind in KINDS:
        for document in ({kind: value}, {kind: {"column": value, "min": value, "values": value}}):
            with suppress(ValidationError):
                READ.validate_python(document)


@pytest.mark.parametrize(
    ("document", "rows", "message"),
    [
        ({"not_null": "email"}, 3, "3 rows: email is null"),
        ({"not_null": "email"}, 1, "1 row: email is null"),
        ({"unique": "a"}, 12_000, "12,000 rows: a is not unique in the drop"),
        (
            {"unique": ["a", "b"], "within": "table"},
            2,
            "2 rows: a, b are not unique together in the table",
        ),
        (on("accepted_values", values=["a", 1, True]), 1, "1 row: c is none of 'a', 1, true"),
        (
            on("accepted_values", values=list(range(12))),
            1,
            "1 row: c is none of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more",
        ),
        (on("range", min=0, max=9.5), 1, "1 row: c is below 0 or above 9.5"),
        (on("range", max="2026-01-01"), 1, "1 row: c is above 2026-01-01"),
        (on("length", min=2), 1, "1 row: c has fewer than 2 characters"),
        (on("matches", pattern="^x"), 1, "1 row: c does not match ^x"),
        (on("references", table="d.t", to="id"), 1, "1 row: c is not in d.t (id)"),
        ({"sql": "select * from {{rows}}", "name": "odd"}, 2, "2 rows: selected by odd"),
        ({"not_null": "email"}, 0, "no row fails"),
    ],
)
def test_message_says_what_failed(document: dict[str, Any], rows: int, message: str) -> None:
    outcome = of_rows(READ.validate_python(document), rows, range(rows), [])
    assert (outcome.message, outcome.passed) == (message, rows == 0)
    assert outcome.separable


def test_message_is_cut_where_a_contract_is_long() -> None:
    test = READ.validate_python(on("matches", pattern="x" * 5_000))
    assert len(of_rows(test, 1, [1], []).message) < 250
    assert len(not_run(test, "y" * 5_000).message) < 250


def test_rows_are_separable_only_if_each_is_known() -> None:
    test = READ.validate_python({"not_null": "a", "severity": "warn"})
    sample = SampleRow(4, (None,))
    known, cut = of_rows(test, 2, [4, 5], [sample]), of_rows(test, 3, [4, 5], [sample])
    assert (known.separable, cut.separable) == (True, False)
    assert (known.line_numbers, known.sample, known.columns) == ((4, 5), (sample,), ("a",))
    assert (known.label, known.kind, known.severity) == ("not_null(a)", "not_null", "warn")


@pytest.mark.parametrize(
    ("document", "measured", "passed", "message"),
    [
        ({"row_count": {"min": 2}}, "1", False, "the drop has 1 row, not at least 2"),
        ({"row_count": {"max": 2}}, "3", False, "the drop has 3 rows, not at most 2"),
        ({"row_count": {"max": 2}}, "2", True, "the drop has 2 rows"),
        (
            on("freshness", within="1 hour"),
            "2026-11-20",
            False,
            f"the newest c is 2026-11-20, more than 1 hour {BEFORE}",
        ),
        (on("freshness", within="1 hour"), None, True, "c has no value"),
    ],
)
def test_message_says_what_was_measured(
    document: dict[str, Any], measured: str | None, passed: bool, message: str
) -> None:
    test = READ.validate_python(document)
    assert isinstance(test, RowCount | Freshness)
    outcome = of_drop(test, DROP, measured, passed=passed)
    assert (outcome.message, outcome.passed, outcome.failing_rows) == (message, passed, 0)
    assert outcome.separable == passed


def test_test_that_could_not_run_has_failed_with_no_row() -> None:
    outcome = not_run(READ.validate_python({"not_null": "a"}), 'column "a" does not exist')
    assert outcome.message == 'could not be run: column "a" does not exist'
    assert (outcome.passed, outcome.failing_rows, outcome.separable) == (False, 0, False)


def test_select_of_a_user_is_over_the_staged_rows() -> None:
    test = READ.validate_python({"sql": " select {x} from {{rows}}, {{ rows }} r ; ", "name": "n"})
    assert isinstance(test, Sql)
    assert user_select(test, ROWS.staged).as_string() == (
        ' select {x} from "pg_temp"."staged", "pg_temp"."staged" r '
    )

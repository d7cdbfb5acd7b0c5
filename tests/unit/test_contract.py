"""Contracts: what a document may say, how its faults are told, what a change may change."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.columns import columns_of_file
from headrace_shared.column_types import canonical_type
from headrace_shared.contract import Contract, parse_contract
from headrace_shared.drop import Action
from headrace_shared.errors import PermanentError

ID = {"name": "id", "type": "bigint", "nullable": False}
NAME = {"name": "name", "type": "varchar(10)"}


def a_contract(*columns: dict[str, Any], **fields: Any) -> Contract:
    return parse_contract(json.dumps({"columns": list(columns or (ID, NAME)), **fields}).encode())


def test_contract_survives_being_stored() -> None:
    contract = a_contract(allowed_actions=["append"], primary_key=["id"], api={"columns": ["id"]})
    assert Contract.model_validate(json.loads(contract.model_dump_json())) == contract
    assert contract.allowed_operations == (Action.APPEND,)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"columns", "must be an object"),
        (b'{"columns": ', "line 1, column 13: no JSON"),
        (b"\xff{}", "byte 0 is not UTF-8"),
        (b"[]", "must be an object"),
        (b"{}", "/columns: is missing"),
        (b'{"columns": []}', "1 to 1599 columns"),
        (b'{"columns": [{"name": "a"}]}', "/columns/0/type: is missing"),
        (b'{"columns": [{"name": "a", "type": "strange"}]}', "/columns/0/type: unknown type"),
        (b'{"columns": [{"name": "_drop_id", "type": "uuid"}]}', "/columns/0/name"),
        (b'{"columns": [{"name": "ctid", "type": "int"}]}', "/columns/0/name"),
        (b'{"columns": [{"name": "a", "type": "int"}], "colour": 1}', "/colour: a contract has no"),
        (b'{"columns": [{"name": "a", "type": "int"}], "primary_key": ["b"]}', "primary_key: 'b'"),
        (
            b'{"columns": [{"name": "a", "type": "int"}], "tests": [{"unique": "b"}]}',
            "tests/0: 'b' is not one of the columns",
        ),
        (
            b'{"columns": [{"name": "a", "type": "int"}], "on_bad_rows": {"mode": "skip"}}',
            "/on_bad_rows/mode",
        ),
        (
            b'{"columns": [{"name": "a", "type": "int"}], "format": {"delimiter": ";;"}}',
            "/format/delimiter",
        ),
        (
            b'{"columns": [{"name": "a", "type": "timestamptz", "lossy": ["offset"]}]}',
            "/columns/0: timestamp with time zone never loses 'offset': leave it out of lossy",
        ),
        (
            b'{"columns": [{"name": "a", "type": "date", "formats": ["%d %B"]}]}',
            "/columns/0: '%d %B' makes no date: it lacks a year (%Y)",
        ),
        (
            b'{"columns": [{"name": "a", "type": "timestamp", "formats": ["%d %H:%M"]}]}',
            "/columns/0: '%d %H:%M' makes no timestamp: it lacks a year (%Y), a month (%m)",
        ),
        (
            b'{"columns": [{"name": "a", "type": "time", "formats": ["%I:%M"]}]}',
            "/columns/0: '%I:%M' makes no time: it lacks %p beside %I",
        ),
        (
            b'{"columns": [{"name": "a", "type": "int", "formats": ["%d.%m.%Y"]}]}',
            "/columns/0: formats are for dates and times, not for integer",
        ),
        (
            b'{"columns": [{"name": "a", "type": "json"}], "primary_key": ["a"]}',
            "primary_key: 'a' is json, which has no equality; use jsonb",
        ),
        (
            (
                b'{"columns": [{"name": "a", "type": "int"}, {"name": "gone", "type": "text"}], '
                b'"primary_key": ["a"], "delete_flag": "gone"}'
            ),
            "delete_flag: 'gone' must be a boolean column",
        ),
        (
            (
                b'{"columns": [{"name": "a", "type": "int"}, {"name": "gone", "type": "boolean"}], '
                b'"delete_flag": "gone"}'
            ),
            "delete_flag: keys are removed by primary_key, which is missing",
        ),
        (b" " * 1_048_577, "1,048,576 bytes"),
    ],
)
def test_fault_is_told_with_its_place(document: bytes, told: str) -> None:
    with pytest.raises(PermanentError) as refused:
        parse_contract(document)
    assert told in refused.value.reason.message


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_document_does_worse_than_be_refused(document: bytes) -> None:
    with suppress(PermanentError):
        parse_contract(document)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("INT", "integer"),
        (" varchar ( 64 ) ", "character varying(64)"),
        ("decimal(10,2)", "numeric(10,2)"),
        ("numeric(5)", "numeric(5,0)"),
        ("timestamptz", "timestamp with time zone"),
        ("double  precision", "double precision"),
        ("INET", "inet"),
        ("int[]", "integer[]"),
        ("varchar(5) [][]", "character varying(5)[]"),
        ("varbit(5)", "bit varying(5)"),
        ("Dev.Mood[]", "dev.mood[]"),
        ("public.vector(3)", "public.vector(3)"),
    ],
)
def test_types_are_kept_in_the_database_s_own_spelling(written: str, canonical: str) -> None:
    assert canonical_type(written) == canonical
    assert canonical_type(canonical) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *("", "int; drop table x", "varchar(0)", "numeric(2,3)", "[]", "int[", "mood", "regclass"),
        *("date[]", "timestamptz[]", "tsrange", "money", "pg_catalog.regclass", "a.b.c", "a.b(x)"),
        *("information_schema.x", 'dev."mood"', "dev.mood)", "dev.mood--", "bit(0)"),
    ],
)
def test_no_other_text_is_a_type(text: str) -> None:
    with pytest.raises(ValueError, match=r"type|must be"):
        canonical_type(text)


@given(
    st.text(alphabet="abz_09.,()[] ;'\"-", max_size=20)
    | st.from_regex(r"[a-z_.]{1,12}(\([0-9, ]{1,5}\))? ?(\[\])*", fullmatch=True)
)
def test_every_type_is_of_a_few_characters_and_kept_as_it_is(text: str) -> None:
    try:
        kind = canonical_type(text)
    except ValueError:
        return
    assert re.fullmatch(r"[a-z_][a-z0-9_ .]*(\([0-9]+(,[0-9]+)?\))?(\[\])?", kind)
    assert canonical_type(kind) == kind


@given(st.permutations(["id", "name", "day"]), st.data())
def test_header_maps_names_in_any_order_and_case(names: list[str], data: st.DataObject) -> None:
    contract = a_contract(ID, NAME, {"name": "day", "type": "date"})
    written = [data.draw(st.sampled_from([name, name.upper(), f" {name} "])) for name in names]
    assert [column.name for column in columns_of_file(written, contract).fields] == names


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (["id", "nmae"], "'nmae'"),
        (["name"], "'id'"),
        (["id", "ID"], "more than once"),
        ([], "'id'"),
    ],
)
def test_header_that_does_not_fit_is_refused(header: list[str], told: str) -> None:
    with pytest.raises(PermanentError) as refused:
        columns_of_file(header, a_contract())
    assert told in refused.value.reason.message


def test_file_without_header_has_the_contract_s_columns() -> None:
    assert columns_of_file(None, a_contract()).fields == a_contract().columns

"""The part `api` of a contract: what it may say, and how its faults are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from headrace_shared.api_access import ApiAccess
from headrace_shared.contract import ContractError, contract_schema, read_contract

KINDS = {
    "name": "text",
    "at": "timestamptz",
    "active": "boolean",
    "doc": "json",
    "tags": "jsonb",
    "address": "inet",
}


def document(api: object) -> dict[str, Any]:
    columns = [{"name": name, "type": kind} for name, kind in KINDS.items()]
    return {"columns": columns, "api": api}


def read(api: object) -> ApiAccess | None:
    return read_contract(json.dumps(document(api)).encode()).api


def fits_the_schema(api: object) -> bool:
    return Draft202012Validator(contract_schema()).is_valid(document(api))


def test_filter_is_a_name_or_says_that_it_takes_ranges() -> None:
    given = {"filter_by": ["NAME", {"column": "At", "range": True}, {"column": "tags"}]}
    api = read(given)
    assert api is not None
    assert fits_the_schema(given)
    assert [(one.column, one.range) for one in api.filter_by] == [
        ("name", False),
        ("at", True),
        ("tags", False),
    ]


def test_what_is_kept_is_as_short_as_it_goes_and_reads_the_same() -> None:
    api = read({"filter_by": [{"column": "name"}, {"column": "at", "range": True}]})
    assert api is not None
    kept = api.model_dump(mode="json")
    assert kept["filter_by"] == ["name", {"column": "at", "range": True}]
    assert read(kept) == api


@pytest.mark.parametrize(
    ("api", "shown"),
    [
        ({}, ()),
        ({"filter_by": ["name", "at"]}, ("name", "at")),
        ({"filter_by": ["name"], "columns": ["at", "doc", "at"]}, ("at", "doc")),
    ],
)
def test_shown_is_what_is_named(api: object, shown: tuple[str, ...]) -> None:
    found = read(api)
    assert found is not None
    assert found.shown == shown


@pytest.mark.parametrize(
    ("api", "fault"),
    [
        ({"filter_by": ["nmae"]}, "/api/filter_by: 'nmae' is not one of the columns"),
        ({"filter_by": [{"column": "x", "range": True}]}, "/api/filter_by: 'x' is not one"),
        ({"columns": ["x"]}, "/api/columns: 'x' is not one of the columns"),
        ({"filter_by": ["name", "NAME"]}, "/api/filter_by: 'name' is there twice"),
        ({"filter_by": ["doc"]}, "'doc' is json, which has no equality; use jsonb"),
        ({"filter_by": ["address"]}, "'address' is inet, by which the API finds no rows"),
        ({"filter_by": [{"column": "tags", "range": True}]}, "a range of 'tags', which is jsonb"),
        ({"filter_by": [{"column": "active", "range": True}]}, "'active', which is boolean"),
    ],
)
def test_fault_is_told_with_its_column(api: object, fault: str) -> None:
    with pytest.raises(ContractError) as caught:
        read(api)
    assert fault in "; ".join(caught.value.faults)


@pytest.mark.parametrize(
    ("one", "fault"),
    [
        ({"colunm": "name"}, "/api/filter_by/0/colunm: a contract has no such field"),
        ({"range": True}, "/api/filter_by/0/column: is missing"),
        (7, "/api/filter_by/0: must be an object"),
    ],
)
def test_filter_that_is_none_is_refused_by_schema_and_loader(one: object, fault: str) -> None:
    assert not fits_the_schema({"filter_by": [one]})
    with pytest.raises(ContractError) as caught:
        read({"filter_by": [one]})
    assert fault in [one.split(": ", 1)[1] for one in caught.value.faults]

"""Names of fields in files and names of columns: the laws of the one rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.columns import FileColumns, columns_of_file
from headrace_shared.contract import Contract, ContractError, read_contract
from headrace_shared.errors import PermanentError
from headrace_shared.field_names import folded, normalised_name, normalised_names, similar_name
from headrace_shared.identifiers import safe_column

NAMES = st.text(st.characters(codec="utf-8"), max_size=90)


def contract(*columns: Any, **parts: Any) -> Contract:
    named = [one if isinstance(one, dict) else {"name": one} for one in columns]
    return Contract.model_validate({"columns": [{"type": "text", **one} for one in named], **parts})


def taken(found: FileColumns) -> list[str | None]:
    return [None if one.name in found.left_out else one.name for one in found.fields]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("First Name", "first_name"),
        ("First-Name ", "first_name"),
        ("Gr\u00f6\u00dfe (cm)", "grosse_cm"),
        ("Stra\u00dfe\u00a0Nr.", "strasse_nr"),
        ("\u00d8re / \u00c6ble", "ore_aeble"),
        ("2026 Sales %", "_2026_sales"),
        ("ctid", "ctid_"),
        ("_drop_id", "drop_id"),
        ("\u0438\u043c\u044f", "column_4"),
        ("", "column_4"),
        ("x" * 80, "x" * 63),
    ],
)
def test_name_is_normalised(name: str, column: str) -> None:
    assert normalised_name(name, 4) == column


@given(st.lists(NAMES, max_size=8))
def test_normalised_names_are_safe_columns_and_each_is_there_once(names: list[str]) -> None:
    found = normalised_names(names)
    assert len(set(found)) == len(names)
    assert [safe_column(one) for one in found] == list(found)
    assert normalised_names(found) == found


def test_repeated_name_has_a_number_that_no_other_field_has() -> None:
    assert normalised_names(["A", "a", "a_2", "a"]) == ("a", "a_3", "a_2", "a_4")


@given(NAMES)
def test_names_that_are_the_same_in_any_case_are_alike(name: str) -> None:
    assert folded(f" {folded(name)} ") == folded(name)
    if similar_name(name):
        assert similar_name(folded(name)) == similar_name(name)


@given(st.lists(st.text(max_size=20).map(str.strip), min_size=1, max_size=6, unique=True))
def test_any_header_can_be_taken_by_name(header: list[str]) -> None:
    paths = [f'$["{one}"]' if one.startswith("$") else one for one in header]
    paths = [one.replace("\\", r"\\") if one.startswith("$") else one for one in paths]
    if any('"' in one for one in header if one.startswith("$")):
        return
    wanted = contract(*({"name": f"c{n}", "from": one} for n, one in enumerate(paths)))
    assert taken(columns_of_file(header, wanted)) == [f"c{n}" for n in range(len(header))]


@given(st.lists(st.sampled_from(["a", "A", "", " ", "\u00e4"]), min_size=1, max_size=6))
def test_any_header_can_be_taken_by_position(header: list[str]) -> None:
    columns = [{"name": f"c{n}", "from": {"position": n}} for n in range(1, len(header) + 1)]
    names = [f"c{n}" for n in range(1, len(header) + 1)]
    assert taken(columns_of_file(header, contract(*columns))) == names
    headless = contract(*columns, format={"header": False})
    assert taken(columns_of_file(None, headless, width=len(header))) == names


FITTING: list[tuple[list[Any], list[str], list[str | None]]] = [
    (["id", "first_name"], ["id", "First Name"], ["id", "first_name"]),
    (["id", "grosse"], ["GR\u00d6SSE", "ID"], ["grosse", "id"]),
    ([{"name": "a", "from": "GR\u00d6SSE"}], ["gr\u00f6\u00dfe"], ["a"]),
    ([{"name": "a", "from": "Gro\u0308\u00dfe"}], ["Gr\u00f6\u00dfe"], ["a"]),
    ([{"name": "a", "from": "B"}, "b"], ["b", "B"], ["b", "a"]),
    (["a", {"name": "b", "from": "A"}], ["A", "a"], ["b", "a"]),
    ([{"name": "x1", "from": ""}, "x2"], ["", "x2"], ["x1", "x2"]),
    ([{"name": "b", "from": {"position": 2}}, "a"], ["a", "a"], ["a", "b"]),
    ([{"name": "a", "from": '$["First Name"]'}], ["First Name"], ["a"]),
]


@pytest.mark.parametrize(("columns", "header", "names"), FITTING)
def test_header_that_fits(columns: list[Any], header: list[str], names: list[str]) -> None:
    assert taken(columns_of_file(header, contract(*columns))) == names


REFUSED: list[tuple[list[Any], list[str], str]] = [
    (["first_name"], ["First Name", "first-name"], "more than once"),
    (["a"], ["a", "A"], "more than once"),
    ([{"name": "b", "from": "A"}], ["A", "A"], "more than once"),
    ([{"name": "b", "from": "A"}], ["A", "a"], "'a'"),
    (["usd"], ["\u0446\u0435\u043d\u0430_usd"], "\u0446\u0435\u043d\u0430_usd"),
    ([{"name": "a", "from": "x"}], ["a"], "'a'"),
]


@pytest.mark.parametrize(("columns", "header", "told"), REFUSED)
def test_header_that_does_not_fit(columns: list[Any], header: list[str], told: str) -> None:
    with pytest.raises(PermanentError, match=told) as raised:
        columns_of_file(header, contract(*columns))
    assert raised.value.reason.code == "header_mismatch"


def test_normalised_header_numbers_what_is_repeated_and_empty() -> None:
    wanted = contract("amount", "amount_2", "column_3", format={"header": "normalise"})
    header = ["Amount", "AMOUNT", ""]
    assert taken(columns_of_file(header, wanted)) == ["amount", "amount_2", "column_3"]


@pytest.mark.parametrize("written", ["csv", "parquet", "arrow"])
def test_fields_that_no_column_takes_are_left_out_where_the_contract_says_so(written: str) -> None:
    wanted = contract("a", "field 1"[:5], format={"type": written, "unknown": "ignore"})
    found = columns_of_file(["x", "A", "x", ""], wanted)
    assert taken(found) == [None, "a", None, None]
    assert (found.absent, len(found.left_out)) == (("field",), 3)


def test_columns_of_the_key_need_not_be_in_the_file() -> None:
    wanted = contract("a", {"name": "dt", "nullable": False}, "z")
    found = columns_of_file(["a"], wanted, in_key={"dt"})
    assert (taken(found), found.absent) == (["a"], ("z",))
    headless = contract("a", {"name": "dt", "nullable": False}, format={"header": False})
    assert taken(columns_of_file(None, headless, {"dt"}, width=1)) == ["a"]
    assert taken(columns_of_file(None, headless, {"dt"}, width=2)) == ["a", "dt"]


FAULTS: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": "csv"}, "$.a.b", "/columns/0/from: a path of several steps"),
    ({"type": "parquet"}, "$.a.b", "/columns/0/from: a path of several steps"),
    ({"type": "csv"}, "$.a[", "is no path"),
    ({"type": "json"}, {"position": 1}, "/columns/0/from: a JSON record has no positions"),
    ({"type": "csv", "header": False}, "A", "/columns/0/from: the files have no header"),
    ({"type": "csv"}, {"position": 0}, "/columns/0/from/position"),
    ({"type": "csv"}, {"position": 2, "x": 1}, "/columns/0/from/x"),
    ({"type": "csv"}, 5, "/columns/0/from"),
]


@pytest.mark.parametrize(("written", "given", "told"), FAULTS)
def test_from_without_an_effect_is_refused(written: dict[str, Any], given: Any, told: str) -> None:
    column = {"name": "a", "type": "text", "from": given}
    with pytest.raises(ContractError) as raised:
        read_contract(json.dumps({"columns": [column], "format": written}).encode())
    assert told in str(raised.value)


def test_field_of_the_file_goes_into_one_column() -> None:
    twice = [{"name": name, "type": "text", "from": "x"} for name in "ab"]
    with pytest.raises(ValueError, match="two columns take the field 'x'"):
        contract(*twice)
    assert len(contract(*twice, format={"type": "json"}).columns) == 2

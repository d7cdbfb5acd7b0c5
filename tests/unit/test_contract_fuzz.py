"""Whatever is dropped as a contract is one, or is told to be none; nothing else comes of it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headrace_shared.contract import Contract, ContractError, read_contract

words = st.sampled_from(
    [
        *("columns", "name", "type", "nullable", "format", "tests", "on_bad_rows", "mode", "csv"),
        *("json", "parquet", "delimiter", "quote", "null", "explode", "records", "path", "formats"),
        *("bigint", "text", "date", "numeric(5,2)", "a", "b", "$.a[0]", "%Y", "locale", "not_null"),
        *("unique", "range", "column", "min", "max", "matches", "sql", "{{rows}}", "severity"),
        *("primary_key", "quarantine", "reject", "max_rows", "api", "filter_by", ",", '"', ""),
    ]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words | st.text()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=20,
)
columns = st.lists(
    st.fixed_dictionaries(
        {"name": words, "type": st.sampled_from(["text", "date", "bigint"])},
        optional={"formats": values, "path": values, "nullable": values},
    ),
    max_size=3,
)
documents = st.fixed_dictionaries(
    {"columns": columns},
    optional={
        "format": values,
        "tests": values,
        "on_bad_rows": values,
        "primary_key": values,
        "api": values,
    },
)


def is_contract(document: bytes) -> bool:
    try:
        contract = read_contract(document)
    except ContractError as error:
        faults = error.faults
    else:
        again = Contract.model_validate_json(contract.model_dump_json())
        assert again == contract
        return True
    assert faults
    assert all(fault and len(fault) < 1_000 for fault in faults)
    return False


@given(st.binary(max_size=100))
def test_any_bytes(document: bytes) -> None:
    assert not is_contract(document)


@given(values)
def test_any_json(document: Any) -> None:
    is_contract(json.dumps(document).encode())


@given(documents)
def test_anything_like_a_contract(document: dict[str, Any]) -> None:
    is_contract(json.dumps(document).encode())

"""The JSON Schema of contracts, as editors use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from headrace_shared.contract import ContractError, contract_schema, read_contract
from tools.contract_schema import FILE, text

EXAMPLES = sorted(Path(__file__).parents[2].glob("examples/**/*.json"))
COLUMNS = [{"name": "id", "type": "bigint"}]
FAULTY: list[dict[str, Any]] = [
    {},
    {"columns": {}},
    {"columns": COLUMNS, "primry_key": ["id"]},
    {"columns": [{"name": "id"}]},
    {"columns": COLUMNS, "format": {"type": "csv", "repeated_header": "drop"}},
    {"columns": COLUMNS, "on_reupload": "ignore"},
    {"columns": COLUMNS, "allowed_operations": ["delete"]},
]


def faults(document: object) -> list[str]:
    return [one.message for one in Draft202012Validator(contract_schema()).iter_errors(document)]


def test_committed_schema_is_that_of_the_code() -> None:
    assert FILE.read_text("utf-8") == text(), "run: python -m tools.contract_schema"


def test_schema_is_one() -> None:
    Draft202012Validator.check_schema(contract_schema())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_is_valid_by_the_schema_and_by_the_loader(path: Path) -> None:
    assert not faults(json.loads(path.read_text()))
    read_contract(path.read_bytes())


@pytest.mark.parametrize("document", FAULTY, ids=json.dumps)
def test_what_the_schema_refuses_the_loader_refuses_too(document: dict[str, Any]) -> None:
    assert faults(document)
    with pytest.raises(ContractError):
        read_contract(json.dumps(document).encode())

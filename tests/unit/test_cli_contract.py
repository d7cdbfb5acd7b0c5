"""`headrace contract check` tells every fault of a document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace_local.cli import run

GOOD = {"columns": [{"name": "id", "type": "bigint"}], "primary_key": ["id"]}


def document(folder: Path, content: object) -> str:
    path = folder / "contract.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_good_contract_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contract", "check", document(tmp_path, GOOD)]) == 0
    assert capsys.readouterr().out.rstrip().endswith("is a contract.")


def test_every_fault_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty = {
        "columns": [{"name": "id", "type": "strin"}, {"name": "a b", "type": "text"}],
        "primry_key": [],
        "format": {"delimiter": ",,"},
    }
    assert run(["contract", "check", document(tmp_path, faulty)]) == 1
    _, *faults = capsys.readouterr().out.splitlines()
    places = [tuple(fault.strip().split(": ", 2)[:2]) for fault in faults]
    assert places == [
        ("line 1, column 37", "/columns/0/type"),
        ("line 1, column 56", "/columns/1/name"),
        ("line 1, column 123", "/format/delimiter"),
        ("line 1, column 95", "/primry_key"),
    ]


def test_faults_between_parts_are_told_beside_those_within_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty = {
        "columns": [
            {"name": "id", "type": "strin"},
            {"name": "a", "type": "json"},
            {"name": "A", "type": "text"},
            {"name": "a b", "type": "text"},
        ],
        "primary_key": ["id", "a", "b"],
        "primry_key": [],
        "delete_flag": "id",
        "tests": [{"unique": "c"}, {"uniqe": "a"}, {"not_null": "d"}],
        "api": {"filter_by": ["e"]},
    }
    assert run(["contract", "check", document(tmp_path, faulty)]) == 1
    _, *faults = capsys.readouterr().out.splitlines()
    assert {fault.strip().split(": ", 2)[1] for fault in faults} == {
        "/columns/0/type",
        "/columns/3/name",
        "/columns",
        "/primary_key",
        "/primry_key",
        "/tests/0",
        "/tests/1",
        "/tests/2",
        "/api/filter_by",
    }
    assert sum("/primary_key" in fault for fault in faults) == 1
    assert not any("/delete_flag" in fault for fault in faults)


def test_more_faults_than_a_fact_tells_are_all_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = [{"name": f"c{number}", "type": "strin"} for number in range(40)]
    path = document(tmp_path, {"columns": columns})
    assert run(["contract", "check", path, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["valid"], len(told["faults"])) == (False, 40)


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00", "[" * 100_000])
def test_what_is_no_document_is_told(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["contract", "check", document(tmp_path, content)]) == 1
    assert "is not a contract" in capsys.readouterr().out


def test_missing_file_is_a_mistake_in_the_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["contract", "check", str(tmp_path / "none.json")]) == 2
    assert "No such file" in capsys.readouterr().err

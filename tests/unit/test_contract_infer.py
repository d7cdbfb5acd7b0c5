"""The contract that a file suggests: types, nulls, key and dialect, and what is not sure."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard

from headrace_loader.inference.errors import InferenceError
from headrace_loader.inference.profiling import profile_of
from headrace_loader.inference.sampling import sample_of
from headrace_loader.inference.suggesting import Inferred, inferred
from headrace_loader.own_contracts import widened
from headrace_local.cli import run

TEXT = "id,name\n1,Jürgen\n2,Köln\n"


def infer(path: Path, most_bytes: int = 2**20) -> Inferred:
    with sample_of(path, most_bytes) as sample:
        profile = profile_of(sample)
        return inferred(profile, sample.encoding, guessed=sample.guessed, whole=sample.whole)


def of_text(folder: Path, text: str | bytes, name: str = "a.csv") -> Inferred:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return infer(path)


def column(folder: Path, values: Sequence[str]) -> dict[str, Any]:
    rows = "".join(f"{number},{value}\n" for number, value in enumerate(values))
    found: dict[str, Any] = of_text(folder, f"id,v\n{rows}").document["columns"][1]
    return found


TYPES = {
    "smallint": ["1", "-32768", "32767"],
    "integer": ["1", "32768"],
    "bigint": ["1", "-9223372036854775808"],
    "numeric(19,0)": ["1", "9223372036854775808"],
    "numeric(5,2)": ["1", "-123.45", "0.5"],
    "double precision": ["1", "1e300", "2.5"],
    "boolean": ["true", "F", "no"],
    "date": ["2026-01-31", "2024-02-29"],
    "timestamp": ["2026-01-31 10:00:00", "2026-01-31T10:00"],
    "timestamptz": ["2026-01-31 10:00:00Z", "2026-01-31T10:00+01:00"],
    "time": ["10:00", "23:59:59.5"],
    "uuid": ["5f2b1c1e-0000-4000-8000-000000000001"],
    "jsonb": ['"{""a"": 1}"', "[]"],
    "text": ["a", "1"],
}


@pytest.mark.parametrize("kind", TYPES)
def test_smallest_type_that_holds_every_value(tmp_path: Path, kind: str) -> None:
    assert column(tmp_path, TYPES[kind])["type"] == kind
    with_null = column(tmp_path, [*TYPES[kind], ""])
    assert (with_null["type"], with_null["nullable"]) == (kind, True)


@pytest.mark.parametrize(
    "values",
    [
        ["2026-02-30"],
        ["2026-01-31", "31.01.2026"],
        ["10:00", "25:00"],
        ["00123", "1"],
        ["1", "1,5"],
        ["5f2b1c1e-0000-4000-8000-00000000000g"],
        ["{half"],
        ["nan", "inf"],
    ],
    ids=lambda values: values[0],
)
def test_what_only_looks_like_a_type_stays_text(tmp_path: Path, values: list[str]) -> None:
    quoted = [f'"{value}"' for value in values]
    assert column(tmp_path, quoted)["type"] == "text"


def test_leading_zeros_are_told(tmp_path: Path) -> None:
    found = of_text(tmp_path, "id,zip\n1,00123\n2,04567\n")
    assert any("zip: '00123' begins with a zero" in doubt for doubt in found.unsure)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_dialect_is_found(tmp_path: Path, delimiter: str) -> None:
    text = TEXT.replace(",", delimiter).replace("Köln", f'"Köln{delimiter} am ""Rhein"""')
    document = of_text(tmp_path, text).document
    assert document.get("format", {}).get("delimiter", ",") == delimiter
    assert [one["name"] for one in document["columns"]] == ["id", "name"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    found = of_text(tmp_path, TEXT.encode(encoding))
    told = found.document.get("format", {}).get("encoding", "utf-8")
    assert told == encoding.removesuffix("-sig")
    assert any("likeliest" in doubt for doubt in found.unsure) is (encoding == "cp1252")


def test_packed_files_are_looked_into(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", TEXT)
    packers: list[Any] = [gzip.compress, bz2.compress, lzma.compress, zstandard.compress]
    for number, pack in enumerate(packers):
        (tmp_path / f"{number}.packed").write_bytes(pack(TEXT.encode()))
    plain = of_text(tmp_path, TEXT)
    assert [infer(path) for path in tmp_path.iterdir()] == [plain] * 6


def test_null_marker_is_found_where_nothing_is_empty(tmp_path: Path) -> None:
    found = of_text(tmp_path, "id,n\n1,5\n2,NULL\n3,7\n").document
    assert found["format"]["null"] == "NULL"
    assert found["columns"][1] == {"name": "n", "type": "smallint", "nullable": True}
    empty = of_text(tmp_path, "id,n\n1,\n2,NULL\n").document
    assert "format" not in empty


def test_key_is_the_first_column_that_tells_every_row_apart(tmp_path: Path) -> None:
    assert of_text(tmp_path, "a,user_id\n1,x\n1,y\n").document["primary_key"] == ["user_id"]
    assert "primary_key" not in of_text(tmp_path, "a,b\n1,x\n1,y\n").document
    assert "primary_key" not in of_text(tmp_path, "id,b\n1,x\n,y\n").document


def test_beginning_alone_makes_no_promises(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("id,v\n" + "".join(f"{number},x\n" for number in range(50_000)))
    found = infer(path, most_bytes=10_000)
    assert all(one["nullable"] for one in found.document["columns"])
    assert "primary_key" not in found.document
    assert any("only the first" in doubt for doubt in found.unsure)


def test_names_that_no_column_can_have_are_told(tmp_path: Path) -> None:
    found = of_text(tmp_path, "Full Name,2nd,_drop_id,é\nx,y,z,w\n")
    names = [one["name"] for one in found.document["columns"]]
    assert names[0] == "full_name"
    assert len(set(names)) == 4
    assert sum("cannot be a column's name" in doubt for doubt in found.unsure) >= 3


def test_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match="cannot be read"):
        of_text(tmp_path, gzip.compress(b"a,b\n1,2\n")[:-5])


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 500, b"\n\n\n", b'"' * 99])
def test_file_that_is_hardly_csv_is_no_bug(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    run(["contract", "infer", str(path)])
    assert "bug" not in capsys.readouterr().err


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


@pytest.mark.parametrize(
    ("named", "kept"), [("cp1252", "detect"), ("utf-16", "utf-16"), (None, None)]
)
def test_contract_that_the_loader_makes_names_no_encoding_that_is_only_likely(
    named: str | None, kept: str | None
) -> None:
    written = {"encoding": named, "delimiter": ";"} if named else {"delimiter": ";"}
    made = widened({"columns": [{"name": "a", "type": "text"}], "format": written})
    assert made["format"].get("encoding") == kept
    assert made["format"]["delimiter"] == ";"

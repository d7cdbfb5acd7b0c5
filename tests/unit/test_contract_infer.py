"""The contract that a file suggests: types, nulls, key and dialect, and what is not sure."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import zstandard

from headrace_loader.inference import inferring
from headrace_loader.inference.errors import InferenceError
from headrace_loader.inference.forms import times
from headrace_loader.inference.suggesting import Inferred
from headrace_loader.own_contracts import without_guesses
from headrace_shared.contract import read_contract

TEXT = "id,name\n1,Jürgen\n2,Köln\n"


def infer(*paths: Path, **options: Any) -> Inferred:
    return inferring.infer([(path, path.name) for path in paths], **options)


def of_text(folder: Path, text: str | bytes, name: str = "a.csv", **options: Any) -> Inferred:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found = infer(path, **options)
    read_contract(json.dumps(found.document).encode())
    return found


def column(folder: Path, values: Sequence[str], **options: Any) -> dict[str, Any]:
    rows = "".join(f"{number},{value}\n" for number, value in enumerate(values))
    found: dict[str, Any] = of_text(folder, f"a,v\n{rows}", **options).document["columns"][1]
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
def test_tight_is_the_smallest_type_that_holds_every_value(tmp_path: Path, kind: str) -> None:
    found = column(tmp_path, TYPES[kind], tight=True)
    assert (found["type"], found["nullable"]) == (kind, False)
    with_null = column(tmp_path, [*TYPES[kind], ""], tight=True)
    assert (with_null["type"], with_null["nullable"]) == (kind, True)


@pytest.mark.parametrize("kind", TYPES)
def test_types_leave_room_for_the_next_file(tmp_path: Path, kind: str) -> None:
    wide = {"smallint": "bigint", "integer": "bigint"}
    expected = "numeric" if kind.startswith("numeric") else wide.get(kind, kind)
    assert column(tmp_path, TYPES[kind]) == {"name": "v", "type": expected}


@pytest.mark.parametrize(
    ("values", "kind", "formats"),
    [
        (["31.12.2025", "01.01.2026"], "date", ["%d.%m.%Y"]),
        (["01/31/2026 10:15 PM", "12/01/2026 01:00 AM"], "timestamp", ["%m/%d/%Y %I:%M %p"]),
        (["2010/01/01 00:00"], "timestamp", ["%Y/%m/%d %H:%M"]),
        (["Jan 1 2000", "Feb 28 2001"], "date", ["%b %d %Y"]),
        (["31.12.2025", "2026/01/02"], "date", ["%d.%m.%Y", "%Y/%m/%d"]),
    ],
)
def test_times_in_other_forms_have_their_formats(
    tmp_path: Path, values: list[str], kind: str, formats: list[str]
) -> None:
    assert column(tmp_path, values) == {"name": "v", "type": kind, "formats": formats}


def test_day_and_month_that_cannot_be_told_apart_stay_text(tmp_path: Path) -> None:
    found = of_text(tmp_path, "a,v\n1,01/02/2026\n2,03/04/2026\n")
    assert found.document["columns"][1]["type"] == "text"
    assert any("several ways (%d/%m/%Y, %m/%d/%Y)" in doubt for doubt in found.unsure)
    assert times(["01/02/2026", "13/02/2026"]) == times(["13/02/2026"])


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        (["1.234,50", "99,00"], {"decimal": ",", "thousands": "."}),
        (['"1,234.50"', "2.5"], {"thousands": ","}),
        (["1 234,5", "-7"], {"decimal": ",", "thousands": " "}),
        (["1,5", "22,75"], {"decimal": ","}),
    ],
)
def test_marks_within_numbers_are_found(
    tmp_path: Path, values: list[str], marks: dict[str, str]
) -> None:
    rows = "".join(f"{number};{value}\n" for number, value in enumerate(values))
    found = of_text(tmp_path, f"a;v\n{rows}").document
    assert found["columns"][1] == {"name": "v", "type": "numeric"}
    assert found["format"] == {"delimiter": ";", **marks}


def test_number_that_two_marks_explain_stays_text(tmp_path: Path) -> None:
    found = of_text(tmp_path, "a;v\n1;1,234\n2;5,678\n")
    assert found.document["columns"][1]["type"] == "text"
    assert any("decimals or thousands" in doubt for doubt in found.unsure)


@pytest.mark.parametrize(
    "values",
    [
        ["2026-02-30"],
        ["2026-01-31", "31.01.2026"],
        ["10:00", "25:00"],
        ["00123", "1"],
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
    assert any("is a guess" in doubt for doubt in found.unsure) is (encoding == "cp1252")


def test_packed_files_are_looked_into(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", TEXT)
    (tmp_path / "a.zip").rename(tmp_path / "packed")
    packers: list[Any] = [gzip.compress, bz2.compress, lzma.compress, zstandard.compress]
    for number, pack in enumerate(packers):
        (tmp_path / f"{number}.packed").write_bytes(pack(TEXT.encode()))
    plain = of_text(tmp_path, TEXT)
    assert [infer(path) for path in tmp_path.iterdir()] == [plain] * 6


def test_null_marker_is_found_where_nothing_is_empty(tmp_path: Path) -> None:
    found = of_text(tmp_path, "id,n\n1,5\n2,NULL\n3,7\n").document
    assert found["format"]["null"] == "NULL"
    assert found["columns"][1] == {"name": "n", "type": "bigint"}
    empty = of_text(tmp_path, "id,n\n1,\n2,NULL\n").document
    assert "format" not in empty


def test_key_is_named_for_its_name_alone_and_with_the_reason(tmp_path: Path) -> None:
    found = of_text(tmp_path, "a,user_id\n1,x\n1,y\n")
    assert found.document["primary_key"] == ["user_id"]
    assert any("primary_key user_id: by its name" in doubt for doubt in found.unsure)
    for text in (
        "name,age\na,1\nb,2\n",
        "first_name,b\nx,1\ny,1\n",
        "id,b\n1,x\n,y\n",
        "id\n1\n1\n",
    ):
        assert "primary_key" not in of_text(tmp_path, text).document


def test_beginning_alone_makes_no_promises(tmp_path: Path) -> None:
    text = "id,v\n" + "".join(f"{number},x\n" for number in range(50_000))
    found = of_text(tmp_path, text, tight=True, most_bytes=10_000)
    assert not any("nullable" in one for one in found.document["columns"])
    assert "primary_key" not in found.document
    assert any("only the first" in doubt for doubt in found.unsure)


def test_any_header_becomes_a_column_that_says_where_its_values_are(tmp_path: Path) -> None:
    found = of_text(tmp_path, '"",First Name,é,id,id,2nd\nx,y,z,1,2,w\nx,y,z,1,2,w\n')
    assert [(one["name"], one.get("from")) for one in found.document["columns"]] == [
        ("column_1", {"position": 1}),
        ("first_name", "First Name"),
        ("e", "é"),
        ("id", {"position": 4}),
        ("id_2", {"position": 5}),
        ("_2nd", "2nd"),
    ]


def test_headers_that_the_loader_cannot_tell_apart_are_named_by_position(tmp_path: Path) -> None:
    found = of_text(tmp_path, "bla;BLA ;  ;x\x0cy\n1;2;3;4\n")
    assert [(one["name"], one.get("from")) for one in found.document["columns"]] == [
        ("bla", {"position": 1}),
        ("bla_2", {"position": 2}),
        ("column_3", {"position": 3}),
        ("x_y", "x\x0cy"),
    ]


def test_empty_values_in_quotes_are_null_where_a_number_is_meant(tmp_path: Path) -> None:
    found = of_text(tmp_path, '"a","n","t"\n"1","","x"\n"2","7",""\n')
    assert [one["type"] for one in found.document["columns"]] == ["bigint", "bigint", "text"]
    assert found.document["format"] == {"null_quoted": True}
    texts = of_text(tmp_path, '"a","t"\n"1",""\n"2","x"\n')
    assert "format" not in texts.document


def test_first_line_that_recurs_is_no_header(tmp_path: Path) -> None:
    found = of_text(tmp_path, "red\n" * 5 + "blue\n" * 3).document
    assert found["columns"] == [{"name": "column_1", "type": "text", "from": {"position": 1}}]
    assert found["format"] == {"header": False}
    joined = of_text(tmp_path, "id,name\n1,a\nid,name\n2,b\n").document
    assert [one["name"] for one in joined["columns"]] == ["id", "name"]


def test_title_before_the_header_is_named(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match="begins in line 3; before it stands 'Report'"):
        of_text(tmp_path, "Report\n\nid,name\n1,a\n2,b\n3,c\n")


def test_comments_before_the_header_are_named_in_the_format(tmp_path: Path) -> None:
    found = of_text(tmp_path, "# made today\nid;n\n1;a\n2;x\n")
    assert found.document["format"] == {"delimiter": ";", "comment": "#"}


def test_no_encoding_is_suggested_in_which_the_file_cannot_be_read(tmp_path: Path) -> None:
    text = "番号,名前\n" + "".join(f"{number},山田太郎さん東京都\n" for number in range(50))
    content = text.encode("shift_jis")
    found = of_text(tmp_path, content)
    encoding = found.document["format"]["encoding"]
    assert content.decode(encoding) == text
    assert any("山田太郎" in doubt or "番号" in doubt for doubt in found.unsure)


def test_several_files_make_one_contract(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.csv", "b.csv")]
    paths[0].write_text("a,n\n1,5\n2,6\n")
    paths[1].write_text("n,x\n1.5,t\n2,u\n")
    found = infer(*paths)
    assert [(one["name"], one["type"]) for one in found.document["columns"]] == [
        ("a", "bigint"),
        ("n", "numeric"),
        ("x", "text"),
    ]
    assert {"'a' is not in every file", "'x' is not in every file"} <= set(found.unsure)
    paths[1].write_text("n;x\n1.5;t\n")
    with pytest.raises(InferenceError, match="not written alike"):
        infer(*paths)


RECORDS = [
    {"id": 1, "at": "2026-01-01T10:00:00Z", "user": {"name": "a", "tags": ["x"]}, "ok": True},
    {"id": 2, "at": "2026-01-02T10:00:00Z", "user": {"name": "b"}, "price": 1.5, "no": "007"},
]
COLUMNS = {
    "id": ("bigint", None),
    "at": ("timestamptz", None),
    "user_name": ("text", "$.user.name"),
    "user_tags": ("jsonb", "$.user.tags"),
    "ok": ("boolean", None),
    "price": ("numeric", None),
    "no": ("text", None),
}


@pytest.mark.parametrize("form", ["lines", "array", "document", "printed"])
def test_json_records_have_a_column_for_each_value(tmp_path: Path, form: str) -> None:
    texts = {
        "lines": "".join(f"{json.dumps(one)}\n" for one in RECORDS),
        "array": json.dumps(RECORDS, indent=1),
        "document": json.dumps({"next": None, "rows": RECORDS}),
        "printed": "\n".join(json.dumps(one, indent=2) for one in RECORDS),
    }
    found = of_text(tmp_path, texts[form], "a.txt").document
    columns = {one["name"]: (one["type"], one.get("from")) for one in found["columns"]}
    assert columns == COLUMNS
    at = {"records": "$.rows"} if form == "document" else {}
    assert found["format"] == {"type": "json", **at}


def test_array_of_objects_is_jsonb_and_explode_is_named(tmp_path: Path) -> None:
    found = of_text(tmp_path, '{"id": 1, "lines": [{"q": 1}]}\n{"id": 2, "lines": []}\n', "a.json")
    assert found.document["columns"][1] == {"name": "lines", "type": "jsonb"}
    assert any('"explode": ["$.lines"]' in doubt for doubt in found.unsure)


def a_table() -> pa.Table:
    return pa.table(
        {
            "i": pa.array([1, None], pa.int32()),
            "d": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
            "t": pa.array([0, 1], pa.timestamp("us", tz="UTC")),
            "l": pa.array([[1], None], pa.list_(pa.int8())),
            "First Name": pa.array(["a", "b"]).dictionary_encode(),
        }
    )


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_columnar_file_says_its_types_itself(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "part-0"
    if kind == "parquet":
        pyarrow.parquet.write_table(a_table(), path)
    else:
        pyarrow.feather.write_feather(a_table(), path)
    found = infer(path).document
    assert found == {
        "columns": [
            {"name": "i", "type": "integer"},
            {"name": "d", "type": "numeric(9,2)"},
            {"name": "t", "type": "timestamptz"},
            {"name": "l", "type": "jsonb"},
            {"name": "first_name", "type": "text", "from": "First Name"},
        ],
        "format": {"type": kind},
    }


def test_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match="ends early"):
        of_text(tmp_path, gzip.compress(b"a,b\n1,2\n")[:-5])


@pytest.mark.parametrize(
    ("named", "kept"), [("cp1252", "detect"), ("utf-16", "utf-16"), (None, None)]
)
def test_own_contract_has_no_key_and_no_encoding_that_is_a_guess(
    named: str | None, kept: str | None
) -> None:
    written = {"delimiter": ";"} | ({"encoding": named} if named else {})
    made = without_guesses({"columns": [], "primary_key": ["id"], "format": written})
    assert made == {
        "columns": [],
        "format": {"delimiter": ";"} | ({"encoding": kept} if kept else {}),
    }

"""CSV files as they are in the world, loaded on every path: quotes, encodings, Excel's habits.

Each file is loaded as plain, by a small append that may share a COPY, and with quarantine; what
ends up in the table may not depend on that.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headrace_loader.outcomes import Loaded, Outcome, Rejected
from headrace_local.api_client import DropItem
from headrace_local.quarantined import Quarantined, correcting_name, exported
from headrace_shared.log_schema import State
from tests.integration.test_quarantine import kept
from tests.road import Road

Row = tuple[str | None, ...]

TWO = ("id", "t")


@dataclass(frozen=True)
class File:
    """A file, the rows that are to be loaded of it, and its bad rows by line and code."""

    body: bytes
    rows: Sequence[Row]
    bad: Sequence[tuple[int, str]] = ()
    written: dict[str, Any] = field(default_factory=dict)
    columns: Sequence[str] = TWO
    kinds: Sequence[str] = ()

    def contract(self, mode: str) -> dict[str, Any]:
        kinds = self.kinds or ["text"] * len(self.columns)
        columns = [{"name": n, "type": k} for n, k in zip(self.columns, kinds, strict=True)]
        return {
            "columns": columns,
            "format": self.written,
            "on_bad_rows": {"mode": mode},
            "evolution": "allow_breaking",
        }


def text(body: str, rows: Sequence[Row], *bad: tuple[int, str], **more: Any) -> File:
    encoding = more.get("written", {}).get("encoding", "utf-8")
    return File(body.encode(encoding), rows, bad, **more)


QUOTES = {
    "inch signs": text('id,t\n5" x,p\n6" y,q\n', [('5" x', "p"), ('6" y', "q")]),
    "a pair within a value": text('id,t\nq"r"s,p\n6 y,q\n', [('q"r"s', "p"), ("6 y", "q")]),
    "inch signs at the end": text('id,t\n1,5"\n2,6"\n', [("1", '5"'), ("2", '6"')]),
    "a blank before": text('id,t\nz, "p"\n', [("z", ' "p"')]),
    "a delimiter after a blank and a quote": text(
        'id,t\nz, "p, q"\n1,a\n', [("1", "a")], (2, "bad_quoting")
    ),
    "not escaped": text('id,t\n1,"a "b" c"\n2,c\n', [("2", "c")], (2, "bad_quoting")),
    "text after the quote": text('id,t\n1,"a ""b" c\n2,c\n', [("2", "c")], (2, "bad_quoting")),
    "never closed": text('id,t\n1,"a\n2,b\n3,"c"\n', [("2", "b"), ("3", "c")], (2, "bad_quoting")),
    "across lines": text(
        'id,t\n1,"a\nb" c\n2,"d\ne"\n', [("2", "d\ne")], (2, "bad_quoting"), (3, "bad_quoting")
    ),
    "all of them": text(
        'id,t\n1,5" x\n2,"a "b" c"\n3,q"r"s\n4,"d"\n5,"e\n6, "f"\n7,g"\n',
        [("1", '5" x'), ("3", 'q"r"s'), ("4", "d"), ("6", ' "f"'), ("7", 'g"')],
        (3, "bad_quoting"),
        (6, "bad_quoting"),
    ),
    "tabs": text(
        'id\tt\n1\t5" pipe\n2\t"x\ty"\n',
        [("1", '5" pipe'), ("2", "x\ty")],
        written={"delimiter": "\t"},
    ),
    "apostrophes": text(
        "id;t\n1;it's\n2;'q;q'\n3;O'Neil's\n",
        [("1", "it's"), ("2", "q;q"), ("3", "O'Neil's")],
        written={"quote": "'", "delimiter": ";"},
    ),
    "numbers beside them": text(
        'id,t\n5" bolt,3\n6" bolt,x\n"7"" bolt",4\n',
        [('5" bolt', "3"), ('7" bolt', "4")],
        (3, "type"),
        kinds=["text", "integer"],
    ),
    "numbers with marks beside them": text(
        'id;t\n5" a;1,5\n"x;y";2,5\n',
        [('5" a', "1.5"), ("x;y", "2.5")],
        written={"delimiter": ";", "decimal": ","},
        kinds=["text", "numeric"],
    ),
    "backslashes": text(
        'id,t\n1,"a\\"b"\n\\,z\n3,a\\"b\n4,"c\\\\"\n5,"d\\e"\n6,"f""g"\n',
        [("1", 'a"b'), ("\\", "z"), ("3", 'a\\"b'), ("4", "c\\"), ("5", "d\\e")],
        (7, "bad_quoting"),
        written={"escape": "\\"},
    ),
    "no header": text('1,5" x\n2,"y"\n', [("1", '5" x'), ("2", "y")], written={"header": False}),
}

LINES = {
    "header again": text(
        "id,t\n1,a\nid,t\n2,b\n", [("1", "a"), ("2", "b")], (3, "repeated_header")
    ),
    "header again, quoted": text(
        '"id",t\n1,a\nid,"t"\n2,b\n"id","t"',
        [("1", "a"), ("2", "b")],
        (3, "repeated_header"),
        (5, "repeated_header"),
    ),
    "header again, left out": text(
        "id,t\r\n1,a\r\nid,t\r\nid,t\r\n2,b\r\n",
        [("1", "a"), ("2", "b")],
        written={"repeated_header": "skip"},
    ),
    "header again, a row": text(
        "id,t\n1,a\nid,t\n", [("1", "a"), ("id", "t")], written={"repeated_header": "accept"}
    ),
    "header within quotes": text('id,t\n1,"x\nid,t\ny"\n', [("1", "x\nid,t\ny")]),
    "lines that only begin so": text("id,t\nid,two\n1,id\n", [("id", "two"), ("1", "id")]),
    "header of one column": text(
        "t\na\nt\n\ntt\n", [("a",), ("tt",)], (3, "repeated_header"), columns=["t"]
    ),
    "empty lines": text("\n\nid,t\n\n1,a\n\n\n2,b\n\n", [("1", "a"), ("2", "b")]),
    "empty lines of one column": text(
        't\n1\n\n2\r\n\r\n""\n\n', [("1",), ("2",), ("",)], columns=["t"]
    ),
    "empty lines before one column": text(
        "\n1\n2\n", [("1",), ("2",)], columns=["t"], written={"header": False}
    ),
    "empty lines of one number": text(
        "t\r1\r\r2\r", [("1",), ("2",)], columns=["t"], kinds=["integer"]
    ),
    "null in quotes": text(
        '"id","n","d","t"\n"1","","",""\n"2","7","2026-01-01","x"\n',
        [("1", None, None, None), ("2", "7", "2026-01-01", "x")],
        columns=["id", "n", "d", "t"],
        kinds=["integer", "integer", "date", "text"],
        written={"null_quoted": True},
    ),
    "null text in quotes": text(
        'id,t\n"1","NA"\n"NA",""\n3,NA\n',
        [("1", None), (None, ""), ("3", None)],
        written={"null_quoted": True, "null": "NA"},
    ),
    "null in quotes of one column": text(
        't\n""\n1\n""\n',
        [(None,), ("1",), (None,)],
        columns=["t"],
        kinds=["integer"],
        written={"null_quoted": True},
    ),
    "null in quotes of numbers with marks": text(
        '"t"\n""\n"1,5"\n',
        [(None,), ("1.5",)],
        columns=["t"],
        kinds=["numeric"],
        written={"null_quoted": True, "decimal": ",", "delimiter": ";"},
    ),
    "nothing in quotes": text(
        'id,t\n1,""\n2,3\n', [("2", "3")], (2, "type"), kinds=["text", "integer"]
    ),
    "delimiter line": text("sep=;\r\nid;t\r\n1;x\r\n", [("1", "x")], written={"delimiter": ";"}),
    "delimiter line without a header": text(
        "sep=\t\n1\tx\n", [("1", "x")], written={"delimiter": "\t", "header": False}
    ),
    "trailing delimiters": text(
        "id;t;\n1;x;\n2;y\n3;;\n4;z;;\n",
        [("1", "x"), ("2", "y"), ("3", None)],
        (5, "too_many_fields"),
        written={"delimiter": ";", "trailing_delimiter": True},
    ),
    "trailing delimiters of rows alone": text(
        'id|t\r\n1|x|\r\n2|"y|"|\r\n',
        [("1", "x"), ("2", "y|")],
        written={"delimiter": "|", "trailing_delimiter": True},
    ),
    "trailing delimiters that are not allowed": text(
        "id|t\n1|x|\n2|y\n", [("2", "y")], (2, "too_many_fields"), written={"delimiter": "|"}
    ),
}

ENCODED = {
    "cp1251": text("id,t\n1,Москва\n", [("1", "Москва")], written={"encoding": "cp1251"}),
    "cp1250": text("id,t\n1,Zażółć\n", [("1", "Zażółć")], written={"encoding": "Windows-1250"}),
    "Shift-JIS": text("id,t\n1,東京\n", [("1", "東京")], written={"encoding": "Shift-JIS"}),
    "KOI8-R": text("id,t\n1,Псков\n", [("1", "Псков")], written={"encoding": "KOI8-R"}),
    "cp1252 with a byte that it does not have": File(
        b"id,t\n1,\xe9\n2,\x81\n3,c\n",
        [("1", "é"), ("3", "c")],
        [(3, "bad_encoding")],
        {"encoding": "cp1252"},
    ),
    "Shift-JIS with half a character": File(
        "id,t\n1,東\n2,".encode("shift_jis") + b"\x81\n3,c\n",
        [("1", "東"), ("3", "c")],
        [(3, "bad_encoding")],
        {"encoding": "shift_jis"},
    ),
    "GB18030 with a byte that is none": File(
        "id,t\n1,北\n".encode("gb18030") + b"2,\xff\n3,c\n",
        [("1", "北"), ("3", "c")],
        [(3, "bad_encoding")],
        {"encoding": "gb18030"},
    ),
    "UTF-16 with half a character": File(
        codecs.BOM_UTF16_LE
        + "id,t\n1,a\n2,".encode("utf-16-le")
        + b"\x00\xd8"
        + "\n3,c\n".encode("utf-16-le"),
        [("1", "a"), ("3", "c")],
        [(3, "bad_encoding")],
        {"encoding": "utf-16"},
    ),
    "UTF-16 that is detected": File(
        "id,t\n1,é\n".encode("utf-16-be"), [("1", "é")], (), {"encoding": "detect"}
    ),
    "UTF-8 that is detected": text("id,t\n1,é\n", [("1", "é")]),
}

FILES = {"quotes": QUOTES, "lines": LINES, "encodings": ENCODED}


def rows(road: Road, columns: Sequence[str], table: str = "users") -> list[Row]:
    with psycopg.connect(road.dsn) as connection:
        listed = ", ".join(f"{name}::text" for name in columns)
        found = connection.execute(f"select {listed} from dev.{table}".encode()).fetchall()
        return sorted(found, key=_order)


def _order(row: Row) -> list[tuple[bool, str]]:
    return [(value is None, value or "") for value in row]


def bad_rows(outcome: Outcome) -> list[tuple[int, str]]:
    if isinstance(outcome, Rejected):
        found = outcome.reason.bad_rows
    else:
        assert isinstance(outcome, Loaded), outcome
        found = outcome.aside.first
    return [(row.line or 0, row.code or "") for row in found]


async def load(
    road: Road, file: File, mode: str, action: str = "truncate", table: str = "users"
) -> Outcome:
    await road.contract(f"dev.{table}", **file.contract(mode))
    return await road.load(f"dev/{action}/{table}/{road.seconds}.csv", file.body)


PATHS = (("quarantine", "truncate"), ("reject", "truncate"), ("reject", "append"))


@pytest.mark.parametrize("kind", FILES)
async def test_file_loads_alike_on_every_path(road: Road, kind: str) -> None:
    for number, (name, file) in enumerate(FILES[kind].items()):
        table = f"files_{number}"
        expected = sorted(file.rows, key=_order)
        for mode, action in PATHS:
            outcome = await load(road, file, mode, action, table)
            assert bad_rows(outcome) == list(file.bad), (name, mode, action)
            if mode == "reject" and file.bad:
                assert isinstance(outcome, Rejected), (name, mode, action)
                continue
            assert isinstance(outcome, Loaded), (name, mode, action, outcome)
            times = 2 if action == "append" else 1
            wanted = sorted([*expected] * times, key=_order)
            assert rows(road, file.columns, table) == wanted, (name, mode, action)


REFUSED = {
    "detect, two encodings": (
        File("id,t\n1,ä\n2,".encode() + b"\xe4\n", [], written={"encoding": "detect"}),
        "encoding_undecided",
        "byte position 12",
    ),
    "detect, one word in cp1252 after many rows": (
        File(
            b"id,t\n" + b"1,plain\n" * 500 + "2,crème\n".encode("cp1252"),
            [],
            written={"encoding": "detect"},
        ),
        "encoding_undecided",
        "cp1252",
    ),
    "detect, Russian": (
        File("id,t\n1,Москва\n".encode("cp1251"), [], written={"encoding": "detect"}),
        "encoding_undecided",
        "cp1251",
    ),
    "another delimiter": (
        File(b"sep=;\nid;t\n1;x\n", []),
        "delimiter_mismatch",
        "';'",
    ),
    "trailing delimiter in the header": (
        File(b"id;t;\n1;x;\n", [], written={"delimiter": ";"}),
        "header_mismatch",
        "trailing_delimiter",
    ),
    "header that cannot be decoded": (
        File(b"id,t\x81\n1,x\n", [], written={"encoding": "cp1252"}),
        "encoding_invalid",
        "byte 0x81 at byte position 4",
    ),
    "header that is not CSV": (File(b'id,"t"x\n1,x\n', []), "header_unreadable", "quote"),
}


@pytest.mark.parametrize("mode", ["quarantine", "reject"])
async def test_file_that_cannot_be_read_is_refused(road: Road, mode: str) -> None:
    for name, (file, code, named) in REFUSED.items():
        outcome = await load(road, file, mode)
        assert isinstance(outcome, Rejected), (name, outcome)
        assert outcome.reason.code == code, name
        assert named in f"{outcome.reason.message} {outcome.reason.remedy}", name


async def test_reason_of_an_empty_field_in_quotes_names_the_option(road: Road) -> None:
    outcome = await load(road, LINES["nothing in quotes"], "quarantine")
    assert isinstance(outcome, Loaded)
    (row,) = outcome.aside.first
    assert row.reason.startswith(
        '"" is not an integer; the field is quoted and empty: "null_quoted"'
    )


async def test_reason_of_a_field_too_many_names_the_option(road: Road) -> None:
    outcome = await load(road, LINES["trailing delimiters that are not allowed"], "quarantine")
    assert isinstance(outcome, Loaded)
    assert '"trailing_delimiter": true' in outcome.aside.first[0].reason


@pytest.mark.parametrize(
    ("encoding", "good", "bad"),
    [("cp1252", "é", b"\x81"), ("shift_jis", "東", b"\x81"), ("utf-16", "é", b"\x00\xd8")],
)
async def test_undecodable_bytes_are_named_kept_and_exported_as_they_stood(
    road: Road, encoding: str, good: str, bad: bytes
) -> None:
    plain = encoding.replace("utf-16", "utf-16-le")
    mark = codecs.BOM_UTF16_LE if encoding == "utf-16" else b""
    before = mark + f"id,t\n1,{good}\n".encode(plain)
    line = "2,".encode(plain) + bad
    body = before + line + f"\n3,{good}\n".encode(plain)
    await road.contract(**File(body, [], written={"encoding": encoding}).contract("quarantine"))
    drop = road.land("dev/append/users/a.csv", body)
    outcome = await road.loading.load(drop, attempt=1)
    assert isinstance(outcome, Loaded), outcome
    about, records = kept(road, drop)
    (record,) = records
    (fault,) = record["faults"]
    assert (record["line"], record["byte_offset"]) == (3, len(before))
    assert (fault["code"], fault["column"], fault["value"]) == (
        "bad_encoding",
        "t",
        f"0x{bad[0]:02x}",
    )
    place = len(before) + len(line) - len(bad)
    assert f"byte 0x{bad[0]:02x} at byte position {place}" in fault["reason"]
    item = DropItem(
        drop_id=drop.drop_id,
        bucket=drop.bucket,
        key=drop.key,
        file=drop.file,
        state=State.LOADED,
        landed_timestamp=drop.landed_timestamp,
    )
    content = exported(Quarantined(about, records))
    assert content == mark + "id,t\n".encode(plain) + line + "\n".encode(plain)
    corrected = content.replace(bad, good.encode(plain))
    again = await road.load(f"dev/append/users/{correcting_name(item)}", corrected)
    assert isinstance(again, Loaded), again
    assert rows(road, TWO) == [("1", good), ("2", good), ("3", good)]


DIALECTS: tuple[dict[str, Any], ...] = ({}, {"quote": "'", "delimiter": ";"}, {"escape": "\\"})


@given(
    body=st.lists(
        st.lists(
            st.sampled_from(["a", '"', "'", ",", ";", "\\", " ", '""', '"b"', "'c'", "\r\n", "id"]),
            max_size=7,
        ),
        min_size=1,
        max_size=8,
    ),
    written=st.sampled_from(DIALECTS),
    columns=st.sampled_from([("id",), TWO]),
)
@example(body=[["a", '"', ",", "b"], ['"', "a", '"', ",", "c"]], written={}, columns=TWO)
@example(body=[["a"], [], ['""'], ["id"]], written={}, columns=("id",))
@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_quotes_load_alike_on_every_path(
    road: Road, body: list[list[str]], written: dict[str, Any], columns: tuple[str, ...]
) -> None:
    delimiter = written.get("delimiter", ",")
    lines = "\n".join("".join(parts) for parts in body)
    content = f"{delimiter.join(columns)}\n{lines}\n".encode()
    file = File(content, [], written=written, columns=columns)
    validated = await load(road, file, "quarantine")
    loaded = rows(road, columns) if isinstance(validated, Loaded) else []
    plain = await load(road, file, "reject")
    if isinstance(validated, Loaded) and not validated.aside.rows:
        assert isinstance(plain, Loaded), plain
        assert rows(road, columns) == loaded
    else:
        assert isinstance(plain, Rejected), plain
        assert bad_rows(plain) == bad_rows(validated)

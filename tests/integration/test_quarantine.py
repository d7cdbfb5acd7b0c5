"""Law 3 on real files: what is not in the table is in the quarantine, with its place and reason."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace_loader.outcomes import Loaded, Outcome, Rejected
from headrace_local.api_client import DropItem
from headrace_local.quarantined import Quarantined, correcting_name, exported
from headrace_shared.drop import Drop
from headrace_shared.log_schema import State
from headrace_shared.quarantine import FORMAT, quarantine_key
from tests.road import Road

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "bigint", "nullable": False},
    {"name": "name", "type": "varchar(10)"},
    {"name": "qty", "type": "smallint"},
    {"name": "day", "type": "date"},
]
SETTING_ASIDE = {"mode": "quarantine"}


def kept(road: Road, drop: Drop) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The quarantine's file of a drop: what it says of the drop, and of each bad record."""
    answer = road.aws.clients.s3.get_object(
        Bucket=road.aws.resources.quarantine.name, Key=quarantine_key(drop)
    )
    lines = gzip.decompress(answer["Body"].read()).decode().splitlines()
    about, *rows = map(json.loads, lines)
    return about, rows


def ids(road: Road) -> list[int]:
    with psycopg.connect(road.dsn) as connection:
        return [row[0] for row in connection.execute("select id from dev.users order by id")]


async def land(road: Road, body: bytes | str, file: str = "a.csv") -> tuple[Drop, Outcome]:
    drop = road.land(f"dev/append/users/{road.seconds}-{file}", body)
    return drop, await road.loading.load(drop, attempt=1)


async def test_bad_rows_are_set_aside_and_the_others_loaded(road: Road) -> None:
    await road.contract(columns=COLUMNS, on_bad_rows=SETTING_ASIDE)
    body = (
        "id,name,qty,day\n"
        "1,a,1,2026-01-01\n"
        "2,b,12x,2026-02-30\n"
        '3,"two\nlines",3,\n'
        "4,a name too long,99999,\n"
        ",no id,1,\n"
        "6,few\n"
        "7,g,7,2026-07-07\n"
    )
    drop, outcome = await land(road, body)
    assert isinstance(outcome, Loaded)
    assert (outcome.rows, outcome.aside.rows) == (3, 4)
    assert ids(road) == [1, 3, 7]
    about, rows = kept(road, drop)
    assert about["format"] == FORMAT
    assert about["header"] == "id,name,qty,day"
    assert about["set_aside"] is True
    faults = [(r["record"], r["line"], f["column"], f["code"]) for r in rows for f in r["faults"]]
    assert faults == [
        (2, 3, "qty", "type"),
        (2, 3, "day", "range"),
        (4, 6, "name", "too_long"),
        (4, 6, "qty", "range"),
        (5, 7, "id", "null"),
        (6, 8, None, "too_few_fields"),
    ]
    assert [row["raw"] for row in rows] == [
        "2,b,12x,2026-02-30",
        "4,a name too long,99999,",
        ",no id,1,",
        "6,few",
    ]
    assert all(body.encode()[row["byte_offset"] :].startswith(row["raw"].encode()) for row in rows)
    assert rows[0]["faults"][0]["reason"] == '"12x" is not an integer'


async def test_quotes_within_values_are_characters(road: Road) -> None:
    await road.contract(columns=COLUMNS, on_bad_rows=SETTING_ASIDE)
    body = 'id,name,qty,day\n1,a"b,x,\n2,c"d"e,2,\n3,,"",\n'
    drop, outcome = await land(road, body)
    assert isinstance(outcome, Loaded), outcome
    _, rows = kept(road, drop)
    faults = [(r["line"], f["column"], f["value"]) for r in rows for f in r["faults"]]
    assert faults == [(2, "qty", "x"), (4, "qty", "")]
    assert road.scalar("select name from dev.users") == 'c"d"e'


async def test_mended_rows_load_after_the_header(road: Road) -> None:
    await road.contract(columns=COLUMNS, on_bad_rows=SETTING_ASIDE)
    drop, _ = await land(road, "id,name,qty,day\n1,a,1,\n2,b,x,\n")
    about, rows = kept(road, drop)
    mended = "\n".join([about["header"], *(row["raw"].replace("x", "2") for row in rows)])
    _, outcome = await land(road, mended)
    assert isinstance(outcome, Loaded)
    assert ids(road) == [1, 2]


@pytest.mark.parametrize(
    ("policy", "bad", "loaded"),
    [
        ({"max_rows": 2}, 2, True),
        ({"max_rows": 2}, 3, False),
        ({"max_ratio": 0.2}, 2, True),
        ({"max_ratio": 0.2}, 3, False),
        ({"max_rows": 0}, 0, True),
        ({"max_rows": 0}, 1, False),
    ],
)
async def test_more_bad_rows_than_the_contract_allows_reject_the_drop(
    road: Road, policy: dict[str, Any], bad: int, loaded: bool
) -> None:
    await road.contract(columns=COLUMNS, on_bad_rows={**SETTING_ASIDE, **policy})
    body = "id,name,qty,day\n" + "".join(
        f"{number},a,{'x' if number < bad else 1},\n" for number in range(10)
    )
    _, outcome = await land(road, body)
    if loaded:
        assert isinstance(outcome, Loaded)
        assert outcome.aside.rows == bad
        assert ids(road) == list(range(bad, 10))
    else:
        assert isinstance(outcome, Rejected)
        assert outcome.reason.code == "too_many_bad_rows"
        assert ids(road) == []


async def test_rejected_drop_lists_every_bad_row(road: Road) -> None:
    await road.contract(columns=COLUMNS)
    body = "id,name,qty,day\n" + "".join(f"{n},a,{'x' if n % 3 else 1},\n" for n in range(300))
    drop, outcome = await land(road, body)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.bad_row_count == 200
    assert len(outcome.reason.bad_rows) == 10
    about, rows = kept(road, drop)
    assert about["set_aside"] is False
    assert [row["record"] for row in rows] == [n + 1 for n in range(300) if n % 3]
    assert ids(road) == []


async def test_answer_again_tells_the_same(road: Road) -> None:
    await road.contract(columns=COLUMNS, on_bad_rows=SETTING_ASIDE)
    drop, first = await land(road, "id,name,qty,day\n1,a,1,\n2,b,x,\n")
    again = await road.loading.load(drop, attempt=2)
    assert isinstance(first, Loaded)
    assert isinstance(again, Loaded)
    assert again.repeated
    assert again.aside == first.aside


async def test_upsert_sets_bad_rows_aside_too(road: Road) -> None:
    await road.contract(columns=COLUMNS, primary_key=["id"], on_bad_rows=SETTING_ASIDE)
    await land(road, "id,name,qty,day\n1,a,1,\n2,b,2,\n")
    drop = road.land("dev/upsert/users/u.csv", "id,name,qty,day\n1,new,1,\n2,bad,x,\n,none,1,\n")
    outcome = await road.loading.load(drop, attempt=1)
    assert isinstance(outcome, Loaded)
    assert (outcome.rows, outcome.aside.rows) == (1, 2)
    assert road.scalar("select string_agg(name, ' ' order by id) from dev.users") == "new b"


@pytest.mark.parametrize("header", ["id,name,qty,day\n", ""])
async def test_line_ends_in_the_first_record_move_no_place(road: Road, header: str) -> None:
    await road.contract(columns=COLUMNS, on_bad_rows=SETTING_ASIDE, format={"header": bool(header)})
    body = f'{header}1,"a\nb\r\nc",1,\n2,b,x,\n3,c,3,\n4,"d\n",y,\n'
    drop, outcome = await land(road, body)
    assert isinstance(outcome, Loaded)
    _, rows = kept(road, drop)
    assert [row["raw"] for row in rows] == ["2,b,x,", '4,"d\n",y,']
    assert [row["line"] for row in rows] == [4 + len(header) // 16, 6 + len(header) // 16]


@pytest.mark.parametrize(
    "body",
    [
        b"id,name,qty,day\r1,a,1,\r2,b,2,\r",
        b"id,name,qty,day\r\n1,a,1,\n2,b,2,\r",
        b"id,name,qty,day\n1,a,1,\r\n\n2,b,2,\n\n",
    ],
)
async def test_mixed_line_ends_and_empty_lines_load(road: Road, body: bytes) -> None:
    await road.contract(columns=COLUMNS)
    _, outcome = await land(road, body)
    assert isinstance(outcome, Loaded), outcome
    assert ids(road) == [1, 2]


async def test_comments_are_no_rows(road: Road) -> None:
    await road.contract(columns=COLUMNS, format={"comment": "#"})
    body = "# made by hand\nid,name,qty,day\n# it's \"odd\n1,a,1,\n#2,b,2,\n3,#c,3,\n"
    _, outcome = await land(road, body)
    assert isinstance(outcome, Loaded), outcome
    assert ids(road) == [1, 3]


def parquet() -> bytes:
    out = io.BytesIO()
    table = pa.table({"id": [1, 2], "name": ["a", "ü"], "qty": ["1", "x"]})
    pa.parquet.write_table(table, out)
    return out.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}
BAD_FIELDS = {
    "type": ("qty", "1O"),
    "range": ("qty", "40000"),
    "too_long": ("name", "more than ten"),
    "null": ("id", None),
}
BAD_LINES = ("too_few_fields", "too_many_fields", "bad_quoting")
BAD_BYTES = {"nul": b"\0", "not utf-8": b"\xff"}


@dataclass(frozen=True)
class Dialect:
    delimiter: str
    quote: str
    null: str
    header: bool
    line_end: str
    encoding: str

    @property
    def format(self) -> dict[str, Any]:
        return {
            "delimiter": self.delimiter,
            "quote": self.quote,
            "null": self.null,
            "header": self.header,
            "encoding": self.encoding,
        }

    def line(self, fields: list[str | None]) -> str:
        return self.delimiter.join(self._written(value) for value in fields)

    def _written(self, value: str | None) -> str:
        if value is None:
            return self.null
        if value == self.null or {self.delimiter, self.quote, "\r", "\n"} & set(value):
            return self.quote + value.replace(self.quote, self.quote * 2) + self.quote
        return value


dialects = st.builds(
    Dialect,
    delimiter=st.sampled_from(",;\t|"),
    quote=st.sampled_from("\"'"),
    null=st.sampled_from(["", "\\N", "NULL"]),
    header=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-16", "latin-1", "cp1252"]),
)
names = st.one_of(
    st.none(),
    st.text(st.sampled_from("aé ,;|\t\"'#\\"), max_size=10),
    st.sampled_from(["", "\\.", "NULL", "\\N"]),
)
defects = st.one_of(
    st.none(), st.none(), st.sampled_from([*BAD_FIELDS, *BAD_LINES]), st.sampled_from([*BAD_BYTES])
)


def planted(
    dialect: Dialect, rows: list[tuple[str | None, str | None]]
) -> tuple[bytes, dict[int, tuple[str | None, str]], dict[int, str | None]]:
    """A file; of each bad line its column and code; and the good rows."""
    lines: list[bytes] = []
    bad: dict[int, tuple[str | None, str]] = {}
    good: dict[int, str | None] = {}
    if any(defect == "bad_quoting" for _, defect in rows):
        # A quote that is not closed and one of another row can make a good record between them.
        rows = [(None if name is None else "plain", defect) for name, defect in rows]
    if dialect.header:
        lines.append(dialect.line(["id", "name", "qty", "day"]).encode())
    for number, (name, wanted) in enumerate(rows):
        defect = wanted if dialect.encoding == "utf-8" or wanted not in BAD_BYTES else None
        at, fields = len(lines) + 1, [str(number), name, "7", "2026-01-02"]
        if defect in BAD_FIELDS:
            column, value = BAD_FIELDS[defect]
            fields[["id", "name", "qty", "day"].index(column)] = value
            bad[at] = (column, defect)
        elif defect in BAD_LINES:
            bad[at] = (None, defect)
        elif defect is not None:
            bad[at] = ("day", "bad_encoding")
        else:
            good[number] = name
        lines.append(_with_defect(dialect, fields, defect))
    return dialect.line_end.encode().join([*lines, b""]), bad, good


def _with_defect(dialect: Dialect, fields: list[str | None], defect: str | None) -> bytes:
    if defect == "too_few_fields":
        return dialect.line(fields[:2]).encode()
    if defect == "too_many_fields":
        return dialect.line([*fields, "more"]).encode()
    if defect == "bad_quoting":
        return (dialect.line(["1"]) + dialect.delimiter + dialect.quote + "never closed").encode()
    line = dialect.line(fields).encode()
    return line + BAD_BYTES[defect] if defect in BAD_BYTES else line


@given(
    dialect=dialects,
    rows=st.lists(st.tuples(names, defects), max_size=12),
    packing=st.sampled_from(list(PACKINGS)),
    mode=st.sampled_from(["quarantine", "reject"]),
)
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_law_3_every_planted_defect_is_told_at_its_place_and_nothing_else_is(
    road: Road,
    dialect: Dialect,
    rows: list[tuple[str | None, str | None]],
    packing: str,
    mode: str,
) -> None:
    content, bad, good = planted(dialect, rows)
    if not content:
        return
    await road.contract(
        columns=COLUMNS,
        evolution="allow_breaking",
        format=dialect.format,
        on_bad_rows={"mode": mode},
    )
    if dialect.encoding != "utf-8":
        content = content.decode().encode(dialect.encoding)
    key = f"dev/truncate/users/{road.seconds}.csv{packing}"
    drop = road.land(key, PACKINGS[packing](content))
    outcome = await road.loading.load(drop, attempt=1)
    found: dict[int, tuple[str | None, str]] = {}
    if bad:
        _, records = await asyncio.to_thread(kept, road, drop)
        for record in records:
            (fault,) = record["faults"]
            found[record["line"]] = (fault["column"], fault["code"])
    assert found == bad
    if bad and (mode == "reject" or not good):
        assert isinstance(outcome, Rejected), outcome
        assert outcome.reason.bad_row_count == len(bad)
        return
    assert isinstance(outcome, Loaded), outcome
    assert outcome.rows + outcome.aside.rows == len(rows)
    with psycopg.connect(road.dsn) as connection:
        assert dict(connection.execute("select id, name from dev.users").fetchall()) == good


ACCENTS = "id,name,qty,day\n1,é,1,\n2,ü,x,\n"
RECORDS = '[{"id": 1},\n{"id": 2, "name": "ü", "qty": "x"}]'
MENDABLE: dict[str, tuple[dict[str, Any], bytes, str]] = {
    "utf-16": (
        {"encoding": "utf-16"},
        ACCENTS.encode("utf-16"),
        "a.csv",
    ),
    "cp1252": (
        {"encoding": "cp1252"},
        ACCENTS.encode("cp1252"),
        "a.csv",
    ),
    "semicolons": ({"delimiter": ";"}, "id;name;qty;day\n1;a;1;\n2;ü;x;\n".encode(), "a.csv"),
    "no header": ({"header": False}, "1,a,1,\n2,ü,x,\n".encode(), "a.csv"),
    "json": (
        {"type": "json"},
        RECORDS.encode(),
        "a.json",
    ),
    "parquet": ({"type": "parquet"}, parquet(), "a.parquet"),
    "parquet beside semicolons": ({"delimiter": ";"}, parquet(), "a.parquet"),
}


@pytest.mark.parametrize("how", MENDABLE)
async def test_what_is_exported_and_mended_is_read_as_its_file_was(road: Road, how: str) -> None:
    written, body, file = MENDABLE[how]
    columns = [{**column, "nullable": column["name"] != "id"} for column in COLUMNS]
    await road.contract(columns=columns, on_bad_rows=SETTING_ASIDE, format=written)
    drop, outcome = await land(road, body, file)
    assert isinstance(outcome, Loaded), outcome
    assert (outcome.rows, outcome.aside.rows) == (1, 1)
    about, rows = kept(road, drop)
    item = DropItem(
        drop_id=drop.drop_id,
        bucket=drop.bucket,
        key=drop.key,
        file=drop.file,
        state=State.LOADED,
        landed_timestamp=drop.landed_timestamp,
    )
    name, content = correcting_name(item), exported(Quarantined(about, rows))
    encoding = about["encoding"]
    mended = content.decode(encoding).replace("x", "2").encode(encoding)
    again = road.land(f"dev/append/users/{name}", mended)
    assert again.corrects == drop.drop_id
    outcome = await road.loading.load(again, attempt=1)
    assert isinstance(outcome, Loaded), outcome
    assert (outcome.rows, outcome.aside.rows) == (1, 0)
    assert road.scalar("select name from dev.users where id = 2") == "ü"

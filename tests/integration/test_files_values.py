"""Values of files: each is loaded as it is, or its row is named; none becomes another."""

from __future__ import annotations

import gzip
import io
import json
import struct
import uuid
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from headrace_loader.outcomes import Loaded, Outcome, Rejected
from headrace_loader.sifting.date_texts import text_check
from headrace_local.quarantined import Quarantined, exported
from headrace_shared.contract import Column
from headrace_shared.drop import Drop
from headrace_shared.quarantine import quarantine_key
from tests.road import Road

ASIDE = {"mode": "quarantine"}
TIMES = ("date", "time", "timestamp", "timestamptz")


async def load(road: Road, body: bytes | str, file: str) -> Outcome:
    return await road.load(f"dev/append/users/{road.seconds}-{file}", body)


def rows(road: Road) -> list[tuple[Any, ...]]:
    """The table's rows as texts, in the order of their first column."""
    with psycopg.connect(road.dsn) as connection:
        connection.execute("set timezone to 'UTC'")
        names = connection.execute(
            "select array_agg(attname::text order by attnum) from pg_attribute "
            "where attrelid = 'dev.users'::regclass and attnum > 0 and attname <> '_drop_id'"
        ).fetchone()
        assert names is not None
        columns = sql.SQL(", ").join(
            sql.SQL("{}::text").format(sql.Identifier(name)) for name in names[0]
        )
        return connection.execute(
            sql.SQL("select {} from dev.users order by {}").format(
                columns, sql.Identifier(names[0][0])
            )
        ).fetchall()


def codes(outcome: Outcome) -> list[tuple[int | None, str | None, str | None]]:
    bad = outcome.reason.bad_rows if isinstance(outcome, Rejected) else outcome.aside.first  # type: ignore[union-attr]
    return [(row.record, row.column, row.code) for row in bad]


ONE = {"name": "id", "type": "integer"}
VALUES: dict[str, list[tuple[str, str | None, str | None]]] = {
    # The text, what it is in the table, and the code of its fault.
    "date": [
        ("2026-01-31", "2026-01-31", None),
        ("20260105", "2026-01-05", None),
        ("2026-1-5", "2026-01-05", None),
        ("J2451187", "1999-01-08", None),
        ("2026.123", "2026-05-03", None),
        ("05JAN2026", "2026-01-05", None),
        ("Mon, 05 Jan 2026", "2026-01-05", None),
        ("January 8, 1999", "1999-01-08", None),
        ("0044-03-15 BC", "0044-03-15 BC", None),
        ("12345-01-01", "12345-01-01", None),
        ("epoch", "1970-01-01", None),
        ("-infinity", "-infinity", None),
        ("2026-01-05 00:00:00", "2026-01-05", None),
        ("2026-01-05T00:00:00Z", "2026-01-05", None),
        ("2026-02-30", None, "range"),
        ("2026-01-01 23:59:59", None, "lossy"),
        ("2026-01-01T00:00:00-05:00", None, "lossy"),
        ("01-02-26", None, "ambiguous_value"),
        ("05-Jan-26", None, "ambiguous_value"),
        ("260105", None, "ambiguous_value"),
        ("03/04/2026", None, "ambiguous_value"),
        ("44-03-15 BC", None, "ambiguous_value"),
        ("today", None, "clock"),
        (" ToMorrow ", None, "clock"),
        ("(now)", None, "clock"),
        ("yesterday allballs", None, "clock"),
        ("nonsense", None, "type"),
    ],
    "time": [
        ("12:34:56", "12:34:56", None),
        ("12:34", "12:34:00", None),
        ("123456", "12:34:56", None),
        ("12:34 pm", "12:34:00", None),
        ("12:34:56Z", "12:34:56", None),
        ("allballs", "00:00:00", None),
        ("24:00", "24:00:00", None),
        ("25:00", None, "range"),
        ("2026-01-01 12:34:56", None, "lossy"),
        ("12:34:56+05:00", None, "lossy"),
        ("now", None, "clock"),
    ],
    "timestamp": [
        ("2026-01-01", "2026-01-01 00:00:00", None),
        ("2026-01-01T12:00:00Z", "2026-01-01 12:00:00", None),
        ("2026-01-01 12:00:00.123456789", "2026-01-01 12:00:00.123457", None),
        ("2026-01-05 10:11 PM", "2026-01-05 22:11:00", None),
        ("Mon Jan  5 10:11:12 2026", "2026-01-05 10:11:12", None),
        ("2026-01-01T12:00:00+05:00", None, "lossy"),
        ("2026-01-01 12:00 Europe/Berlin", None, "lossy"),
        ("17/12/1997 07:37:16", None, "ambiguous_value"),
        ("12:00 today", None, "clock"),
        ("now", None, "clock"),
    ],
    "timestamptz": [
        ("2026-01-01T12:00:00+05:00", "2026-01-01 07:00:00+00", None),
        ("2026-01-01 12:00:00", "2026-01-01 12:00:00+00", None),
        ("2026-06-01 12:00:00 BST", "2026-06-01 11:00:00+00", None),
        ("2026-03-29 02:30:00 Europe/Berlin", "2026-03-29 01:30:00+00", None),
        ("2026-01-01 12:00 Etc/GMT+2", "2026-01-01 14:00:00+00", None),
        ("2026-01-01 12:00:00 UTC+2", None, "ambiguous_value"),
        ("2026-01-01 12:00:00 GMT-3", None, "ambiguous_value"),
        ("2026-01-01 12:00:00 FOO+2", None, "ambiguous_value"),
        ("2026-01-01 12:00:00 America/New York", None, "type"),
        ("2026-01-01 12:00:00 Nowhere/City", None, "type"),
        ("2026-01-01 12:00:00+25:00", None, "type"),
        ("tomorrow 12:00", None, "clock"),
    ],
    "bigint": [
        ("1.0", "1", None),
        ("-3.00", "-3", None),
        ("1e15", "1000000000000000", None),
        ("1.5E3", "1500", None),
        ("9007199254740993.0", "9007199254740993", None),
        ("1.5", None, "type"),
        ("1e-3", None, "type"),
        ("1e30", None, "range"),
        ("1e999999999", None, "type"),
    ],
}
FORMS = {
    "csv": lambda texts: "id,v\n" + "".join(f'{n},"{t}"\n' for n, t in enumerate(texts, 1)),
    "json": lambda texts: "\n".join(json.dumps({"id": n, "v": t}) for n, t in enumerate(texts, 1)),
}


@pytest.mark.parametrize("column_type", VALUES)
@pytest.mark.parametrize("form", FORMS)
async def test_text_is_its_value_or_its_row_is_named(
    road: Road, column_type: str, form: str
) -> None:
    known = VALUES[column_type]
    await road.contract(
        columns=[ONE, {"name": "v", "type": column_type}],
        format={"type": form},
        on_bad_rows=ASIDE,
    )
    outcome = await load(road, FORMS[form]([text for text, _, _ in known]), f"a.{form}")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road) == sorted(
        (str(number), value) for number, (_, value, _) in enumerate(known, 1) if value is not None
    )
    bad = _quarantined(road)
    assert bad == [
        (number, "v", code) for number, (_, _, code) in enumerate(known, 1) if code is not None
    ]


def _quarantined(road: Road) -> list[tuple[int, str, str]]:
    s3, bucket = road.aws.clients.s3, road.aws.resources.quarantine.name
    (kept,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    body = s3.get_object(Bucket=bucket, Key=kept["Key"])["Body"].read()
    lines = map(json.loads, gzip.decompress(body).decode().splitlines()[1:])
    return [
        (line["record"], fault["column"], fault["code"])
        for line in lines
        for fault in line["faults"]
    ]


TOKENS = st.sampled_from(
    [
        *("now", "today", "Tomorrow", "yesterday", "epoch", "allballs", "infinity", "bc", "am"),
        *("2026-01-05", "05-01-26", "20260105", "260105", "1/2/2026", "5 Jan 2026", "Jan-08-1999"),
        *("05-Jan-26", "2026.123", "J2451187", "mon", "12:34", "12:34:56.5", "123456", "T", "Z"),
        *("+02", "-0530", "UTC", "UTC+2", "CET", "Europe/Berlin", "Etc/GMT+2", "EST5EDT", "dst"),
        *("2026", "26", "5", "-", ",", "("),
    ]
)
DATE_TEXTS = st.builds(
    "".join, st.lists(st.tuples(TOKENS, st.sampled_from(["", " "])).map("".join), max_size=4)
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(DATE_TEXTS, min_size=20, max_size=60))
def test_text_that_is_taken_has_one_value_under_every_setting(
    postgres_server: str, texts: list[str]
) -> None:
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for kind in TIMES:
            check = text_check(Column(name="v", type=kind))
            assert check is not None
            taken = [text for text in texts if check(text) is None]
            values = [
                _values(connection, kind, taken, order, zone)
                for order, zone in (("YMD", "UTC"), ("MDY", "Asia/Tokyo"), ("DMY", "US/Pacific"))
            ]
            assert values[0] == values[1] == values[2]


def _values(
    connection: psycopg.Connection, kind: str, texts: list[str], order: str, zone: str
) -> list[tuple[Any, ...]]:
    """What Postgres makes of texts; an instant without an offset is one in the session's zone."""
    for name, value in (("datestyle", f"ISO, {order}"), ("timezone", zone)):
        connection.execute("select set_config(%s, %s, false)", [name, value])
    shown = "timestamp" if kind == "timestamptz" else kind
    return connection.execute(
        sql.SQL(
            "select text, case when pg_input_is_valid(text, {kind}) then "
            "text::{plain}::text end from unnest(%s::text[]) as one (text)"
        ).format(kind=sql.Literal(kind), plain=sql.SQL(shown)),
        [texts],
    ).fetchall()


async def test_contract_may_allow_to_lose_a_part(road: Road) -> None:
    columns = [
        {"name": "d", "type": "date", "lossy": ["time_of_day", "offset"]},
        {"name": "t", "type": "time", "lossy": ["date"]},
        {"name": "ts", "type": "timestamp", "lossy": ["offset"]},
    ]
    await road.contract(columns=columns, on_bad_rows=ASIDE)
    moment = "2026-01-31T10:11:12+02:00"
    outcome = await load(road, f"d,t,ts\n{moment},2026-01-31 10:11,{moment}\n,{moment},\n", "a.csv")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road) == [("2026-01-31", "10:11:00", "2026-01-31 10:11:12")]
    assert codes(outcome) == [(2, "t", "lossy")]


@pytest.mark.parametrize("size", [1, 30_000])
async def test_word_of_the_clock_is_found_without_validation_too(road: Road, size: int) -> None:
    columns = [ONE, {"name": "d", "type": "date"}]
    await road.contract(columns=columns)
    body = "id,d\n" + "1,2026-01-31\n" * size
    sound = await load(road, body, "a.csv")
    assert isinstance(sound, Loaded), sound
    outcome = await load(road, f"{body}2,today\n", "b.csv")
    assert isinstance(outcome, Rejected), outcome
    assert codes(outcome) == [(size + 1, "d", "clock")]
    assert len(rows(road)) == size


ZONES = ["UTC", "GMT", "Z", "EST", "CEST", "Europe/Berlin", "EST5EDT", "America/Port-au-Prince"]


async def test_zones_in_formats_are_those_that_postgres_reads(road: Road) -> None:
    read = {"name": "ts", "type": "timestamptz", "formats": ["%d/%m/%Y %H:%M %Z"]}
    plain = {"name": "same", "type": "timestamptz"}
    await road.contract(columns=[ONE, read, plain], on_bad_rows=ASIDE)
    body = "".join(
        f"{n},03/07/2026 10:00 {zone},2026-07-03 10:00 {zone}\n" for n, zone in enumerate(ZONES)
    )
    outcome = await load(road, f"id,ts,same\n{body}99,03/07/2026 10:00 UTC+2,\n", "a.csv")
    assert isinstance(outcome, Loaded), outcome
    assert codes(outcome) == [(len(ZONES) + 1, "ts", "ambiguous_value")]
    assert [(one, two) for _, one, two in rows(road) if one != two] == []


async def test_offset_that_a_format_reads_is_not_lost(road: Road) -> None:
    column = {"name": "ts", "type": "timestamp", "formats": ["%d/%m/%Y %H:%M %z"]}
    await road.contract(columns=[ONE, column], on_bad_rows=ASIDE)
    body = "id,ts\n1,03/07/2026 10:00 +0530\n2,03/07/2026 10:00 +0000\n"
    outcome = await load(road, body, "a.csv")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road) == [("2", "2026-07-03 10:00:00")]
    assert codes(outcome) == [(1, "ts", "lossy")]


JSON_COLUMNS = [ONE, {"name": "t", "type": "text"}]
FIRST, SECOND = '{"id":1,"t":"a"}', '{"id":2,"t":"b"}'
DOCUMENTS = {
    "arrays": (f"[{FIRST}]\n[{SECOND}]\n", None),
    "arrays without a line between": (f"[{FIRST}][{SECOND}]", None),
    "an object after an array": (f"[{FIRST}]{SECOND}\n", None),
    "an empty array first": (f"[]\n{FIRST}\n[{SECOND}]", None),
    "documents": (f'{{"rows":[{FIRST}]}}\n{{"x":[0],"rows":[{SECOND}]}}\n', "$.rows"),
    "an array, then a printed object": (f'[{FIRST}]\n{{\n "id": 2,\n "t": "b"\n}}', None),
}


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_each_document_of_a_file_is_read(road: Road, name: str) -> None:
    body, records = DOCUMENTS[name]
    await road.contract(columns=JSON_COLUMNS, format={"type": "json", "records": records})
    outcome = await load(road, body, "a.json")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road) == [("1", "a"), ("2", "b")]


NOT_DOCUMENTS = {
    "text after an array": (f"[{FIRST}] oops", None, "json_malformed"),
    "a text after an array": (f'[{FIRST}] "oops"', None, "json_malformed"),
    "a bracket too many": (f"[{FIRST}]]", None, "json_malformed"),
    "a comma between arrays": (f"[{FIRST}],[{SECOND}]", None, "json_malformed"),
    "text after a document": (f'{{"rows":[{FIRST}]}} oops', "$.rows", "json_malformed"),
    "the array twice": (f'{{"rows":[{FIRST}],"rows":[{SECOND}]}}', "$.rows", "json_malformed"),
    "a document without it": (f'{{"rows":[{FIRST}]}}\n{SECOND}', "$.rows", "records_missing"),
}


@pytest.mark.parametrize("name", NOT_DOCUMENTS)
async def test_nothing_is_left_out_after_the_first_document(road: Road, name: str) -> None:
    body, records, code = NOT_DOCUMENTS[name]
    written = {"type": "json", "records": records}
    await road.contract(columns=JSON_COLUMNS, format=written, on_bad_rows=ASIDE)
    outcome = await load(road, body, "a.json")
    assert isinstance(outcome, Rejected), outcome
    assert outcome.reason.code == code
    assert rows(road) == []


EXPLODED = [
    {"name": "o", "type": "integer"},
    {"name": "l", "type": "integer"},
]


async def test_record_without_its_array_is_a_bad_row(road: Road) -> None:
    written = {"type": "json", "explode": "$.lines"}
    await road.contract(columns=EXPLODED, format=written, on_bad_rows=ASIDE)
    records = [
        {"o": 1, "lines": [{"l": 1}, {"l": 2}]},
        {"o": 2, "lines": []},
        {"o": 3},
        {"o": 4, "lines": None},
        {"o": 5, "lines": {"l": 9}},
        {"o": 6, "lines": [1]},
    ]
    outcome = await load(road, "\n".join(map(json.dumps, records)), "a.json")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road) == [("1", "1"), ("1", "2"), ("5", "9")]
    assert codes(outcome) == [
        (3, None, "missing_array"),
        (4, None, "missing_array"),
        (6, None, "type"),
    ]


async def test_slip_in_the_path_of_an_array_loads_nothing_silently(road: Road) -> None:
    await road.contract(columns=EXPLODED, format={"type": "json", "explode": "$.lnies"})
    outcome = await load(road, '{"o":1,"lines":[{"l":1}]}', "a.json")
    assert isinstance(outcome, Rejected), outcome
    assert codes(outcome) == [(1, None, "missing_array")]


REPEATED = [
    ('{"id":1,"t":"x","t":"y"}', ["t"]),
    ('{"id":2,"t":"x","t":"x"}', ["t"]),
    ('{"id":3,"\\u0074":"x", "t" : "y"}', ["t"]),
    ('{"id":4,"j":{"a":[{"b":1,"b":2}]}}', ["j"]),
    ('{"id":5,"deep":{"x":1,"x":2}}', ["x"]),
    ('{"id":6,"deep":{"x":1,"y":1,"y":2}}', []),
    ('{"id":7,"j":{"a":"\\"b\\":1","b":2}}', []),
    ('{"id":8,"other":1,"other":2}', []),
]


@pytest.mark.parametrize("duplicate_keys", ["refuse", "last"])
async def test_key_that_is_there_twice_loses_no_value(road: Road, duplicate_keys: str) -> None:
    columns = [
        *JSON_COLUMNS,
        {"name": "j", "type": "jsonb"},
        {"name": "x", "type": "integer", "path": "$.deep.x"},
    ]
    written = {"type": "json", "unknown": "ignore", "duplicate_keys": duplicate_keys}
    await road.contract(columns=columns, format=written, on_bad_rows=ASIDE)
    outcome = await load(road, "\n".join(record for record, _ in REPEATED), "a.json")
    assert isinstance(outcome, Loaded), outcome
    bad = [
        (number, column, "duplicate_key")
        for number, (_, columns_at_fault) in enumerate(REPEATED, 1)
        for column in columns_at_fault
    ]
    assert codes(outcome) == (bad if duplicate_keys == "refuse" else [])
    assert outcome.rows == len(REPEATED) - len(codes(outcome))


@pytest.mark.parametrize("fault", ["value", "null", "test"])
@pytest.mark.parametrize("staged", [False, True])
async def test_record_is_loaded_whole_or_quarantined_whole(
    road: Road, fault: str, staged: bool
) -> None:
    columns = [*EXPLODED, {"name": "n", "type": "integer", "nullable": fault != "null"}]
    tests: list[dict[str, Any]] = [{"range": {"column": "l", "max": 100}}]
    await road.contract(
        columns=columns,
        primary_key=["o", "l"],
        format={"type": "json", "explode": "$.lines"},
        on_bad_rows=ASIDE,
        hard_testing=False,
        tests=tests if staged or fault == "test" else [],
    )
    wrong = {"value": {"l": 2, "n": "x"}, "null": {"l": 2}, "test": {"l": 200, "n": 1}}[fault]
    good = [{"o": o, "lines": [{"l": 1, "n": 1}, {"l": 3, "n": 1}]} for o in (1, 3)]
    bad = {"o": 2, "lines": [{"l": 1, "n": 1}, wrong, {"l": 3, "n": 1}, wrong]}
    body = "\n".join(map(json.dumps, [good[0], bad, good[1]]))
    drop = road.land("dev/append/users/a.json", body)
    outcome = await road.loading.load(drop, attempt=1)
    assert isinstance(outcome, Loaded), outcome
    assert (outcome.rows, outcome.aside.rows) == (4, 1)
    assert {row.record for row in outcome.aside.first} == {2}
    assert [row[0] for row in rows(road)] == ["1", "1", "3", "3"]
    about, kept = _kept(road, drop)
    corrected = exported(Quarantined(about, kept)).decode()
    assert corrected.strip() == json.dumps(bad)
    corrected = corrected.replace(json.dumps(wrong), '{"l": 2, "n": 1}')
    again = road.land(f"dev/append/users/b.corrects-{drop.drop_id}.json", corrected)
    outcome = await road.loading.load(again, attempt=1)
    assert isinstance(outcome, Loaded), outcome
    assert (outcome.rows, outcome.aside.rows) == (4, 0)
    assert sorted(row[:2] for row in rows(road)) == [
        *(("1", line) for line in "13"),
        *(("2", line) for line in "1223"),
        *(("3", line) for line in "13"),
    ]


def _kept(road: Road, drop: Drop) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The quarantine's file of a drop: its head, and its bad records."""
    body = road.aws.clients.s3.get_object(
        Bucket=road.aws.resources.quarantine.name, Key=quarantine_key(drop)
    )["Body"].read()
    about, *records = map(json.loads, gzip.decompress(body).decode().splitlines())
    return about, records


def parquet(table: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pa.parquet.write_table(table, out, **options)
    return out.getvalue()


def arrow(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


MOMENTS = {
    "0001-01-01 00:00:00": -62_135_596_800,
    "1676-12-31 00:00:00": -9_246_182_400,
    "1969-12-31 23:59:59": -1,
    "2262-12-31 00:00:00": 9_246_096_000,
    "9999-12-31 23:59:59": 253_402_300_799,
    "10000-01-01 00:00:00": 253_402_300_800,
    "0001-12-31 00:00:00 BC": -62_135_683_200,
    "293997-10-02 00:00:00": 9_215_505_734_400,
}


@pytest.mark.parametrize("unit", ["int96", "s", "ms", "us"])
@pytest.mark.parametrize("zone", [None, "UTC"])
async def test_moment_of_any_year_is_loaded_as_it_is(
    road: Road, unit: str, zone: str | None
) -> None:
    kind = "timestamp" if zone is None else "timestamptz"
    await road.contract(columns=[{"name": "ts", "type": kind}], on_bad_rows=ASIDE)
    far = unit != "int96"
    known = {text: at for text, at in MOMENTS.items() if far or 1600 < int(text[:4]) < 9000}
    seconds = pa.array([*known.values(), None], pa.int64())
    stamp = pa.timestamp("s" if unit == "int96" else unit, zone)
    moments = seconds.cast(pa.timestamp("s", zone)).cast(stamp)
    if unit == "int96":
        body = parquet(pa.table({"ts": moments}), use_deprecated_int96_timestamps=True)
    else:
        body = arrow(pa.table({"ts": moments}))
    outcome = await load(road, body, "a.parquet")
    assert isinstance(outcome, Loaded), outcome
    shown = [text.replace(" BC", "+00 BC") if zone else text for text in known]
    shown = [text if "BC" in text or not zone else f"{text}+00" for text in shown]
    assert {row[0] for row in rows(road)} == {*shown, None}


INT96_OF_SPARK = (
    # A file of one column of INT96, written by hand: no writer in Python makes such values.
    [("9999-12-31 23:59:59.999999", 5_373_484, 86_399_999_999_000)],
    [("0001-01-01 00:00:00", 1_721_426, 0), ("2026-01-01 00:00:00.123457", 2_461_042, 123_456_789)],
)


@pytest.mark.parametrize("days", INT96_OF_SPARK)
async def test_int96_beyond_nanoseconds_is_loaded_as_it_is(
    road: Road, days: list[tuple[str, int, int]]
) -> None:
    await road.contract(columns=[{"name": "ts", "type": "timestamp"}])
    moments = pa.array([0] * len(days), pa.timestamp("ns"))
    body = parquet(
        pa.table({"ts": moments}),
        use_deprecated_int96_timestamps=True,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
    )
    zero = struct.pack("<qi", 0, 2_440_588)
    real = b"".join(struct.pack("<qi", nanoseconds, day) for _, day, nanoseconds in days)
    assert body.count(zero * len(days)) == 1
    outcome = await load(road, body.replace(zero * len(days), real), "a.parquet")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road) == sorted((text,) for text, _, _ in days)


async def test_values_of_parquet_are_loaded_as_they_are_or_named(road: Road) -> None:
    columns = [
        ONE,
        {"name": "u", "type": "uuid"},
        {"name": "raw", "type": "uuid"},
        {"name": "t", "type": "text"},
        {"name": "j", "type": "jsonb"},
        {"name": "big", "type": "double precision"},
        {"name": "d", "type": "date"},
    ]
    await road.contract(columns=columns, on_bad_rows=ASIDE)
    ids = [bytes(15) + bytes([n]) for n in range(4)]
    table = pa.table(
        {
            "id": pa.array([0, 1, 2, 3], pa.int32()),
            "u": pa.ExtensionArray.from_storage(pa.uuid(), pa.array(ids, pa.binary(16))),
            "raw": pa.array([*ids[:3], None], pa.binary(16)),
            "t": pa.array([b"ok", b"\xff,", b"a", b"b"]),
            "j": pa.array([[1.5], [1.5], [None, float("nan")], [1.0]]),
            "big": pa.array([1e15, 1.0, 2.0, 1234567890123456768.0]),
            "d": pa.array([0, 1, 2, 2**31 - 1], pa.date32()),
        }
    )
    for number, body in enumerate((parquet(table), arrow(table))):
        outcome = await load(road, body, f"{number}.parquet")
        assert isinstance(outcome, Loaded), outcome
        assert codes(outcome) == [(2, "t", "bad_encoding"), (3, "j", "type"), (4, "d", "range")]
    first = ("0", f"{uuid.UUID(bytes=ids[0])}", f"{uuid.UUID(bytes=ids[0])}", "ok", "[1.5]")
    assert rows(road) == [(*first, "1e+15", "1970-01-01")] * 2


async def test_zone_of_parquet_is_not_lost(road: Road) -> None:
    columns = [{"name": "a", "type": "timestamptz"}, {"name": "b", "type": "timestamp"}]
    await road.contract(columns=columns, on_bad_rows=ASIDE)
    moments = pa.array([1_767_268_800], pa.timestamp("s"))
    for zone, values in (("UTC", "b"), ("America/New_York", None)):
        table = pa.table({name: moments.cast(pa.timestamp("us", zone)) for name in "ab"})
        outcome = await load(road, parquet(table), "a.parquet")
        assert isinstance(outcome, Loaded) == (values is not None)
        if values is None:
            assert codes(outcome) == [(1, "b", "lossy")]
    assert rows(road) == [("2026-01-01 12:00:00+00", "2026-01-01 12:00:00")]


@pytest.mark.parametrize("mode", ["reject", "quarantine"])
async def test_whole_numbers_written_as_fractions_are_whole_numbers(road: Road, mode: str) -> None:
    columns = [ONE, {"name": "n", "type": "bigint"}, {"name": "t", "type": "text"}]
    await road.contract(columns=columns, on_bad_rows={"mode": mode})
    body = 'id,n,t\n1.0,1.0,1.0\n2.0,,"a\nb"\n"3.0",1e15,"x,y"\n4,9007199254740993.00,\n'
    outcome = await load(road, body, "a.csv")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road) == [
        ("1", "1", "1.0"),
        ("2", None, "a\nb"),
        ("3", "1000000000000000", "x,y"),
        ("4", "9007199254740993", None),
    ]


async def test_fraction_of_a_whole_number_column_is_named_at_its_line(road: Road) -> None:
    columns = [ONE, {"name": "n", "type": "smallint"}]
    written = {"decimal": ",", "delimiter": ";"}
    await road.contract(columns=columns, format=written, on_bad_rows=ASIDE)
    body = "id;n\n1;1,0\n2;1,5\n3;40000,0\n4;-2,00\n"
    outcome = await load(road, body, "a.csv")
    assert isinstance(outcome, Loaded), outcome
    assert codes(outcome) == [(2, "n", "type"), (3, "n", "range")]
    assert rows(road) == [("1", "1"), ("4", "-2")]


async def test_whole_doubles_of_parquet_are_whole_numbers(road: Road) -> None:
    columns = [ONE, {"name": "n", "type": "bigint"}]
    await road.contract(columns=columns, on_bad_rows=ASIDE)
    table = pa.table(
        {
            "id": pa.array([1.0, 2.0, None, 4.0, 5.0]),
            "n": pa.array([1e15, 2.0**53, 1234567890123456768.0, 0.5, 1e19]),
        }
    )
    decimals = pa.table({"id": pa.array([Decimal("6.00")]), "n": pa.array([Decimal("3.00")])})
    outcome = await load(road, parquet(table), "a.parquet")
    assert isinstance(outcome, Loaded), outcome
    assert codes(outcome) == [(4, "n", "type"), (5, "n", "range")]
    assert isinstance(await load(road, parquet(decimals), "b.parquet"), Loaded)
    assert rows(road) == [
        ("1", "1000000000000000"),
        ("2", "9007199254740992"),
        ("6", "3"),
        (None, "1234567890123456768"),
    ]


async def test_signs_and_words_that_the_contract_names_are_read(road: Road) -> None:
    columns = [ONE, {"name": "n", "type": "numeric"}, {"name": "b", "type": "boolean"}]
    written = {
        "thousands": ",",
        "percent": True,
        "currency": ["$", "€"],
        "accounting": True,
        "true": ["ja"],
        "false": ["nein"],
    }
    await road.contract(columns=columns, format=written, on_bad_rows=ASIDE)
    body = 'id,n,b\n1,12%,ja\n2,"$1,234.50",Nein\n3,"(1,234.50)",t\n4,12-,\n5,5 €,so\n6,£5,ja\n'
    outcome = await load(road, body, "a.csv")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road) == [
        ("1", "0.12", "true"),
        ("2", "1234.50", "false"),
        ("3", "-1234.50", "true"),
        ("4", "-12", None),
    ]
    assert codes(outcome) == [(5, "b", "type"), (6, "n", "type")]

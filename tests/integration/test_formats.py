"""Files of every kind, loaded as they are: what is in them, and what is wrong with them."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from headrace_loader.outcomes import Loaded, Outcome, Rejected
from tests.road import Road

COLUMNS = [
    {"name": "id", "type": "bigint", "nullable": False},
    {"name": "name", "type": "text"},
    {"name": "price", "type": "numeric(20,4)"},
    {"name": "at", "type": "timestamptz"},
    {"name": "extra", "type": "jsonb"},
]
ASIDE = {"mode": "quarantine"}


async def load(road: Road, body: bytes | str, file: str) -> Outcome:
    return await road.load(f"dev/append/users/{road.seconds}-{file}", body)


def rows(road: Road, columns: str = "*") -> list[tuple[Any, ...]]:
    with psycopg.connect(road.dsn) as connection:
        connection.execute("set timezone to 'UTC'")
        query = f"select {columns} from dev.users order by id"
        return connection.execute(query.encode()).fetchall()


def places(outcome: Outcome) -> list[tuple[int | None, int | None, str | None, str | None]]:
    bad = outcome.reason.bad_rows if isinstance(outcome, Rejected) else outcome.aside.first  # type: ignore[union-attr]
    return [(row.record, row.line, row.column, row.code) for row in bad]


RECORDS = [
    {"id": 1, "name": 'a "b"\t\\n\n', "price": 1234.5678, "extra": {"x": [1, None]}},
    {"id": 2, "name": "", "at": "2026-01-02T03:04:05Z", "extra": [1, {"y": "z"}]},
    {"id": 3, "name": None, "price": None, "at": None, "extra": None},
]
LOADED = [
    (1, 'a "b"\t\\n\n', Decimal("1234.5678"), None, {"x": [1, None]}),
    (2, "", None, dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), [1, {"y": "z"}]),
    (3, None, None, None, None),
]
JSON_FILES: dict[str, str | bytes] = {
    "lines.ndjson": "\n".join(map(json.dumps, RECORDS)),
    "lines.jsonl.gz": gzip.compress("\n\n".join(map(json.dumps, RECORDS)).encode()),
    "array.json": json.dumps(RECORDS, indent=2),
    "one line array.json": json.dumps(RECORDS),
    "printed.json": "\n".join(json.dumps(one, indent=2) for one in RECORDS),
    "marked.json": "\ufeff" + "\r\n".join(map(json.dumps, RECORDS)),
}


@pytest.mark.parametrize("file", JSON_FILES)
@pytest.mark.parametrize("declared", [True, False])
async def test_json_loads_every_digit_and_every_character(
    road: Road, file: str, declared: bool
) -> None:
    await road.contract(columns=COLUMNS, format={"type": "json" if declared else "csv"})
    outcome = await load(road, JSON_FILES[file], file)
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, name, price, at, extra") == LOADED


async def test_json_numbers_keep_their_digits(road: Road) -> None:
    await road.contract(columns=COLUMNS, format={"type": "json"})
    await load(road, '{"id": 1, "price": 1234567890123456.7891, "name": 1.50}', "a.json")
    assert rows(road, "price::text, name") == [("1234567890123456.7891", "1.50")]


async def test_json_bad_records_are_told_one_by_one(road: Road) -> None:
    await road.contract(columns=COLUMNS, format={"type": "json"}, on_bad_rows=ASIDE)
    body = b"\n".join(
        [
            b'{"id": 1}',
            b'{"id": "x", "price": true}',
            b'{"id": 3, "price": ',
            b"",
            b'{"name": "no id"}',
            b'{"id": 5, "other": 1}',
            b"[6]",
            b'{"id": 7, "name": "\\u0000"}',
            b'{"id": 8, "name": "\xff"}',
            b'{"id": 9}',
        ]
    )
    outcome = await load(road, body, "a.ndjson")
    assert isinstance(outcome, Loaded), outcome
    assert places(outcome) == [
        (2, 2, "id", "type"),
        (2, 2, "price", "type"),
        (3, 3, None, "bad_json"),
        (4, 5, "id", "null"),
        (5, 6, None, "unknown_field"),
        (6, 7, None, "bad_json"),
        (7, 8, "name", "bad_encoding"),
        (8, 9, None, "bad_encoding"),
    ]
    assert (outcome.rows, outcome.aside.rows) == (2, 7)
    assert [row.raw for row in outcome.aside.first][2] == '{"id": 3, "price": '


async def test_json_paths_and_documents(road: Road) -> None:
    columns = [
        {"name": "id", "type": "bigint", "path": "$.who.id"},
        {"name": "first", "type": "text", "path": '$.tags[0]["a b"]'},
        {"name": "who", "type": "jsonb"},
    ]
    written = {"type": "json", "records": "$.data.rows"}
    await road.contract(columns=columns, format={**written, "unknown": "ignore"})
    document = {
        "count": 2,
        "data": {
            "rows": [{"who": {"id": 1}, "tags": [{"a b": "x"}]}, {"who": {"id": 2}, "z": 1}],
            "more": [],
        },
    }
    outcome = await load(road, json.dumps(document), "a.json")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, first, who") == [(1, "x", {"id": 1}), (2, None, {"id": 2})]
    empty = await load(road, '{"data": {"rows": []}}', "b.json")
    assert isinstance(empty, Loaded)
    lost = await load(road, '{"data": {"lines": []}}', "c.json")
    assert isinstance(lost, Rejected)
    assert lost.reason.code == "records_missing"


async def test_json_explodes_arrays_within_arrays(road: Road) -> None:
    columns = [
        {"name": "id", "type": "bigint"},
        {"name": "sku", "type": "text"},
        {"name": "value", "type": "integer", "path": "$.price.value"},
    ]
    written = {"type": "json", "explode": ["$.orders", "$.lines"]}
    await road.contract(columns=columns, format=written, on_bad_rows=ASIDE)
    body = [
        {
            "id": 1,
            "orders": [
                {"lines": [{"sku": "a", "price": {"value": 1}}, {"sku": "b"}]},
                {"lines": [{"sku": "c", "price": {"value": "x"}}]},
            ],
        },
        {"id": 2, "orders": []},
        {"id": 3, "orders": [{"lines": {"sku": "d"}}]},
        {"id": 4, "orders": "none"},
    ]
    outcome = await load(road, "\n".join(map(json.dumps, body)), "a.json")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, sku, value") == [(3, "d", None)]
    assert places(outcome) == [(1, 1, "value", "type"), (4, 4, None, "missing_array")]


@pytest.mark.parametrize(
    "body", ['[{"id": 1}, {"id": 2', '[{"id": 1} {"id": 2}]', "[" * 100_000, "[1, 2]", "nonsense"]
)
async def test_broken_json_is_rejected(road: Road, body: str) -> None:
    await road.contract(columns=COLUMNS, format={"type": "json"})
    outcome = await load(road, body, "a.json")
    assert isinstance(outcome, Rejected), outcome
    assert outcome.reason.code in ("json_malformed", "bad_rows")
    assert rows(road) == []


def columnar() -> pa.Table:
    stamps = [dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), None, None]
    return pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int32()),
            "name": pa.array(['a "b"\n,', "", None]).dictionary_encode(),
            "price": pa.array([Decimal("1234567890123.4567"), None, None], pa.decimal128(20, 4)),
            "at": pa.array(stamps, pa.timestamp("us", tz="Europe/Berlin")),
            "extra": pa.array([{"x": [1, 2], "d": Decimal("1.10")}, {"x": None, "d": None}, None]),
        }
    )


COLUMNAR_LOADED = [
    (
        1,
        'a "b"\n,',
        Decimal("1234567890123.4567"),
        dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        {"x": [1, 2], "d": 1.10},
    ),
    (2, "", None, None, {"x": None, "d": None}),
    (3, None, None, None, None),
]


def as_parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pa.parquet.write_table(table, out)
    return out.getvalue()


def as_feather(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pa.feather.write_feather(table, out, compression="zstd")
    return out.getvalue()


def as_stream(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


@pytest.mark.parametrize("write", [as_parquet, as_feather, as_stream])
@pytest.mark.parametrize("mode", ["reject", "quarantine"])
async def test_columnar_files_load(road: Road, write: Any, mode: str) -> None:
    await road.contract(columns=COLUMNS, on_bad_rows={"mode": mode})
    outcome = await load(road, write(columnar()), "a.parquet")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, name, price, at, extra") == COLUMNAR_LOADED


async def test_columnar_bad_rows_are_told_by_their_number(road: Road) -> None:
    columns = [{"name": "id", "type": "smallint"}, {"name": "name", "type": "varchar(3)"}]
    await road.contract(columns=columns, on_bad_rows=ASIDE)
    table = pa.table({"id": [1, 70_000, 3], "name": ["a", "b", "long"]})
    outcome = await load(road, as_parquet(table), "a.parquet")
    assert isinstance(outcome, Loaded), outcome
    assert places(outcome) == [(2, None, "id", "range"), (3, None, "name", "too_long")]
    assert rows(road, "id, name") == [(1, "a")]


def lying(content: bytes) -> dict[str, bytes]:
    return {
        "cut": content[: len(content) // 2],
        "no footer": content[:-8] + b"\xff\xff\xff\x7fPAR1",
        "a footer of zeros": content[:-100] + bytes(92) + content[-8:],
        "a hole": content[:100] + bytes(200) + content[300:],
        "magic alone": b"PAR1",
        "twice magic": b"PAR1PAR1",
    }


@pytest.mark.parametrize("how", list(lying(bytes(1000))))
async def test_lying_parquet_is_rejected_and_the_loader_lives(road: Road, how: str) -> None:
    await road.contract(columns=COLUMNS)
    outcome = await load(road, lying(as_parquet(columnar()))[how], "a.parquet")
    assert isinstance(outcome, Rejected), outcome
    assert outcome.reason.code == "file_damaged"
    assert isinstance(await load(road, as_parquet(columnar()), "b.parquet"), Loaded)


async def test_csv_where_parquet_is_declared_is_rejected(road: Road) -> None:
    await road.contract(columns=COLUMNS, format={"type": "parquet"})
    outcome = await load(road, "id\n1\n", "a.csv")
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "file_type_mismatch"


DATES = [
    {"name": "id", "type": "integer"},
    {
        "name": "at",
        "type": "timestamptz",
        "formats": [
            "%Y-%m-%d %H:%M:%S %Z",
            "%m/%d/%Y %I:%M %p",
            {"format": "%d %B %Y %H:%M", "locale": "ru"},
        ],
    },
]


@pytest.mark.parametrize("kind", ["csv", "json"])
async def test_dates_in_several_forms_in_one_column(road: Road, kind: str) -> None:
    await road.contract(columns=DATES, on_bad_rows=ASIDE, format={"type": kind})
    moments = [
        "2019-09-27 00:00:00 UTC",
        "09/27/2019 12:00 AM",
        "26 сентября 2019 00:00",
        "27.09.2019",
    ]
    if kind == "csv":
        body = "id,at\n" + "".join(f'{n},"{one}"\n' for n, one in enumerate(moments)) + "9,\n"
    else:
        lines = [{"id": n, "at": one} for n, one in enumerate(moments)] + [{"id": 9, "at": None}]
        body = "\n".join(map(json.dumps, lines))
    outcome = await load(road, body, f"a.{kind}")
    assert isinstance(outcome, Loaded), outcome
    day = dt.datetime(2019, 9, 27, tzinfo=dt.UTC)
    assert rows(road, "id, at") == [(0, day), (1, day), (2, day - dt.timedelta(1)), (9, None)]
    (bad,) = outcome.aside.first
    assert (bad.column, bad.code, bad.value) == ("at", "type", "27.09.2019")
    assert "is not written as '%Y-%m-%d %H:%M:%S %Z' or" in bad.reason


async def test_numbers_with_other_marks(road: Road) -> None:
    columns = [
        {"name": "id", "type": "integer"},
        {"name": "price", "type": "numeric(10,2)"},
        {"name": "note", "type": "text"},
    ]
    written = {"delimiter": ";", "decimal": ",", "thousands": "."}
    await road.contract(columns=columns, format=written, on_bad_rows=ASIDE)
    body = (
        "id;price;note\n"
        "1;1.234,50;1.234,50\n"
        '2;"1234,5";"a;b"\n'
        "3;;\n"
        "4;12.34,5;bad group\n"
        "5;999.999.999,00;too large\n"
        "1.006;-1,0;thousands in an integer\n"
    )
    outcome = await load(road, body, "a.csv")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, price::text, note") == [
        (1, "1234.50", "1.234,50"),
        (2, "1234.50", "a;b"),
        (3, None, None),
        (1006, "-1.00", "thousands in an integer"),
    ]
    assert places(outcome) == [(4, 5, "price", "type"), (5, 6, "price", "range")]


async def test_unknown_language_in_a_contract_is_refused(road: Road) -> None:
    form = {"format": "%d %B %Y", "locale": "xx"}
    columns = [{"name": "id", "type": "date", "formats": [form]}]
    outcome = await road.contract(columns=columns)
    assert isinstance(outcome, Rejected)
    assert "xx" in outcome.reason.message


async def test_parquet_by_name_alone_is_rejected(road: Road) -> None:
    await road.contract(columns=COLUMNS)
    outcome = await load(road, b"\x00\x01 no parquet at all", "a.parquet")
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "file_type_mismatch"


async def test_json_objects_side_by_side_load(road: Road) -> None:
    await road.contract(columns=COLUMNS, format={"type": "json"})
    outcome = await load(road, '{"id": 1}{"id": 2} {"id": 3}', "a.json")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id") == [(1,), (2,), (3,)]

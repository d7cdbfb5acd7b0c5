"""Files whose fields have other names than the table's columns, and keys with values in them."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import psycopg
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace_loader.key_values import values_in_key
from headrace_loader.outcomes import Loaded, Outcome, Rejected
from headrace_shared.contract import Contract
from tests.road import Road

ID = {"name": "id", "type": "integer"}
FIRST = {"name": "first_name", "type": "text"}
DAY = {"name": "dt", "type": "date"}
QUARANTINE = {"mode": "quarantine"}


def rows(road: Road, columns: str = "*", table: str = "dev.users") -> list[tuple[Any, ...]]:
    with psycopg.connect(road.dsn) as connection:
        names = columns if columns != "*" else "to_jsonb(t) - '_drop_id'"
        return connection.execute(
            f"select {names} from {table} as t order by id".encode()
        ).fetchall()


def parquet(records: Sequence[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(list(records)), out)
    return out.getvalue()


def arrow(records: Sequence[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pyarrow.feather.write_feather(pa.Table.from_pylist(list(records)), out)
    return out.getvalue()


def csv(records: Sequence[dict[str, Any]], *, quoted: bool = False) -> bytes:
    mark = '"' if quoted else ""
    lines = [list(records[0]), *(one.values() for one in records)]
    return "".join(
        ",".join(f"{mark}{value}{mark}" for value in line) + "\n" for line in lines
    ).encode()


def ndjson(records: Sequence[dict[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, records)).encode()


def written(kind: str, records: Sequence[dict[str, Any]]) -> tuple[dict[str, str], str, bytes]:
    """The format of a contract, the name of a file and its content, by the kind of a load."""
    match kind:
        case "shared copy":
            return {"type": "csv"}, "f.csv", csv(records)
        case "plain copy":
            return {"type": "csv"}, "f.csv.gz", gzip.compress(csv(records))
        case "validated":
            return {"type": "csv"}, "f.csv", csv(records, quoted=True)
        case "json":
            return {"type": "json"}, "f.json", ndjson(records)
        case "parquet":
            return {"type": "parquet"}, "f.parquet", parquet(records)
    return {"type": "arrow"}, "f.arrow", arrow(records)


KINDS = ["shared copy", "plain copy", "validated", "json", "parquet", "arrow"]


def bad(outcome: Outcome) -> list[tuple[int | None, str | None, str | None]]:
    found = (
        outcome.reason.bad_rows if isinstance(outcome, Rejected) else outcome.aside.first  # type: ignore[union-attr]
    )
    return [(row.record, row.column, row.code) for row in found]


@pytest.mark.parametrize("kind", KINDS)
async def test_field_of_another_name_goes_into_its_column(road: Road, kind: str) -> None:
    fields = {"ID": 1, "First Name": "a", "Gr\u00f6\u00dfe": "b", "User ID": "c"}
    form, file, body = written(kind, [fields])
    columns = [
        ID,
        FIRST,
        {"name": "size", "type": "text", "from": "GR\u00d6SSE"},
        {"name": "other", "type": "text", "from": '$["User ID"]'},
    ]
    await road.contract(columns=columns, format=form)
    outcome = await road.load(f"dev/append/users/{file}", body)
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, first_name, size, other") == [(1, "a", "b", "c")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unknown", ["refuse", "ignore"])
async def test_field_that_no_column_takes(road: Road, kind: str, unknown: str) -> None:
    records = [
        {"__index__": 7, "id": 1, "more": "x", "first_name": "a"},
        {"__index__": 8, "id": 2, "more": "a b", "first_name": "b"},
    ]
    form, file, body = written(kind, records)
    mode = {"mode": "quarantine"} if kind == "validated" else {"mode": "reject"}
    await road.contract(columns=[ID, FIRST], format={**form, "unknown": unknown}, on_bad_rows=mode)
    outcome = await road.load(f"dev/append/users/{file}", body)
    if unknown == "refuse":
        assert isinstance(outcome, Rejected)
        assert "'more'" in outcome.reason.message
    else:
        assert isinstance(outcome, Loaded), outcome
        assert rows(road, "id, first_name") == [(1, "a"), (2, "b")]


async def test_field_left_out_costs_no_line_of_a_bad_row(road: Road) -> None:
    await road.contract(columns=[ID, FIRST], format={"unknown": "ignore"}, on_bad_rows=QUARANTINE)
    body = 'x,id,first_name,y\n"a\nb",1,a,"\n"\n,x,b,\n"q\nr",3,c,z\nz,4\n'
    outcome = await road.load("dev/append/users/f.csv", body)
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, first_name") == [(1, "a"), (3, "c")]
    assert [(one.record, one.line, one.column) for one in outcome.aside.first] == [
        (2, 5, "id"),
        (4, 8, None),
    ]


@pytest.mark.parametrize("header", [True, False])
async def test_fields_are_taken_by_position(road: Road, header: bool) -> None:
    columns = [
        {**ID, "from": {"position": 3}},
        {**FIRST, "from": {"position": 1}},
    ]
    await road.contract(columns=columns, format={"header": header, "unknown": "ignore"})
    body = 'a,"x,y",1\nb,z,2\n'
    for file in ("f.csv", "f.csv.gz"):
        head = "n,n,\n" if header else ""
        content = (head + body).encode()
        content = gzip.compress(content) if file.endswith(".gz") else content
        outcome = await road.load(f"dev/truncate/users/{file}", content)
        assert isinstance(outcome, Loaded), outcome
        assert rows(road, "id, first_name") == [(1, "a"), (2, "b")]


async def test_empty_and_repeated_names_of_a_header(road: Road) -> None:
    columns = [
        {**ID, "from": ""},
        {"name": "n", "type": "text", "from": {"position": 2}},
        {"name": "m", "type": "text", "from": {"position": 3}},
    ]
    await road.contract(columns=columns)
    outcome = await road.load("dev/append/users/f.csv", ',"n","n"\n"1","a","b"\n')
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, n, m") == [(1, "a", "b")]


async def test_normalised_header(road: Road) -> None:
    names = ["id", "amount", "amount_2", "column_4"]
    columns = [{"name": name, "type": "integer"} for name in names]
    await road.contract(columns=columns, format={"header": "normalise"})
    outcome = await road.load("dev/append/users/f.csv", "ID,Amount ($),amount,\n1,2,3,4\n")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, ",".join(names)) == [(1, 2, 3, 4)]


@pytest.mark.parametrize("kind", KINDS)
async def test_key_gives_the_value_that_the_file_lacks(road: Road, kind: str) -> None:
    form, file, body = written(kind, [{"id": 1, "first_name": "a"}, {"id": 2, "first_name": "b"}])
    columns = [ID, {"name": "place", "type": "text"}, DAY, FIRST]
    await road.contract(columns=columns, format=form)
    key = f"dev/append/users/x/dt=2026-01-31/Place=a%2Fb %27c%27,%22d/other=1/{file}"
    outcome = await road.load(key, body)
    assert isinstance(outcome, Loaded), outcome
    assert outcome.warnings == ()
    place = "a/b 'c',\"d"
    assert rows(road, "id, first_name, dt::text, place") == [
        (1, "a", "2026-01-31", place),
        (2, "b", "2026-01-31", place),
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["reject", "quarantine"])
async def test_row_that_contradicts_its_key_is_bad(road: Road, kind: str, mode: str) -> None:
    records = [
        {"id": 1, "dt": "2026-01-01"},
        {"id": 2, "dt": "2026-01-02"},
        {"id": 3, "dt": "20260101"},
        {"id": 4, "dt": "2026-01-03"},
    ]
    form, file, body = written(kind, records)
    await road.contract(
        columns=[ID, DAY],
        format=form,
        on_bad_rows={"mode": mode},
        tests=[{"unique": "id"}],
        hard_testing=mode == "reject",
    )
    outcome = await road.load(f"dev/append/users/dt=2026-01-01/{file}", body)
    assert bad(outcome) == [(2, "dt", "partition_mismatch"), (4, "dt", "partition_mismatch")]
    if mode == "quarantine":
        assert isinstance(outcome, Loaded)
        assert rows(road, "id") == [(1,), (3,)]


@pytest.mark.parametrize("kind", ["shared copy", "json", "parquet"])
@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("dt=yesteryear", '"yesteryear" is not a date'),
        ("dt=2026-02-30", '"2026-02-30" is not a date that there is'),
        ("dt=2026-01-01/DT=2026-01-02", "another value"),
        ("dt=%FF", "not UTF-8"),
        ("dt=%00", "NUL"),
        ("key=__HIVE_DEFAULT_PARTITION__", "must not be null"),
    ],
)
async def test_value_of_a_key_that_is_none_rejects_the_file(
    road: Road, kind: str, folder: str, told: str
) -> None:
    form, file, body = written(kind, [{"id": 1}])
    columns = [ID, DAY, {"name": "key", "type": "text", "nullable": False}]
    columns = columns if folder.startswith("key") else columns[:2]
    await road.contract(columns=columns, format=form)
    outcome = await road.load(f"dev/append/users/{folder}/{file}", body)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "partition_value"
    assert told in outcome.reason.message


@pytest.mark.parametrize("kind", KINDS)
async def test_null_of_a_key(road: Road, kind: str) -> None:
    form, file, body = written(kind, [{"id": 1}])
    await road.contract(columns=[ID, DAY], format=form)
    outcome = await road.load(f"dev/append/users/dt=__HIVE_DEFAULT_PARTITION__/{file}", body)
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, dt") == [(1, None)]


async def test_key_is_read_by_the_formats_of_its_column(road: Road) -> None:
    await road.contract(columns=[ID, {**DAY, "formats": ["%d.%m.%Y"]}], format={"header": False})
    for number, folder in enumerate(["31.01.2026", "2026-01-31"]):
        outcome = await road.load(f"dev/append/users/dt={folder}/f.csv", f"{number}\n")
        assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, dt::text") == [(0, "2026-01-31"), (1, "2026-01-31")]


async def test_upsert_by_a_key_that_is_in_the_folders(road: Road) -> None:
    await road.contract(columns=[ID, DAY, FIRST], primary_key=["id", "dt"])
    for value in "ab":
        for day in (1, 2):
            await road.load(
                f"dev/upsert/users/dt=2026-01-0{day}/f.csv", f"id,first_name\n1,{value}"
            )
    assert rows(road, "dt::text, first_name") == [("2026-01-01", "b"), ("2026-01-02", "b")]


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12),
        min_size=1,
        max_size=4,
        unique=True,
    )
)
def test_any_text_goes_through_a_key(values: list[str]) -> None:
    names = [f"c{place}" for place in range(len(values))]
    contract = Contract.model_validate(
        {"columns": [{"name": name, "type": "text"} for name in names]}
    )
    folders = [f"{name}={quote(value, safe='')}" for name, value in zip(names, values, strict=True)]
    assert values_in_key("/".join([*folders, "f=1.csv"]), contract) == dict(
        zip(names, values, strict=True)
    )


NAMES: list[tuple[dict[str, Any], str, bytes]] = [
    ({"type": "csv", "encoding": "utf-16", "delimiter": "\t"}, "Unicode Text.txt", b""),
    ({"type": "csv", "delimiter": "\t"}, "f.tsv", b""),
    ({"type": "csv"}, "f.gz", b"gzip"),
    ({"type": "csv"}, "part-00000-abc.c000", b""),
    ({"type": "csv"}, "f.dat.gz", b""),
    ({"type": "csv"}, "f.json", b""),
    ({"type": "csv"}, "f.parquet", b""),
    ({"type": "csv"}, "0000_part_00", b""),
    ({"type": "json"}, "f.log", b""),
    ({"type": "json"}, "f.csv", b""),
    ({"type": "json"}, "delivery-1-2026-01-01-00-00-00-6c0a", b"side by side"),
    ({"type": "parquet"}, "part-0.snappy", b""),
    ({"type": "csv"}, "part-0.c000", b"parquet"),
]


@pytest.mark.parametrize(("form", "file", "kind"), NAMES)
async def test_any_name_loads_what_the_contract_says(
    road: Road, form: dict[str, Any], file: str, kind: bytes
) -> None:
    records = [{"id": 1, "first_name": "a b"}, {"id": 2, "first_name": "c"}]
    body = csv(records).replace(b",", form.get("delimiter", ",").encode())
    if form["type"] == "json":
        body = ndjson(records).replace(b"\n", b"" if kind else b"\n")
    elif kind == b"parquet" or form["type"] == "parquet":
        body = parquet(records)
    elif form.get("encoding"):
        body = body.decode().encode("utf-16")
    await road.contract(columns=[ID, FIRST], format=form)
    body = gzip.compress(body) if kind == b"gzip" else body
    outcome = await road.load(f"dev/append/users/{file}", body)
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, first_name") == [(1, "a b"), (2, "c")]


async def test_corrected_rows_of_a_columnar_file_of_any_name_load(road: Road) -> None:
    await road.contract(columns=[ID, DAY], format={"type": "parquet"}, on_bad_rows=QUARANTINE)
    records = [{"id": "1"}, {"id": "x"}]
    drop = road.land("dev/append/users/dt=2026-01-01/part-0", parquet(records))
    assert isinstance(await road.loading.load(drop, attempt=1), Loaded)
    key = f"dev/append/users/dt=2026-01-01/part-0.corrects-{drop.drop_id}.part-0"
    outcome = await road.load(key, "id\n2\n")
    assert isinstance(outcome, Loaded), outcome
    assert rows(road, "id, dt::text") == [(1, "2026-01-01"), (2, "2026-01-01")]

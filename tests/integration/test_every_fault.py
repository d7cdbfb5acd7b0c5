"""Every combination of faults in one row, in every format: all of them are reported at once."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from headrace_loader.outcomes import Loaded
from tests.integration.test_quarantine import kept
from tests.road import Road

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "bigint", "nullable": False},
    {"name": "amount", "type": "numeric(8,2)"},
    {"name": "day", "type": "date", "formats": ["%d.%m.%Y"]},
    {"name": "zip", "type": "varchar(5)"},
    {"name": "qty", "type": "smallint"},
    {"name": "note", "type": "text", "nullable": False},
]
GOOD = {"id": "1", "amount": "1.234,50", "day": "21.11.2026", "zip": "12345", "qty": "7"}
PLAIN = {**GOOD, "amount": "1234.50", "note": "fine"}
FAULTS: dict[str, tuple[str | None, str]] = {
    "id": ("ten", "type"),
    "amount": ("12,3x", "type"),
    "day": ("30.02.2026", "type"),
    "zip": ("too long", "too_long"),
    "qty": ("40000", "range"),
    "note": (None, "null"),
}
SUBSETS = [
    set(chosen)
    for count in range(len(FAULTS) + 1)
    for chosen in itertools.combinations(FAULTS, count)
]
Row = Mapping[str, str | None]


def rows_of(good: Row) -> list[dict[str, str | None]]:
    """One row for each subset of the faults."""
    return [
        {name: FAULTS[name][0] if name in wrong else good[name] for name in FAULTS}
        for wrong in SUBSETS
    ]


def as_csv(delimiter: str, good: Row) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(FAULTS)
    writer.writerows([row[name] or "" for name in FAULTS] for row in rows_of(good))
    return out.getvalue().encode()


def as_json() -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows_of(PLAIN)).encode()


def as_parquet() -> bytes:
    out = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(rows_of(PLAIN)), out)
    return out.getvalue()


MARKS = {"type": "csv", "delimiter": ";", "decimal": ",", "thousands": "."}
FORMATS: dict[str, tuple[dict[str, Any], str, bytes]] = {
    "csv": ({"type": "csv"}, "a.csv", as_csv(",", PLAIN)),
    "csv with marks": (MARKS, "a.csv", as_csv(";", {**GOOD, "note": "fine"})),
    "json": ({"type": "json"}, "a.json", as_json()),
    "parquet": ({"type": "parquet"}, "a.parquet", as_parquet()),
}


@pytest.mark.parametrize("converted", [True, False])
@pytest.mark.parametrize("mode", ["quarantine", "reject"])
@pytest.mark.parametrize("written", FORMATS)
async def test_every_fault_of_a_row_is_reported_in_the_first_pass(
    road: Road, written: str, mode: str, *, converted: bool
) -> None:
    form, file, body = FORMATS[written]
    columns = [
        {name: part for name, part in column.items() if converted or name != "formats"}
        for column in COLUMNS
    ]
    await road.contract(columns=columns, format=form, on_bad_rows={"mode": mode})
    if not converted:
        body = body.replace(b"21.11.2026", b"2026-11-21").replace(b"30.02.2026", b"2026-13-01")
    drop = road.land(f"dev/append/users/{file}", body)
    outcome = await road.loading.load(drop, attempt=1)
    _, records = kept(road, drop)
    found = {
        record["record"]: {(one["column"], one["code"]) for one in record["faults"]}
        for record in records
    }
    assert found == {
        number: {(name, _code(name, converted=converted)) for name in wrong}
        for number, wrong in enumerate(SUBSETS, 1)
        if wrong
    }
    if mode == "quarantine":
        assert isinstance(outcome, Loaded), outcome
        assert (outcome.rows, outcome.aside.rows) == (1, len(SUBSETS) - 1)


def _code(name: str, *, converted: bool) -> str:
    return "range" if name == "day" and not converted else FAULTS[name][1]


async def test_ambiguous_and_unknown_fields_are_reported_beside_the_values(road: Road) -> None:
    await road.contract(columns=COLUMNS, format={"type": "json"})
    record = {**PLAIN, "zip": "too long", "Qty": 1, "other": 1, "id": None}
    drop = road.land("dev/append/users/a.json", json.dumps(record))
    await road.loading.load(drop, attempt=1)
    _, (told,) = kept(road, drop)
    assert [(one["column"], one["code"]) for one in told["faults"]] == [
        (None, "unknown_field"),
        ("id", "null"),
        ("zip", "too_long"),
        ("qty", "ambiguous_field"),
    ]


async def test_bad_bytes_and_bad_values_of_a_row_are_reported_together(road: Road) -> None:
    await road.contract(columns=[{"name": "id", "type": "bigint"}, {"name": "qty", "type": "int"}])
    drop = road.land("dev/append/users/a.csv", b"id,qty\n1\xff,x\n\0,y\n1,2\n")
    await road.loading.load(drop, attempt=1)
    _, records = kept(road, drop)
    assert [[(one["column"], one["code"]) for one in told["faults"]] for told in records] == [
        [("id", "bad_encoding"), ("qty", "type")],
        [("id", "bad_encoding"), ("qty", "type")],
    ]

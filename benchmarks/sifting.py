r"""What bad rows cost: files with and without them, beside `psql \copy` of the good file.

`python -m benchmarks.sifting` measures, prints and keeps them.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from benchmarks.figure import Figure, table_of
from benchmarks.files import CONTRACT, csv_of
from benchmarks.keeping import keep
from benchmarks.measures import make_table, paired, peak_megabytes
from headrace_local.platform import PlatformOptions
from tests.running_platform import RunningPlatform, running

MEGABYTES: Final = 100
PAIRS: Final = 5
TYPES: Final = {"code": "varchar", "price": "decimal(12,2)"}
_BAD_EVERY: Final = 1_000
_ASIDE: Final = {"mode": "quarantine", "max_rows": 100_000}


@dataclass(frozen=True, slots=True)
class _Case:
    """A file under a contract, measured beside its peer."""

    what: str
    table: str
    file: Path
    wanted: str


def sifting(platform: RunningPlatform, folder: Path) -> Iterator[Figure]:
    """The good file and the same one with a bad row in a thousand, with quarantine on."""
    good = csv_of(folder, MEGABYTES)
    dirty, parquet, lines = spoiled(good), as_parquet(good), as_lines(good)
    make_table(platform, "big")
    aside = CONTRACT | {"on_bad_rows": _ASIDE}
    platform.land("dev/schema/aside/contract.json", json.dumps(aside))
    platform.await_state("dev/schema/aside/contract.json", "loaded")
    for case in (
        _Case(f"{MEGABYTES} MB CSV without bad rows, quarantine on", "aside", good, "1.0"),
        _Case(f"{MEGABYTES} MB CSV, 0.1 % bad rows set aside", "aside", dirty, "1.1"),
        _Case("the same rows as Parquet", "aside", parquet, "none"),
        _Case("the same rows as newline JSON", "aside", lines, "none"),
    ):
        yield _measured(platform, good, case)
    yield Figure(
        "loader's memory after these",
        f"{max(map(peak_megabytes, platform.pids('loader'))):.0f} MB at most",
        "limit wanted: 250 MB",
    )


def _measured(platform: RunningPlatform, good: Path, case: _Case) -> Figure:
    pairs = paired(platform, good, case.file, case.table, PAIRS)
    return Figure(
        case.what,
        f"{pairs.whole} of psql's time; the loader's work alone {pairs.alone}",
        f"{pairs.seconds}; limit wanted: {case.wanted}",
    )


def spoiled(good: Path) -> Path:
    """The file with a bad value in every thousandth row."""
    path = good.with_name(f"dirty-{good.name}")
    with good.open() as source, path.open("w") as target:
        for number, line in enumerate(source):
            fields = line.split(",")
            if number and number % _BAD_EVERY == 0:
                fields[2] = "12,5" if number % 2 else "n/a"
            target.write(",".join(fields))
    return path


def as_parquet(good: Path) -> Path:
    """The rows of the file as Parquet."""
    path = good.with_suffix(".parquet")
    with duckdb.connect() as connection:
        query = f"copy (select * from read_csv('{good}', types={TYPES})) to '{path}'"
        connection.execute(query)
    return path


def as_lines(good: Path) -> Path:
    """The rows of the file as newline JSON."""
    path = good.with_suffix(".ndjson")
    with good.open() as source, path.open("w") as target:
        for row in csv.DictReader(source):
            target.write(json.dumps(row) + "\n")
    return path


def main() -> None:
    """The measurements on a platform of their own, printed and kept in the README."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        options = PlatformOptions(data_dir=Path(name) / "data", ephemeral=True)
        with running(options) as platform:
            for figure in sifting(platform, Path(name)):
                figures.append(figure)
                sys.stdout.write(f"{figure.what}: {figure.figure}  {figure.beside}\n")
                sys.stdout.flush()
    keep("python -m benchmarks.sifting", table_of(figures))


if __name__ == "__main__":
    main()

r"""Dirty files: what Headrace and its peers load, refuse, change and tell.

`python -m benchmarks.dirty` prints a table, and keeps it. The peers are used as their
documentation suggests for files that may be dirty: `psql \copy`; DuckDB's `read_csv` with
`store_rejects`; pandas with `on_bad_lines="skip"`; pyarrow with an `invalid_row_handler`. pandas
is not among our own dependencies: `pip install pandas`, or it is left out.
"""

from __future__ import annotations

import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.csv

from benchmarks.keeping import keep
from headrace_local.platform import PlatformOptions
from tests.running_platform import RunningPlatform, running

TYPES: Final = {"id": "bigint", "code": "text", "qty": "integer", "day": "date"}
HEADER: Final = ",".join(TYPES)
Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Dirty:
    """A file and what is in it.

    Args:
        good: the rows that everybody ought to load, by their id.
        bad: the lines that nobody ought to load.
    """

    what: str
    content: bytes
    good: Mapping[str, Row]
    bad: Sequence[int] = ()


@dataclass
class Seen:
    """What became of a file: the rows that are in, and the lines that were told of."""

    rows: list[Row] = field(default_factory=list)
    told: set[int] = field(default_factory=set)
    refused: str = ""


def _file(
    what: str, lines: Sequence[str], bad: Sequence[int], good: Sequence[Row], end: str = "\n"
) -> Dirty:
    content = end.join([HEADER, *lines, ""]).encode()
    return Dirty(what, content, {str(row[0]): row for row in good}, bad)


_A: Final[Row] = ("1", "a", "1", "2026-01-01")
_Z: Final[Row] = ("9", "z", "9", "2026-01-09")
_FIRST, _LAST = "1,a,1,2026-01-01", "9,z,9,2026-01-09"

FILES: Final = (
    _file("a decimal comma in an integer", [_FIRST, '2,b,"1,5",2026-01-02', _LAST], [3], [_A, _Z]),
    _file("a fraction in an integer", [_FIRST, "2,b,1.5,2026-01-02", _LAST], [3], [_A, _Z]),
    _file("a number out of range", [_FIRST, "2,b,3000000000,2026-01-02", _LAST], [3], [_A, _Z]),
    _file("a day that is none", [_FIRST, "2,b,2,2026-02-30", _LAST], [3], [_A, _Z]),
    _file("a field too few", [_FIRST, "2,b,2", _LAST], [3], [_A, _Z]),
    _file("a field too many", [_FIRST, "2,b,2,2026-01-02,x", _LAST], [3], [_A, _Z]),
    _file("a quote that is never closed", [_FIRST, '2,"b,2,2026-01-02', _LAST], [3], [_A, _Z]),
    _file("no id where one must be", [_FIRST, ",b,2,2026-01-02", _LAST], [3], [_A, _Z]),
    Dirty(
        "a byte that is not UTF-8",
        f"{HEADER}\n{_FIRST}\n".encode() + b"2,caf\xe9,2,2026-01-02\n" + f"{_LAST}\n".encode(),
        {"1": _A, "9": _Z},
        [3],
    ),
    Dirty(
        "a NUL",
        f"{HEADER}\n{_FIRST}\n2,b\0,2,2026-01-02\n{_LAST}\n".encode(),
        {"1": _A, "9": _Z},
        [3],
    ),
    _file("mixed line ends", [_FIRST + "\r", _LAST], [], [_A, _Z]),
    _file("line ends of old Macs", [_FIRST, _LAST], [], [_A, _Z], "\r"),
    _file("an empty line in the middle", [_FIRST, "", _LAST], [], [_A, _Z]),
    _file(
        "a code with leading zeros, and one that says NA",
        [_FIRST, "2,007,2,2026-01-02", "3,NA,3,2026-01-03"],
        [],
        [_A, ("2", "007", "2", "2026-01-02"), ("3", "NA", "3", "2026-01-03")],
    ),
    _file(
        "an empty text beside a null",
        [_FIRST, '2,"",2,2026-01-02', "3,,3,2026-01-03"],
        [],
        [_A, ("2", "", "2", "2026-01-02"), ("3", None, "3", "2026-01-03")],
    ),
    _file(
        "a line end within quotes",
        ['1,"a\nb",1,2026-01-01', "2,b,x,2026-01-02", _LAST],
        [4],
        [("1", "a\nb", "1", "2026-01-01"), _Z],
    ),
)


def by_headrace(platform: RunningPlatform) -> Callable[[Dirty, Path], Seen]:
    """A table with quarantine; `told` is what the quarantine holds."""
    columns = [{"name": name, "type": kind} for name, kind in TYPES.items()]
    columns[0] |= {"nullable": False}  # type: ignore[dict-item]
    document = {"columns": columns, "on_bad_rows": {"mode": "quarantine"}}
    platform.land("dev/schema/dirty/contract.json", json.dumps(document))
    platform.await_state("dev/schema/dirty/contract.json", "loaded")

    def load(dirty: Dirty, path: Path) -> Seen:
        key = f"dev/truncate/dirty/{path.name}"
        platform.land(key, dirty.content)
        drop = platform.await_state(key, "loaded")
        with psycopg.connect(platform.stack.warehouse_dsn) as connection:
            rows = connection.execute(
                "select id::text, code, qty::text, day::text from dev.dirty"
            ).fetchall()
        return Seen(rows, {row["line"] for row in drop.get("bad_rows") or ()})

    return load


def by_psql(platform: RunningPlatform) -> Callable[[Dirty, Path], Seen]:
    r"""`\copy` into a table of the same columns."""
    psql = shutil.which("psql")
    if psql is None:
        raise SystemExit("The comparison needs psql (Debian: postgresql-client).")

    def load(dirty: Dirty, path: Path) -> Seen:  # noqa: ARG001 - it reads the file itself
        declared = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
        script = (
            f"drop table if exists copied; create table copied ({declared}); "
            "alter table copied alter id set not null;"
        )
        copy = f"\\copy copied from '{path}' with (format csv, header)"
        done = subprocess.run(
            [psql, platform.stack.warehouse_dsn, "-qc", script, "-c", copy],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
            return Seen(refused=(errors or ["refused"])[0].partition("ERROR: ")[2].strip())
        with psycopg.connect(platform.stack.warehouse_dsn) as connection:
            query = "select id::text, code, qty::text, day::text from copied"
            return Seen(connection.execute(query).fetchall())

    return load


def by_duckdb(dirty: Dirty, path: Path) -> Seen:  # noqa: ARG001
    """`read_csv` with the types given, and `store_rejects`."""
    with duckdb.connect() as connection:
        try:
            rows = connection.execute(
                "select id::text, code, qty::text, day::text from read_csv(?, header=true, "
                "columns={'id': 'bigint', 'code': 'text', 'qty': 'integer', 'day': 'date'}, "
                "store_rejects=true)",
                [str(path)],
            ).fetchall()
        except duckdb.Error as error:
            return Seen(refused=str(error).splitlines()[0])
        told = connection.execute("select distinct line from reject_errors").fetchall()
        return Seen(rows, {line for (line,) in told})


def by_pandas(dirty: Dirty, path: Path) -> Seen:  # noqa: ARG001
    """`read_csv` that skips bad lines; it has no list of them."""
    pandas: Any = import_module("pandas")
    try:
        frame = pandas.read_csv(path, on_bad_lines="skip", parse_dates=["day"])
    except Exception as error:  # noqa: BLE001 - whatever it says is what is measured
        return Seen(refused=str(error).splitlines()[0])
    return Seen([tuple(_shown(value) for value in row) for row in frame.itertuples(index=False)])


def by_pyarrow(dirty: Dirty, path: Path) -> Seen:  # noqa: ARG001
    """`read_csv` with the types given and a handler for rows of another width."""
    told: set[int] = set()

    def skip(row: Any) -> str:
        # Its number is None where several threads read.
        told.add(row.number or 0)
        return "skip"

    types = {"id": pa.int64(), "code": pa.string(), "qty": pa.int32(), "day": pa.date32()}
    try:
        table = pa.csv.read_csv(
            path,
            pa.csv.ReadOptions(use_threads=False),
            pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            pa.csv.ConvertOptions(column_types=types, strings_can_be_null=True),
        )
    except pa.ArrowException as error:
        return Seen(refused=str(error).splitlines()[0])
    rows = zip(*(table.column(name).to_pylist() for name in TYPES), strict=True)
    return Seen([tuple(_shown(value) for value in row) for row in rows], told)


def _shown(value: Any) -> str | None:
    """A value as it would be written; that pandas makes moments of days and fractions of whole
    numbers is not held against it."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return None
    text = str(value).removesuffix(" 00:00:00")
    return text.removesuffix(".0") if isinstance(value, float) else text


def verdict(dirty: Dirty, seen: Seen) -> str:
    """In words: what was loaded, lost, changed, let in and told."""
    if seen.refused:
        what = re.sub(r"\"/[^\"]+\"", "", seen.refused)
        return f"refuses the file: {what[:60].strip()}"
    by_id = {str(row[0]): row for row in seen.rows}
    right = sum(by_id.get(number) == row for number, row in dirty.good.items())
    changed = sum(number in by_id and by_id[number] != row for number, row in dirty.good.items())
    lost = len(dirty.good) - right - changed
    let_in = len(seen.rows) - right - changed
    unsaid = len(set(dirty.bad) - seen.told)
    parts = [f"{right} of {len(dirty.good)} right"]
    parts += [f"**{changed} changed**"] if changed else []
    parts += [f"**{lost} lost**"] if lost else []
    parts += [f"**{let_in} wrong let in**"] if let_in else []
    if dirty.bad:
        parts.append(f"**{unsaid} bad unsaid**" if unsaid else "bad ones told")
    return ", ".join(parts)


def main() -> None:
    """Prints the table."""
    out = io.StringIO()
    with tempfile.TemporaryDirectory(prefix="headrace-dirty-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        options = PlatformOptions(data_dir=folder / "data", ephemeral=True)
        with running(options) as platform:
            peers: dict[str, Callable[[Dirty, Path], Seen]] = {
                "Headrace": by_headrace(platform),
                "psql": by_psql(platform),
                "DuckDB": by_duckdb,
                "pyarrow": by_pyarrow,
            }
            if importlib.util.find_spec("pandas"):
                peers["pandas"] = by_pandas
            out.write(f"| file | {' | '.join(peers)} |\n|---|{'---|' * len(peers)}\n")
            for place, dirty in enumerate(FILES):
                path = folder / f"{place}.csv"
                path.write_bytes(dirty.content)
                cells = [verdict(dirty, load(dirty, path)) for load in peers.values()]
                out.write(f"| {dirty.what} | {' | '.join(cells)} |\n")
    sys.stdout.write(out.getvalue())
    keep("python -m benchmarks.dirty", out.getvalue())


if __name__ == "__main__":
    main()

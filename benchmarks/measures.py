"""The measurements. Each gives rows of a table: what, the figure, what it is compared with."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import psycopg
from psycopg import sql

from benchmarks.figure import Figure
from benchmarks.files import COLUMNS, CONTRACT, csv_of, small_csv
from tests.running_platform import RunningPlatform, eventually

BIG_MEGABYTES: Final = 100
PAIRS: Final = 7
MEMORY_MEGABYTES: Final = (10, 100, 1000)
SMALL_DROPS: Final = 1_000
SMALL_TABLES: Final = 20
SMALL_ROWS: Final = 100
LATENCY_DROPS: Final = 100
IDLE_SECONDS: Final = 10.0

_POLL_SECONDS: Final = 0.003


def big_file(platform: RunningPlatform, folder: Path) -> Iterator[Figure]:
    r"""One file from landing to loaded, beside `psql \copy` of it into the same table, in pairs."""
    file = csv_of(folder, BIG_MEGABYTES)
    make_table(platform, "big")
    pairs = paired(platform, file, file, "big", PAIRS)
    yield Figure(
        f"{BIG_MEGABYTES} MB CSV, landing to loaded, warm ({PAIRS} pairs)",
        f"{pairs.whole} of psql's time",
        f"{pairs.seconds}; limit wanted: 1.05",
    )
    yield Figure(
        "of that, the loader's work alone (ledger look-up to commit)",
        f"{pairs.alone} of psql's time",
        "the rest is two queues, which the emulator looks into every 100 ms",
    )


@dataclass(frozen=True)
class Pairs:
    """Loads beside their peers, in words.

    Args:
        whole: landing to loaded, as a ratio.
        alone: the loader's work, likewise.
    """

    whole: str
    alone: str
    seconds: str


def paired(platform: RunningPlatform, good: Path, file: Path, table: str, pairs: int) -> Pairs:
    r"""A file into a table, each time beside `psql \copy` of the good one into `dev.big`."""
    ratios, alone, ours, theirs = [], [], [], []
    for pair in range(pairs + 1):
        empty(platform, "big")
        peer = psql_copy(platform, good)
        empty(platform, "big", table)
        key = f"dev/append/{table}/{pair}-{file.name}"
        mine = load(platform, file, key)
        if pair:  # the first pair warms up
            ratios.append(mine / peer)
            alone.append(work_seconds(platform, key) / peer)
            ours.append(mine)
            theirs.append(peer)
    seconds = f"{statistics.median(ours):.2f} s beside {statistics.median(theirs):.2f} s"
    return Pairs(spread(ratios), spread(alone), seconds)


def spread(values: list[float]) -> str:
    """The median, and between what."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def memory(platform: RunningPlatform, folder: Path) -> Iterator[Figure]:
    """The loader's highest resident memory while it loads files of several sizes."""
    make_table(platform, "memory")
    for megabytes in MEMORY_MEGABYTES:
        file = csv_of(folder, megabytes)
        seconds = load(platform, file, f"dev/truncate/memory/{megabytes}.csv")
        pid = platform.pids("loader")[0]
        file.unlink()
        yield Figure(
            f"loader's memory, {megabytes} MB file",
            f"{peak_megabytes(pid):.0f} MB at most so far",
            f"loaded in {seconds:.1f} s; limit wanted: 150 MB",
        )


def small_files(platform: RunningPlatform) -> Iterator[Figure]:
    """Many small drops over many tables, beside a bare loop on the same data."""
    tables = [f"small{number}" for number in range(SMALL_TABLES)]
    for table in tables:
        make_table(platform, table)
    files = [small_csv(SMALL_ROWS, number * SMALL_ROWS) for number in range(SMALL_DROPS)]
    bare = _bare_loop(platform, tables, files)
    empty(platform, *tables)
    started = time.monotonic()
    for number, text in enumerate(files):
        platform.land(f"dev/append/{tables[number % SMALL_TABLES]}/{number}.csv", text)
    uploaded = time.monotonic() - started
    with psycopg.connect(platform.stack.warehouse_dsn, autocommit=True) as connection:
        eventually(
            lambda: _ledger_count(connection, "small%") >= SMALL_DROPS, "every drop is loaded"
        )
    took = time.monotonic() - started
    yield Figure(
        f"{SMALL_DROPS:,} drops of {SMALL_ROWS} rows over {SMALL_TABLES} tables",
        f"{SMALL_DROPS / took:.0f} drops/s",
        f"bare loop (one connection, one transaction a file, no queue): "
        f"{SMALL_DROPS / bare:.0f}/s; the uploads alone took {uploaded:.1f} of {took:.1f} s",
    )


def latency(platform: RunningPlatform) -> Iterator[Figure]:
    """From the upload's answer to rows that a query sees, one small drop at a time."""
    make_table(platform, "latency")
    times = []
    with psycopg.connect(platform.stack.warehouse_dsn, autocommit=True) as connection:
        for number in range(LATENCY_DROPS):
            platform.land(f"dev/append/latency/{number}.csv", small_csv(1, number))
            started = time.monotonic()
            while not _has_row(connection, number):
                time.sleep(_POLL_SECONDS)
            times.append((time.monotonic() - started) * 1000)
    cuts = statistics.quantiles(times, n=100)
    yield Figure(
        f"landing to queryable, {LATENCY_DROPS} small drops one at a time",
        f"p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms",
        "",
    )


def idle(platform: RunningPlatform) -> Iterator[Figure]:
    """What the whole platform costs while nothing happens."""
    pids = [pid for group in platform.stack.processes.values() for pid in group]
    processes = [psutil.Process(pid) for pid in pids]
    processes += [child for process in processes for child in process.children(recursive=True)]
    before = _cpu_seconds(processes)
    time.sleep(IDLE_SECONDS)
    share = (_cpu_seconds(processes) - before) / IDLE_SECONDS
    yield Figure("idle CPU of the whole platform", f"{share:.1%} of one core", "")


def make_table(platform: RunningPlatform, table: str) -> None:
    """A table of the benchmarks' columns, made and waited for."""
    key = f"dev/schema/{table}/contract.json"
    platform.land(key, json.dumps(CONTRACT))
    platform.await_state(key, "loaded")


def load(platform: RunningPlatform, file: Path, key: str) -> float:
    """Seconds from the landing (the upload is through) to the commit."""
    platform.s3.upload_file(str(file), platform.stack.lake_bucket, key)
    started = time.monotonic()
    with psycopg.connect(platform.stack.warehouse_dsn, autocommit=True) as connection:
        query = "select 1 from headrace.ledger where key = %s and outcome = 'loaded'"
        while not connection.execute(query, [key]).fetchone():
            time.sleep(_POLL_SECONDS)
    return time.monotonic() - started


def work_seconds(platform: RunningPlatform, key: str) -> float:
    """From the loader's first look at the ledger to the end of its transaction."""
    with psycopg.connect(platform.stack.warehouse_dsn) as connection:
        row = connection.execute(
            "select extract(epoch from applied_at - started_at) from headrace.ledger "
            "where key = %s",
            [key],
        ).fetchone()
        assert row is not None
        return float(row[0])


def psql_copy(platform: RunningPlatform, file: Path) -> float:
    """Seconds that psql takes to copy the file into `dev.big`."""
    psql = shutil.which("psql")
    if psql is None:
        raise SystemExit("The benchmark needs psql (Debian: postgresql-client).")
    columns = ",".join(COLUMNS)
    command = f"\\copy dev.big({columns}) from '{file}' with (format csv, header)"
    started = time.monotonic()
    subprocess.run([psql, platform.stack.warehouse_dsn, "-qc", command], check=True)
    return time.monotonic() - started


def _bare_loop(platform: RunningPlatform, tables: list[str], files: list[str]) -> float:
    started = time.monotonic()
    with psycopg.connect(platform.stack.warehouse_dsn) as connection:
        for number, text in enumerate(files):
            statement = sql.SQL("copy {} ({}) from stdin with (format csv, header)").format(
                sql.Identifier("dev", tables[number % len(tables)]),
                sql.SQL(", ").join(sql.Identifier(name) for name in COLUMNS),
            )
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(text)
            connection.commit()
    return time.monotonic() - started


def empty(platform: RunningPlatform, *tables: str) -> None:
    """Tables of the database dev without rows."""
    with psycopg.connect(platform.stack.warehouse_dsn, autocommit=True) as connection:
        for table in tables:
            connection.execute(sql.SQL("truncate {}").format(sql.Identifier("dev", table)))


def _ledger_count(connection: psycopg.Connection[tuple[int]], tables: str) -> int:
    row = connection.execute(
        "select count(*) from headrace.ledger where table_name like %s and action = 'append'",
        [tables],
    ).fetchone()
    return int(row[0]) if row else 0


def _has_row(connection: psycopg.Connection[tuple[int]], number: int) -> bool:
    query = "select 1 from dev.latency where id = %s"
    return connection.execute(query, [number]).fetchone() is not None


def peak_megabytes(pid: int) -> float:
    """VmHWM: the most that the process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(one for one in status.splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        if process.is_running():
            times = process.cpu_times()
            total += times.user + times.system
    return total


def machine() -> str:
    """What it ran on, in a line."""
    memory_gigabytes = psutil.virtual_memory().total / 1e9
    return f"{os.cpu_count()} cores, {memory_gigabytes:.0f} GB, Linux {os.uname().release}"

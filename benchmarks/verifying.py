"""How fast `headrace verify` reads, and what memory it takes as the lake grows.

`python -m benchmarks.verifying 1000000` measures a lake of so many objects.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import psycopg

from benchmarks.figure import Figure
from benchmarks.measures import peak_megabytes
from headrace_local.env import variables
from headrace_local.platform import PlatformOptions
from headrace_local.ports import LOOPBACK
from tests.running_platform import RunningPlatform, running

SIZES: Final = (10_000, 200_000)

_PAGE: Final = 1_000
_LOOK_SECONDS: Final = 0.05
_LANDED: Final = "2026-01-01T00:00:00.000Z"

_LEDGER: Final = """
    insert into headrace.ledger (drop_id, db_name, table_name, action, bucket, key, version_id,
        etag, size_bytes, landed_at, started_at, applied_at, outcome, contract_order)
    select id, 'bench', 't', 'append', %(bucket)s,
        'bench/append/t/' || lpad(number::text, 9, '0') || '.csv', 'v' || number,
        'e', 10, %(landed)s, %(landed)s, %(landed)s, 'superseded', id
    from generate_series(%(first)s::bigint, %(last)s::bigint) as number, lateral (
        select ('6b000000-0000-8000-8000-' || lpad(to_hex(number), 12, '0'))::uuid as id) as made
    """


@dataclass(frozen=True)
class _Run:
    seconds: float
    megabytes: float


def verifying(platform: RunningPlatform, sizes: tuple[int, ...] = SIZES) -> Iterator[Figure]:
    """The whole command, over ledgers and lakes of several sizes.

    The lake's listing comes from a server of our own, because filling the emulator with as many
    objects takes longer than everything else here; the ledger and the log are real, the log
    without items (which may have expired), so that each drop is asked for in vain.
    """
    filled = 0
    for size in sizes:
        _fill_ledger(platform, filled, size)
        filled = size
        with _listing(size) as address:
            alone = _list_alone(address, platform)
            ran = _verify(platform, address)
        yield Figure(
            f"`headrace verify`, {size:,} objects",
            f"{size / ran.seconds:,.0f} objects/s, {ran.megabytes:.0f} MB at most",
            f"listing them alone, with the same client: {size / alone:,.0f}/s",
        )


def _fill_ledger(platform: RunningPlatform, filled: int, size: int) -> None:
    with psycopg.connect(platform.stack.warehouse_dsn) as connection:
        connection.execute(
            _LEDGER,
            {
                "bucket": platform.stack.lake_bucket,
                "first": filled,
                "last": size - 1,
                "landed": _LANDED,
            },
        )
    with psycopg.connect(platform.stack.warehouse_dsn, autocommit=True) as connection:
        connection.execute("analyze headrace.ledger")


def _environment(platform: RunningPlatform, address: str) -> dict[str, str]:
    return {
        **os.environ,
        **variables(platform.stack),
        "AWS_ENDPOINT_URL_S3": address,
        "HEADRACE_WAREHOUSE_DSN": platform.stack.warehouse_dsn,
        "HEADRACE_LAKE_BUCKET": platform.stack.lake_bucket,
        "HEADRACE_LAKE_ID": platform.stack.lake_id,
        "HEADRACE_LOG_TABLE": platform.stack.log_table,
        "HEADRACE_BUS_NAME": platform.stack.bus_name,
        "HEADRACE_LOG_EXPIRY_DAYS": "30",
    }


def _verify(platform: RunningPlatform, address: str) -> _Run:
    command = [sys.executable, "-m", "headrace_verifier.check", "--prefix", "bench/"]
    started, megabytes = time.monotonic(), 0.0
    with (
        tempfile.TemporaryFile() as told,
        subprocess.Popen(
            command, env=_environment(platform, address), stdout=told, stderr=told
        ) as child,
    ):
        while child.poll() is None:
            # Not the rusage of the child: that begins with what its parent had.
            with suppress(FileNotFoundError, StopIteration):
                megabytes = peak_megabytes(child.pid)
            time.sleep(_LOOK_SECONDS)
        took = time.monotonic() - started
        told.seek(0)
        if child.returncode:
            raise RuntimeError(f"verify ended with {child.returncode}: {told.read()[-2_000:]!r}")
    return _Run(took, megabytes)


def _list_alone(address: str, platform: RunningPlatform) -> float:
    code = (
        "import asyncio, sys\n"
        "from contextlib import AsyncExitStack\n"
        "from headrace_shared.aws import AwsClients\n"
        "async def main():\n"
        "    async with AsyncExitStack() as stack:\n"
        "        s3 = await AwsClients(stack, connections=2).open('s3')\n"
        "        pages = s3.get_paginator('list_object_versions').paginate(Bucket=sys.argv[1])\n"
        "        async for page in pages: pass\n"
        "asyncio.run(main())\n"
    )
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", code, platform.stack.lake_bucket],
        env=_environment(platform, address),
        check=True,
    )
    return time.monotonic() - started


@contextmanager
def _listing(size: int) -> Iterator[str]:
    """A server that lists so many versions, and knows nothing else of S3."""

    class Listing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            marker = asked.get("version-id-marker", [""])[0]
            first = int(marker[1:]) + 1 if marker else 0
            body = _page(first, min(first + _PAGE, size), is_last=first + _PAGE >= size).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Listing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _page(first: int, end: int, *, is_last: bool) -> str:
    versions = "".join(
        f"<Version><Key>{_key(number)}</Key><VersionId>v{number}</VersionId>"
        f"<IsLatest>true</IsLatest><LastModified>{_LANDED}</LastModified>"
        "<ETag>&quot;e&quot;</ETag><Size>10</Size><StorageClass>STANDARD</StorageClass></Version>"
        for number in range(first, end)
    )
    more = (
        f"<IsTruncated>true</IsTruncated><NextKeyMarker>{_key(end - 1)}</NextKeyMarker>"
        f"<NextVersionIdMarker>v{end - 1}</NextVersionIdMarker>"
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{'<IsTruncated>false</IsTruncated>' if is_last else more}{versions}"
        "</ListVersionsResult>"
    )


def _key(number: int) -> str:
    return f"bench/append/t/{number:09d}.csv"


def main() -> None:
    """Prints the figures of one size."""
    size = int(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        options = PlatformOptions(data_dir=Path(name) / "data", ephemeral=True)
        with running(options) as platform:
            for figure in verifying(platform, (size,)):
                sys.stdout.write(f"{figure.what}: {figure.figure}  {figure.beside}\n")


if __name__ == "__main__":
    main()

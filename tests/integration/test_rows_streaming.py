"""Streams of rows from the API as a process, over real sockets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from headrace_loader.migrations import migrate
from tests.running_api import api_process

pytestmark = pytest.mark.integration

START_SECONDS = 20
SOON_SECONDS = 15
ROWS = 1_000_000
MEGABYTE = 1_048_576
PATH = "/v1/tables/dev/users/rows"
CONTRACT = {
    "columns": [{"name": "number", "type": "bigint"}, {"name": "note", "type": "text"}],
    "primary_key": ["number"],
    "api": {"filter_by": ["number"], "columns": ["number", "note"]},
}
STALL_SECONDS = "1"


@dataclass
class Served:
    """The API in a process of its own, and its warehouse."""

    port: int
    child: subprocess.Popen[bytes]
    output: Path
    dsn: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What the API logged; uvicorn's own lines are none of ours."""
        written = (line for line in self.output.read_text().splitlines() if line[:1] == "{")
        return [one for one in map(json.loads, written) if one["event"] == event]

    def queries(self) -> int:
        """How many of the API's connections are in the midst of something."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            found = connection.execute(
                "select count(*) from pg_stat_activity where application_name = 'headrace-api' "
                "and datname = current_database() and state <> 'idle'"
            ).fetchone()
        return int(found[0]) if found else 0


def eventually(check: Callable[[], bool], within: float = SOON_SECONDS) -> None:
    deadline = time.monotonic() + within
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
async def filled(warehouse_dsn: str) -> str:
    """A million rows."""
    async with await psycopg.AsyncConnection.connect(warehouse_dsn, autocommit=True) as connection:
        await migrate(connection)
        await connection.execute(
            "insert into headrace.contracts values (%s, 'dev', 'users', %s, '[]')",
            [UUID(int=1), Jsonb(CONTRACT)],
        )
        await connection.execute("create schema dev")
        await connection.execute("create table dev.users (number bigint, note text, _drop_id uuid)")
        await connection.execute(
            "insert into dev.users select number, '=note ' || repeat('x', 80) "
            f"from generate_series(1, {ROWS}) as number"
        )
    return warehouse_dsn


@pytest.fixture
def served(filled: str, tmp_path: Path) -> Iterator[Served]:
    with _serving(filled, tmp_path / "api.log") as made:
        yield made


@contextmanager
def _serving(dsn: str, output: Path) -> Iterator[Served]:
    settings = {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "HEADRACE_LOG_TABLE": "log",
        "HEADRACE_LOG_FORMAT": "json",
        "HEADRACE_ANONYMOUS": "true",
        "HEADRACE_WAREHOUSE_DSN": dsn,
        "HEADRACE_CURSOR_SECRET": "a secret of the tests",
        "HEADRACE_STALL_SECONDS": STALL_SECONDS,
    }
    with api_process(settings, output, probe="/healthz") as process:
        yield Served(process.port, process.child, output, dsn)


def _accept(form: str) -> dict[str, str]:
    # Packed, the lines could not be counted as they come.
    return {"Accept": form, "Accept-Encoding": "identity"}


def _ask(served: Served, form: str) -> socket.socket:
    """A client that has asked, and takes as little as its socket allows."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect(("127.0.0.1", served.port))
    client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: api\r\nAccept: {form}\r\n\r\n".encode())
    return client


@pytest.mark.parametrize("form", ["application/x-ndjson", "text/csv"])
def test_million_rows_stream_in_constant_memory(served: Served, form: str) -> None:
    httpx.get(served.url).raise_for_status()
    before, most, ends, last = served.resident_bytes(), 0, 0, b""
    with httpx.stream("GET", served.url, headers=_accept(form), timeout=60) as answer:
        assert answer.status_code == 200
        for part in answer.iter_raw(MEGABYTE):
            ends += part.count(b"\n")
            last = part
            most = max(most, served.resident_bytes())
    told = {"application/x-ndjson": f'"number":"{ROWS}"', "text/csv": f"\n{ROWS},\"'=note x"}
    assert told[form].encode() in last
    assert ends == ROWS + (form == "text/csv")
    assert most - before < 24 * MEGABYTE
    eventually(lambda: bool(served.lines("rows.streamed")))
    assert served.lines("rows.streamed")[0]["outcome"] == "complete"


def test_client_that_goes_away_ends_the_query(served: Served) -> None:
    client = _ask(served, "text/csv")
    assert client.recv(1_024).startswith(b"HTTP/1.1 200")
    assert served.queries() == 1
    client.close()
    eventually(lambda: served.queries() == 0)
    eventually(lambda: bool(served.lines("rows.streamed")))
    assert served.lines("rows.streamed")[0]["outcome"] == "client_gone"


def test_client_that_goes_away_before_the_first_row_ends_the_query(served: Served) -> None:
    with psycopg.connect(served.dsn) as other:
        other.execute("lock table dev.users")
        client = _ask(served, "text/csv")
        eventually(lambda: served.queries() == 1)
        client.close()
        eventually(lambda: served.queries() == 0)


def test_client_that_takes_nothing_is_broken_off(served: Served) -> None:
    client = _ask(served, "application/x-ndjson")
    assert client.recv(1_024).startswith(b"HTTP/1.1 200")
    eventually(lambda: served.queries() == 0)
    whole = _rest(client)
    assert not whole.endswith(b"0\r\n\r\n"), "it looks as if it were whole"
    assert served.lines("rows.streamed")[0]["outcome"] == "client_gone"
    assert httpx.get(served.url).status_code == 200


def _rest(client: socket.socket) -> bytes:
    client.settimeout(SOON_SECONDS)
    found = b""
    with client, suppress(ConnectionResetError):
        while part := client.recv(MEGABYTE):
            found = (found + part)[-64:]
    return found


def test_warehouse_that_ends_the_query_breaks_the_answer_off(served: Served) -> None:
    with httpx.stream("GET", served.url, headers=_accept("text/csv"), timeout=60) as answer:
        parts = answer.iter_raw()
        next(parts)
        with psycopg.connect(served.dsn, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'headrace-api' and datname = current_database()"
            )
        with pytest.raises(httpx.RemoteProtocolError):
            sum(map(len, parts))
    assert httpx.get(served.url).status_code == 200

"""The platform as a whole: what it keeps, what it survives, and that a failed start leaves nothing.

The services are the real ones; what a user sees of `headrace up` is in tests/e2e/test_up.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from headrace_local import platform as local_platform
from headrace_local import postgres
from headrace_local.errors import PlatformError, UserError
from headrace_local.platform import Platform, PlatformOptions
from headrace_local.ports import LOOPBACK, free_port, listening, port_of
from headrace_local.resources import describe
from headrace_local.services import Surroundings, programs
from headrace_local.stack import FILE_NAME
from tests.running_platform import RunningPlatform, eventually, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Not pytest's own folder: as root, Postgres runs as another user, who must get there."""
    with TemporaryDirectory(prefix="headrace-test-") as name:
        yield Path(name)


def options(data_dir: Path, **others: object) -> PlatformOptions:
    return PlatformOptions(data_dir=data_dir, fsync=False, **others)  # type: ignore[arg-type]


def children() -> set[int]:
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
    }


def kill(platform: RunningPlatform, name: str) -> None:
    (pid,) = platform.pids(name)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: platform.restarts(name) == 1, f"{name} is restarted")


def test_second_run_has_what_the_first_one_kept(data_dir: Path) -> None:
    before = children()
    with running(options(data_dir)) as first:
        first.contract("kept")
        first.land("dev/append/kept/a.csv", "id,name\n1,a\n")
        story = first.await_state("dev/append/kept/a.csv", "loaded")
        assert (data_dir / FILE_NAME).exists()
    assert children() <= before
    assert not (data_dir / FILE_NAME).exists()
    with running(options(data_dir)) as second:
        assert second.stack.aws_endpoint_url != first.stack.aws_endpoint_url
        assert second.stack.inboxes["router"].startswith(second.stack.aws_endpoint_url)
        assert second.get(f"/v1/drops/{story['drop_id']}")["state"] == "loaded"
        lake = second.s3.get_object(Bucket=second.stack.lake_bucket, Key="dev/append/kept/a.csv")
        assert lake["Body"].read() == b"id,name\n1,a\n"
        second.land("dev/append/kept/b.csv", "id,name\n2,b\n")
        second.await_state("dev/append/kept/b.csv", "loaded")
        assert second.count("dev.kept") == 2


def test_killed_infrastructure_comes_back_and_the_road_is_whole_again() -> None:
    events: list[str] = []
    with (
        TemporaryDirectory() as name,
        running(options(Path(name), ephemeral=True, on_event=events.append)) as platform,
    ):
        platform.contract("survivor")
        kill(platform, "postgres")
        platform.land("dev/append/survivor/a.csv", "id,name\n1,a\n")
        platform.await_state("dev/append/survivor/a.csv", "loaded")
        kill(platform, "aws")
        # It kept nothing; its queues, rules and table are made again by the platform.
        eventually(lambda: "aws runs again" in " ".join(events), "the lake is back")
        platform.land("dev/append/survivor/b.csv", "id,name\n2,b\n")
        platform.await_state("dev/append/survivor/b.csv", "loaded")
        assert platform.count("dev.survivor") == 2


async def test_start_that_fails_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = children()
    wrong = {"loader": {"HEADRACE_VISIBILITY_SECONDS": "soon"}}
    platform = Platform(options(tmp_path / "data", ephemeral=True, service_env=wrong))
    with pytest.raises(PlatformError) as raised:
        await platform.start()
    assert "loader ended at its start (exit status 2)" in raised.value.what
    assert "HEADRACE_VISIBILITY_SECONDS is wrong" in raised.value.what
    assert children() <= before
    assert not (tmp_path / "data" / FILE_NAME).exists()
    assert not platform._data.exists()


async def test_start_that_is_cancelled_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    loop, prepare = asyncio.get_running_loop(), postgres.prepare

    def told(*arguments: object, **named: object) -> object:
        loop.call_soon_threadsafe(begun.set)
        return prepare(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(postgres, "prepare", told)
    before = children()
    platform = Platform(options(tmp_path, ephemeral=True))
    starting = asyncio.create_task(platform.start())
    await begun.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert children() <= before
    assert not platform._data.exists()


async def test_folder_in_use_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    holder, second = Platform(options(tmp_path)), Platform(options(tmp_path))
    holder._take_folder()
    (tmp_path / FILE_NAME).write_text("of the first")
    with pytest.raises(UserError, match="already running"):
        await second.start()
    assert (tmp_path / FILE_NAME).read_text() == "of the first"
    await holder.stop()


async def test_ephemeral_data_of_a_killed_platform_is_removed_by_the_next(tmp_path: Path) -> None:
    killed = Platform(options(tmp_path, ephemeral=True))
    killed._take_folder()
    left = killed._data
    assert killed._lock is not None
    killed._lock.close()  # as the kernel does
    next_one = Platform(options(tmp_path))
    next_one._take_folder()
    assert not left.exists()
    await next_one.stop()


async def test_folder_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        await Platform(options(tmp_path / "file" / "data")).start()


def test_half_made_postgres_folder_is_made_anew(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "PG_VERSION").write_text("18\n")
    cluster = postgres.prepare(data_dir, fsync=False)
    assert (data_dir / "postgres" / "global").is_dir()
    assert postgres.prepare(data_dir).password == cluster.password


def test_postgres_folder_of_another_version_is_refused(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "PG_VERSION").write_text("9\n")
    (data_dir / "postgres-password").write_text("secret")
    with pytest.raises(PlatformError) as raised:
        postgres.prepare(data_dir)
    assert "--data DIR" in raised.value.what_to_do


async def test_port_of_postgres_that_was_taken_meanwhile_is_changed(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as other, ExitStack() as stack:
        offered = iter([port_of(other), free_port()])
        monkeypatch.setattr(local_platform, "chosen_port", lambda *_: next(offered))
        platform = Platform(options(data_dir))
        stack.callback(platform.kill)
        platform._take_folder()
        dsn = await platform._start_postgres()
        assert port_of(other) not in {urlsplit(dsn).port, None}
        assert [process.name for process in platform.processes] == ["postgres"]
        with psycopg.connect(dsn) as connection:
            assert connection.info.port == urlsplit(dsn).port
        await platform.stop()


async def test_wanted_port_of_postgres_that_is_taken_is_not_changed(data_dir: Path) -> None:
    with listening() as other:
        taken = port_of(other)
        with pytest.raises(UserError, match=f"The port {taken} is taken"):
            await Platform(options(data_dir, pg_port=taken)).start()
    assert not (data_dir / FILE_NAME).exists()


async def test_answer_of_another_program_is_not_the_readiness_of_the_api() -> None:
    with listening() as listener, answering(listener, {"Headrace-Instance": "another"}):
        with pytest.raises(PlatformError, match="Another program answers") as raised:
            await readiness(listener, "ours")
        assert raised.value.where == f"{LOOPBACK}:{port_of(listener)}"
        assert await readiness(listener, "another")


async def readiness(listener: socket.socket, instance_id: str) -> bool:
    """Of an API that was started with this socket and this name."""
    around = Surroundings(
        describe(), port_of(listener), "secret", "lake", listener, instance_id, Path(), {}
    )
    (program,) = programs("api", 1, around, None)
    return await program.is_ready()


@contextmanager
def answering(listener: socket.socket, headers: Mapping[str, str]) -> Iterator[None]:
    """A server behind the socket that answers 200 to everything."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Answer, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()

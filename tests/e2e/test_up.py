"""`headrace up` as a user starts it: what it writes, what it survives, what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import psutil
import pytest

from headrace_local.platform import API_PORT
from tests.patience import patience

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HEADRACE = str(Path(sys.executable).with_name("headrace"))
WITHIN_SECONDS = 60
SERVICES = ("router", "loader", "logger", "api", "verifier")
WITHOUT_INBOX = {"api", "verifier"}
FIELDS = {
    "api_url",
    "api_key",
    "aws_endpoint_url",
    "aws_region",
    "aws_access_key_id",
    "aws_secret_access_key",
    "lake_bucket",
    "lake_id",
    "bus_name",
    "log_table",
    "keys_table",
    "warehouse_dsn",
    "inboxes",
    "dead_letter_queues",
    "processes",
}


@dataclass
class RunningUp:
    """One `headrace up`, and every process that it ever had."""

    child: subprocess.Popen[bytes]
    folder: Path
    seen: dict[int, psutil.Process] = field(default_factory=dict)

    @property
    def stack_file(self) -> Path:
        return self.folder / ".headrace" / "stack.json"

    @property
    def told(self) -> str:
        return (self.folder / "up.log").read_text()

    def stack(self) -> Any:
        return json.loads(self.stack_file.read_text())

    def pids(self, program: str) -> list[int]:
        found: list[int] = self.stack()["processes"].get(program, [])
        return found

    def look(self) -> list[psutil.Process]:
        """It and its descendants; remembered, so that orphans are found later."""
        parent = psutil.Process(self.child.pid)
        found = [parent, *parent.children(recursive=True)]
        self.seen |= {process.pid: process for process in found}
        return found

    def alive(self) -> list[psutil.Process]:
        """Those seen that still run; a zombie is only waiting to be counted."""
        return [process for process in self.seen.values() if _runs(process)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def eventually(check: Callable[[], object], what: str, child: RunningUp) -> None:
    within = patience(WITHIN_SECONDS)
    deadline = time.monotonic() + within
    while not check():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within:g} s: {what}\n{child.told}", pytrace=False)
        threading.Event().wait(0.05)


def _spawn(folder: Path, arguments: tuple[str, ...], output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [HEADRACE, "up", *arguments],
        cwd=folder,
        env=_without_ours(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _without_ours() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("HEADRACE_", "AWS_"))}


@contextmanager
def up(folder: Path, *arguments: str) -> Iterator[RunningUp]:
    """It is ready when the block begins; whatever is left of it at the end is killed."""
    with spawned(folder, *arguments) as run:
        await_ready(run)
        yield run


def await_ready(run: RunningUp) -> None:
    eventually(lambda: "Ready in " in run.told or run.child.poll() is not None, "ready", run)
    if run.child.poll() is not None:
        pytest.fail(f"headrace up ended at its start:\n{run.told}", pytrace=False)
    run.look()


@contextmanager
def spawned(folder: Path, *arguments: str) -> Iterator[RunningUp]:
    """Started, and not awaited; whatever is left of it at the end is killed."""
    with (folder / "up.log").open("wb") as output:
        run = RunningUp(_spawn(folder, arguments, output), folder)
    try:
        yield run
    finally:
        if run.child.poll() is None:
            run.look()
        for process in run.alive():
            with suppress(psutil.NoSuchProcess):  # it ended with its parent a moment ago
                process.kill()
        run.child.wait(patience(WITHIN_SECONDS))


def ended_by(run: RunningUp, number: signal.Signals) -> int:
    run.look()
    run.child.send_signal(number)
    return run.child.wait(patience(WITHIN_SECONDS))


def test_up_writes_its_addresses_restarts_what_dies_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    with up(tmp_path, "--ephemeral", "--scale", "loader=2") as run:
        _stack_is_whole_and_private(run)
        _every_port_is_on_loopback(run)
        _killed_service_comes_back(run)
        assert ended_by(run, signal.SIGINT) == 0, run.told
        assert run.alive() == []
        assert not run.stack_file.exists()
        assert "\x1b" not in run.told
        assert "Traceback" not in run.told


def _stack_is_whole_and_private(run: RunningUp) -> None:
    stack = run.stack()
    assert stack.keys() >= FIELDS
    assert all(stack[name] for name in FIELDS)
    assert stat.S_IMODE(run.stack_file.stat().st_mode) == 0o600
    assert (
        stack["inboxes"].keys()
        == stack["dead_letter_queues"].keys()
        == set(SERVICES) - WITHOUT_INBOX
    )
    assert stack["processes"].keys() == {*SERVICES, "aws", "postgres"}
    assert {name: len(pids) for name, pids in stack["processes"].items() if len(pids) > 1} == {
        "loader": 2
    }
    assert all(psutil.pid_exists(pid) for pids in stack["processes"].values() for pid in pids)
    for name in ("api_url", "aws_endpoint_url", "warehouse_dsn"):
        assert stack[name] in run.told


def _every_port_is_on_loopback(run: RunningUp) -> None:
    # The API, the emulator and Postgres: all of them are ready, but one look may miss a process
    # whose files change meanwhile.
    eventually(
        lambda: len({port for _, port in _listening(run)}) >= 3, "three ports are listened on", run
    )
    assert {ip for ip, _ in _listening(run)} <= {"127.0.0.1", "::1"}


def _listening(run: RunningUp) -> set[tuple[str, int]]:
    found = set()
    for process in run.look():
        with suppress(psutil.NoSuchProcess):  # Postgres's helpers come and go
            found |= {
                (connection.laddr.ip, connection.laddr.port)
                for connection in process.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            }
    return found


def _killed_service_comes_back(run: RunningUp) -> None:
    (killed,) = run.pids("router")
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: run.pids("router") not in ([], [killed]), "router has a successor", run)
    (successor,) = run.pids("router")
    eventually(lambda: f"(pid {successor})" in run.told, "the successor is told of", run)
    assert "router ended (SIGKILL)" in run.told


def test_two_platforms_that_start_together_both_work_beside_a_stranger_on_the_usual_port(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    with ExitStack() as stack:
        stack.enter_context(stranger(API_PORT))
        for folder in folders:
            folder.mkdir()
        runs = [stack.enter_context(spawned(folder, "--ephemeral")) for folder in folders]
        for run in runs:
            await_ready(run)
        places = [urlsplit(run.stack()["api_url"]).port for run in runs]
        assert len({*places, API_PORT}) == 3
        for run in runs:
            assert listens(run, "api", run.stack()["api_url"])
            assert listens(run, "aws", run.stack()["aws_endpoint_url"])
            status = headrace_status(run.folder)
            assert status.returncode == 0, status.stderr
            assert "api ended" not in run.told
        for run in runs:
            assert ended_by(run, signal.SIGINT) == 0


@contextmanager
def stranger(port: int) -> Iterator[None]:
    """A server that answers everything with 200, unless the port is another program's already."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ExitStack() as stack:
        with suppress(OSError):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", port), Answer))
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        yield


def listens(run: RunningUp, program: str, url: str) -> bool:
    """Whether the process of that name is the one behind an address."""
    (pid,) = run.pids(program)
    own = psutil.Process(pid).net_connections("inet")
    return urlsplit(url).port in {one.laddr.port for one in own if one.status == psutil.CONN_LISTEN}


def headrace_status(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HEADRACE, "status"],
        cwd=folder,
        env=_without_ours(),
        capture_output=True,
        text=True,
        timeout=patience(WITHIN_SECONDS),
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a parent's end")
def test_killed_up_leaves_no_process_and_the_next_one_starts(tmp_path: Path) -> None:
    with up(tmp_path, "--ephemeral") as run:
        assert ended_by(run, signal.SIGKILL) == -signal.SIGKILL
        eventually(lambda: not run.alive(), "every process has ended", run)
    with up(tmp_path, "--ephemeral") as run:
        assert all(psutil.pid_exists(pid) for pid in run.pids("api"))
        assert ended_by(run, signal.SIGTERM) == 0


def test_second_ctrl_c_ends_everything_at_once(tmp_path: Path) -> None:
    with up(tmp_path, "--ephemeral") as run:
        (router,) = run.pids("router")
        os.kill(router, signal.SIGSTOP)  # the orderly end waits for it
        run.child.send_signal(signal.SIGINT)
        eventually(lambda: "Ending the platform." in run.told, "the first is heard", run)
        assert ended_by(run, signal.SIGINT) == 128 + signal.SIGINT
        eventually(lambda: not run.alive(), "every process has ended", run)
        assert "Ended; no process is left." not in run.told, "it was not the orderly end"
        assert not run.stack_file.exists()


def test_verbose_shows_each_process_by_name(tmp_path: Path) -> None:
    with up(tmp_path, "--ephemeral", "-v") as run:
        firsts = {line.split()[0] for line in run.told.splitlines() if line.strip()}
        assert firsts >= {"router", "loader", "logger"}, run.told
        assert ended_by(run, signal.SIGTERM) == 0


def test_busy_port_is_told_in_three_lines_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = subprocess.run(
            [HEADRACE, "up", "--ephemeral", "--api-port", port],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=patience(WITHIN_SECONDS),
            check=False,
        )
    lines = done.stderr.splitlines()
    assert done.returncode == 2, done
    assert [line.split(":")[0] for line in lines] == ["error", "where", "to do"]
    assert port in lines[0]
    assert not (tmp_path / ".headrace" / "stack.json").exists()


def test_second_platform_in_one_folder_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with up(tmp_path, "--ephemeral") as run:
        done = subprocess.run(
            [HEADRACE, "up"],
            cwd=tmp_path,
            capture_output=True,
            timeout=patience(WITHIN_SECONDS),
            check=False,
        )
        assert done.returncode == 2
        assert b"already running" in done.stderr
        assert run.stack_file.exists()
        assert ended_by(run, signal.SIGINT) == 0

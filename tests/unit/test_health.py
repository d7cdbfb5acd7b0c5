"""The health command of containers, as the process that it is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import headrace_shared

SHARED = Path(headrace_shared.__file__).parents[1]
PROXIES = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}


class Answering(BaseHTTPRequestHandler):
    """Answers with the status that is the path."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/") or 200))
        self.send_header("Location", "/200")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def health(*arguments: object) -> tuple[int, str]:
    """Its exit status and what it says; -S: with nothing but the standard library."""
    ended = subprocess.run(
        [sys.executable, "-S", "-m", "headrace_shared.health", *map(str, arguments)],
        env={"PYTHONPATH": str(SHARED), "PATH": os.environ["PATH"], **PROXIES},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


def test_file_touched_just_now_is_healthy(tmp_path: Path) -> None:
    (tmp_path / "alive").touch()
    assert health("file", tmp_path / "alive", "--seconds", 60) == (0, "")


def test_file_untouched_for_long_is_not(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    path.touch()
    os.utime(path, (time.time() - 100, time.time() - 100))
    status, said = health("file", path, "--seconds", 60)
    assert status == 1
    assert said.startswith(f"{path} was touched 10")
    assert said.endswith("which is more than 60 s.\n")


def test_missing_file_is_not_healthy(tmp_path: Path) -> None:
    status, said = health("file", tmp_path / "none", "--seconds", 60)
    assert (status, said) == (
        1,
        f"{tmp_path / 'none'} cannot be looked at: No such file or directory.\n",
    )


@pytest.mark.parametrize("path", ["", "/", "/204"])
def test_good_answer_is_healthy(address: str, path: str) -> None:
    assert health("http", address + path) == (0, "")


@pytest.mark.parametrize("status", [302, 404, 503])
def test_other_answer_is_not(address: str, status: int) -> None:
    url = f"{address}/{status}"
    assert health("http", url) == (1, f"{url} answers {status}.\n")


def test_no_answer_in_time_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        status, said = health("http", url, "--timeout", 0.2)
    assert (status, said) == (1, f"{url} does not answer: TimeoutError timed out.\n")


def test_nobody_listening_is_not_healthy() -> None:
    status, said = health("http", "http://127.0.0.1:9/")
    assert status == 1
    assert said.startswith("http://127.0.0.1:9/ does not answer: ConnectionRefusedError")
    assert said.count("\n") == 1


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "ftp://127.0.0.1/", "http://"])
def test_other_urls_are_refused(url: str) -> None:
    assert health("http", url)[0] == 2

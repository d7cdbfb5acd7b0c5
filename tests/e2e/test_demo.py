"""`headrace demo` as a new user meets it: real processes, from the first line to the last."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

import psutil
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

MARKER = "DEMO_TEST_MARKER"
END_SECONDS = 60
HEADRACE = str(Path(sys.executable).with_name("headrace"))


@pytest.fixture
def environment() -> Iterator[Mapping[str, str]]:
    """With a mark that every process of the demo inherits."""
    mark = uuid4().hex
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    yield {**kept, MARKER: mark, "PYTHONUNBUFFERED": "1"}
    for process in left_behind(mark):
        process.kill()


@contextmanager
def demo(folder: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [HEADRACE, "demo"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


@contextmanager
def demo_on_a_terminal(folder: Path, environment: Mapping[str, str]) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [HEADRACE, "demo"],
        cwd=folder,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=_take_terminal,  # noqa: PLW1509 - no thread of this test holds a lock
    )
    os.close(theirs)
    try:
        yield Terminal(ours, child)
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def _take_terminal() -> None:
    """Makes standard input the controlling terminal, so that Ctrl-C typed there is a signal."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@dataclass
class Terminal:
    descriptor: int
    child: subprocess.Popen[bytes]

    def read_until(self, text: str, *, within_seconds: float = END_SECONDS) -> str:
        seen = b""
        deadline = time.monotonic() + within_seconds
        while text.encode() not in seen:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.descriptor], [], [], left)[0]:
                pytest.fail(f"the demo did not say {text!r}:\n{seen.decode()}", pytrace=False)
            try:
                seen += os.read(self.descriptor, 65_536)
            except OSError:  # how Linux tells that nobody holds the other end any more
                pytest.fail(f"the demo ended before {text!r}:\n{seen.decode()}", pytrace=False)
        return seen.decode()

    def type(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)


def left_behind(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_demo_on_a_terminal_stays_up_until_ctrl_c(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    with demo_on_a_terminal(tmp_path, environment) as terminal:
        told = terminal.read_until("stays up")
        stack = json.loads((tmp_path / ".headrace" / "stack.json").read_text())
        with urllib.request.urlopen(f"{stack['api_url']}/readyz", timeout=10) as answer:
            assert answer.status == 200
        assert stack["api_url"] in told
        assert "\x1b[32mloaded" in told
        terminal.type(b"\x03")
        terminal.read_until("no process is left behind")
        assert terminal.child.wait(timeout=END_SECONDS) == 0
    assert not left_behind(environment[MARKER])


def read_until(output: IO[str] | None, text: str) -> str:
    assert output is not None
    seen = ""
    for line in output:
        seen += line
        if text in line:
            return seen
    pytest.fail(f"the demo ended before it said {text!r}:\n{seen}", pytrace=False)


def test_demo_shows_the_whole_road_and_leaves_nothing_behind(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    with demo(tmp_path, environment) as child:
        told, _ = child.communicate(timeout=120)
    assert child.returncode == 0, told
    assert re.search(
        r"^loaded +nyc/append/flights/flights\.csv +336,776 rows .* MB/s", told, re.MULTILINE
    )
    assert re.search(r"^loaded +nyc/truncate/airlines/\S+ +16 rows", told, re.MULTILINE)
    assert re.search(
        r"^rejected +nyc/append/airports/airports_with_mistakes\.csv", told, re.MULTILINE
    )
    assert re.search(r"^ +3 +lat +forty +\S", told, re.MULTILINE)
    assert re.search(
        r"^waiting +(nyc/append/holidays/holidays\.csv) .*^loaded +\1 +10 rows",
        told,
        re.MULTILINE | re.DOTALL,
    )
    assert re.search(r"^rejected +my holidays/", told, re.MULTILINE)
    assert "United Airlines" in told
    assert '"landed_timestamp"' in told
    assert "/docs" in told
    assert "postgresql://" in told
    assert "\x1b" not in told
    assert not left_behind(environment[MARKER])
    assert not (tmp_path / ".headrace" / "stack.json").exists()


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("Headrace demo", signal.SIGTERM),
        ("2. The data", signal.SIGINT),
    ],
    ids=["while-starting", "while-loading"],
)
def test_interrupted_demo_leaves_no_process(
    tmp_path: Path, environment: Mapping[str, str], moment: str, number: signal.Signals
) -> None:
    with demo(tmp_path, environment) as child:
        read_until(child.stdout, moment)
        child.send_signal(number)
        told, _ = child.communicate(timeout=END_SECONDS)
    assert child.returncode == 130, told
    assert "Traceback" not in told
    assert not left_behind(environment[MARKER])

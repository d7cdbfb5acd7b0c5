"""`headrace demo` as a new user meets it: real processes, from the first line to the last."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

import psutil
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

MARKER = "DEMO_TEST_MARKER"
END_SECONDS = 60


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
        [str(Path(sys.executable).with_name("headrace")), "demo"],
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


def left_behind(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


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
        ("Headrace demo", signal.SIGINT),
        ("2. The data", signal.SIGINT),
        ("A file for a table without a contract", signal.SIGTERM),
    ],
    ids=["while-starting", "while-loading", "while-waiting"],
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

"""Copies of the checkout, in which mutants live: the checkout itself is never changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.layout import distributions
from tools.mutants.plugin import RESULTS, STARTED_BY, WANTED

_PREFIX: Final = "headrace-mutants-"
_RESULTS: Final = ".results"
_WANTED: Final = ".wanted"
_PYTEST: Final = ("pytest", "-q", "-p", "tools.mutants.plugin", "-p", "no:cacheprovider")
_NO_TESTS: Final = 5
"""pytest's exit status where nothing was collected."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a run of tests ended; `failed` names the tests that did not pass.

    `is_green`: every test passed, in time.
    """

    is_green: bool
    in_time: bool
    failed: tuple[str, ...]
    seconds: dict[str, float]
    output: str


@dataclass(frozen=True)
class Workspace:
    """One copy of the checkout."""

    root: Path

    def read(self, module: str) -> bytes:
        """The text of a module."""
        return (self.root / module).read_bytes()

    @contextmanager
    def changed(self, module: str, text: bytes) -> Iterator[None]:
        """Has another text in place of a module's own."""
        path = self.root / module
        own = path.read_bytes()
        path.write_bytes(text)
        try:
            yield
        finally:
            path.write_bytes(own)

    def run(self, tests: Sequence[str], *options: str, seconds: float | None = None) -> Run:
        """Runs tests by their names and in this order, on this copy alone."""
        (self.root / _WANTED).write_text("\n".join(tests))
        files = sorted({test.partition("::")[0] for test in tests})
        return self._pytest("-m", *_PYTEST, *options, *files, seconds=seconds)

    def measure(self, *options: str) -> Run:
        """Runs tests while coverage.py notes in `.coverage` which lines each one executes."""
        (self.root / _WANTED).unlink(missing_ok=True)
        return self._pytest("-m", "coverage", "run", "-m", *_PYTEST, *options, seconds=None)

    def _pytest(self, *arguments: str, seconds: float | None) -> Run:
        results = self.root / _RESULTS
        results.write_text("")
        returncode, output = self._python(*arguments, seconds=seconds)
        ends = [json.loads(line) for line in results.read_text().splitlines()]
        return Run(
            returncode in (0, _NO_TESTS),
            returncode is not None and all(one["in_time"] for one in ends),
            tuple(one["test"] for one in ends if not one["passed"]),
            {one["test"]: one["seconds"] for one in ends if one["passed"]},
            output,
        )

    def _python(self, *arguments: str, seconds: float | None) -> tuple[int | None, str]:
        """The exit status, None where the time was over, and what was printed."""
        with subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, *arguments],
            cwd=self.root,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as child:
            try:
                output, _ = child.communicate(timeout=seconds)
            except BaseException as error:
                _end(child)
                if isinstance(error, subprocess.TimeoutExpired):
                    return None, ""
                raise
        return child.returncode, output

    def _environment(self) -> dict[str, str]:
        packages = [str(self.root), *(str(one.folder) for one in distributions(self.root))]
        return os.environ | {
            "PYTHONPATH": os.pathsep.join(packages),
            "PYTHONDONTWRITEBYTECODE": "1",
            RESULTS: str(self.root / _RESULTS),
            WANTED: str(self.root / _WANTED),
            STARTED_BY: str(os.getpid()),
        }


@contextmanager
def workspace(checkout: Path) -> Iterator[Workspace]:
    """A copy of what git knows of the checkout, for the time of the block."""
    _remove_left_over()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as name:
        for path in _files(checkout):
            target = Path(name, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / path, target)
        yield Workspace(Path(name).resolve())


def _files(checkout: Path) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for path in listed.split("\0") if path and (checkout / path).is_file()]


def _remove_left_over() -> None:
    """What a run has left that was killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        started_by = path.name.removeprefix(_PREFIX).partition("-")[0]
        if started_by.isdecimal() and not _is_running(int(started_by)):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _end(child: subprocess.Popen[str]) -> None:
    """The tests may stop what they have started; what is left of them then is killed."""
    os.killpg(child.pid, signal.SIGINT)
    try:
        child.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()

"""For pytest in a run of mutants: notes what each test executes, and how it ended.

The file that `HEADRACE_MUTANTS_RESULTS` names gets one JSON line for each test. Where the file
that `HEADRACE_MUTANTS_WANTED` names is there, the tests in it are run, in its order.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import coverage
import pytest
from hypothesis import Phase, settings

RESULTS: Final = "HEADRACE_MUTANTS_RESULTS"
WANTED: Final = "HEADRACE_MUTANTS_WANTED"
STARTED_BY: Final = "HEADRACE_MUTANTS_PARENT"

_durations: Final[dict[str, float]] = {}
_failed: Final[dict[str, bool]] = {}
"""The tests that failed: whether it was for their time."""

_TIME_IS_OVER: Final = "Failed: Timeout"


def pytest_configure() -> None:
    """Properties neither remember examples nor search for the smallest: one failure is enough.

    A process that a shell has put into the background ignores SIGINT, and so do its children.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile(
        "mutants", phases=[Phase.explicit, Phase.generate], database=None, deadline=None
    )
    settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves the tests that are wanted."""
    path = Path(os.environ[WANTED])
    if path.exists():
        places = {name: place for place, name in enumerate(path.read_text().splitlines())}
        items[:] = sorted(
            (item for item in items if item.nodeid in places), key=lambda item: places[item.nodeid]
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """While a test runs, the lines that are executed are its own."""
    if os.environ.get(STARTED_BY) not in (None, str(os.getppid())):
        pytest.exit("the run of mutants has ended", returncode=3)
    measured = coverage.Coverage.current()
    if measured is not None:
        measured.switch_context(item.nodeid)
    result = yield
    if measured is not None:
        measured.switch_context("")
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes a test's end down."""
    name = report.nodeid
    _durations[name] = _durations.get(name, 0.0) + report.duration
    if report.outcome != "passed":
        _failed[name] = _TIME_IS_OVER in report.longreprtext
    if report.when == "teardown":
        line = {
            "test": name,
            "passed": name not in _failed,
            "in_time": not _failed.get(name, False),
            "seconds": _durations[name],
        }
        with Path(os.environ[RESULTS]).open("a") as file:
            file.write(json.dumps(line) + "\n")

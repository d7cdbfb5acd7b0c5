"""A log line tells what happened, and shows nothing that a log must not hold."""

from __future__ import annotations

import subprocess
import sys

import pytest

BUG = """
from headrace_shared.logging import configure, get_logger
from headrace_shared.settings import ServiceSettings

configure("loader", ServiceSettings(log_format="{log_format}"))

def connect(password):
    raise RuntimeError("a bug")

try:
    connect("hunter" + str(2))
except RuntimeError as error:
    get_logger("headrace_shared").error("message.failed", exc_info=error)
"""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_traceback_does_not_show_the_values_of_variables(log_format: str) -> None:
    # What it sets up is of the whole process, so it gets one.
    ended = subprocess.run(
        [sys.executable, "-c", BUG.format(log_format=log_format)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "a bug" in ended.stdout
    assert "connect" in ended.stdout
    assert "hunter2" not in ended.stdout

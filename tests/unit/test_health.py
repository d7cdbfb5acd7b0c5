"""The health command of containers, as the process that it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import headrace_shared

SHARED = Path(headrace_shared.__file__).parents[1]


def health(*arguments: object) -> tuple[int, str]:
    """Its exit status and what it says; -S: with nothing but the standard library."""
    ended = subprocess.run(
        [sys.executable, "-S", "-m", "headrace_shared.health", *map(str, arguments)],
        env={"PYTHONPATH": str(SHARED), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


def test_file_touched_just_now_is_healthy(tmp_path: Path) -> None:
    (tmp_path / "alive").touch()
    assert health(tmp_path / "alive", "--seconds", 60) == (0, "")


def test_file_untouched_for_long_is_not(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    path.touch()
    os.utime(path, (time.time() - 100, time.time() - 100))
    status, said = health(path, "--seconds", 60)
    assert status == 1
    assert said.startswith(f"{path} was touched 10")
    assert said.endswith("which is more than 60 s.\n")


def test_missing_file_is_not_healthy(tmp_path: Path) -> None:
    status, said = health(tmp_path / "none", "--seconds", 60)
    assert (status, said) == (
        1,
        f"{tmp_path / 'none'} cannot be looked at: No such file or directory.\n",
    )

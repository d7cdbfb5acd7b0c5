"""A whole run of mutants, on a small checkout: what it sees, and what it leaves behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.house import ROOT
from tools.mutants.measuring import measured
from tools.mutants.sample import mutants_of
from tools.mutants.trying import Fate, Trial
from tools.mutants.workspace import Workspace, workspace

pytestmark = pytest.mark.integration

MODULE = "shared/headrace_shared/m.py"
CODE = """\
def larger(a):
    while a < 3:
        a += 1
    return a


def never():
    return 1 + 1


def unseen(a):
    return a + 0
"""
UNIT = """\
from headrace_shared.m import larger, unseen


def test_larger():
    assert larger(1) == 3


def test_unseen():
    unseen(1)


def test_failing():
    assert not larger(1)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("*.pyc"))
    for path, text in {
        MODULE: CODE,
        "shared/headrace_shared/__init__.py": "",
        "tests/unit/test_m.py": UNIT,
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = ['--import-mode=importlib']\n",
        ".gitignore": "ignored\n",
        "ignored": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.fixture
def copy(checkout: Path) -> Iterator[Workspace]:
    with workspace(checkout) as made:
        yield made


def a_trial(copy: Workspace, cache: Path) -> tuple[Trial, list[str]]:
    reached, failing = measured(copy, [MODULE], ["tests/unit"], cache)
    return Trial(copy, {MODULE: CODE.encode()}, reached, 10, seed=1), [*failing]


@pytest.mark.timeout(300)
def test_mutants_are_killed_by_the_tests_that_execute_them(copy: Workspace, tmp_path: Path) -> None:
    trial, failing = a_trial(copy, tmp_path / "cache")
    assert failing == ["tests/unit/test_m.py::test_failing"]
    fates = {
        one.after: trial.fate(one).fate
        for one in mutants_of(MODULE, CODE.encode())
        if one.after in ("while a <= 3:", "pass", "return 1 - 1", "return a - 0")
    }
    assert fates == {
        "while a <= 3:": Fate.UNIT,
        "pass": Fate.TIME,
        "return 1 - 1": Fate.UNREACHED,
        "return a - 0": Fate.SURVIVED,
    }
    assert copy.read(MODULE) == CODE.encode()
    assert trial.fallen(["tests/unit/test_m.py::test_larger"]) == frozenset()


def test_only_files_of_tests_that_changed_are_measured_again(
    copy: Workspace, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    a_trial(copy, cache)
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("*.json")}
    (copy.root / "tests/unit/test_n.py").write_text("def test_n(): pass\n")
    trial, _ = a_trial(copy, cache)
    assert "tests/unit/test_n.py::test_n" in trial.reached.seconds
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len([*cache.rglob("*.json")]) == len(kept) + 1


def test_checkout_is_never_changed_and_nothing_is_left(checkout: Path) -> None:
    before = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()}
    with workspace(checkout) as copy, copy.changed(MODULE, b"raise SystemExit(1)\n"):
        assert not (copy.root / "ignored").exists()
        assert not copy.run(["tests/unit/test_m.py::test_larger"]).is_green
    assert not copy.root.exists()
    assert {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()} == before


def test_what_a_killed_run_has_left_is_removed_by_the_next_one(checkout: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    folder = Path(tempfile.gettempdir())
    left, at_work = (folder / f"headrace-mutants-{pid}-x" for pid in (ended.pid, os.getpid()))
    for path in (left, at_work):
        path.mkdir()
    try:
        with workspace(checkout):
            assert (left.exists(), at_work.exists()) == (False, True)
    finally:
        at_work.rmdir()

"""The run that shows which test executes which line; kept for each file of tests until it changes.

A change of a module, or of what the tests share, makes all of it anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from coverage import Coverage, CoverageData

from tools.mutants.reached import Reached
from tools.mutants.workspace import Run, Workspace

TESTS: Final = ("tests/unit", "tests/integration", "tests/model")
_OF_PROCESSES: Final = (
    "test_api_client",
    "test_api_process",
    "test_local_platform",
    "test_local_provision",
    "test_local_supervisor",
    "test_rotation",
    "test_rows_streaming",
    "test_warehouse_suits",
)
"""Tests whose work is done in processes of their own, where no line is seen."""

_SETTINGS: Final = "[run]\ndata_file = .coverage\nsource = shared, services\n"


def measured(
    copy: Workspace, modules: Sequence[str], tests: Sequence[str], cache: Path
) -> tuple[Reached, Sequence[str]]:
    """What each test executes of the modules, and the tests that fail as they are."""
    folder = cache / _shared_key(copy.root)
    for old in cache.glob("*"):
        if old != folder:
            shutil.rmtree(old)
    folder.mkdir(parents=True, exist_ok=True)
    kept = {file: folder / f"{_hash([copy.root / file])}.json" for file in _files(copy, tests)}
    missing = [file for file, path in kept.items() if not path.exists()]
    if missing:
        for file, found in _measure(copy, modules, missing).items():
            kept[file].write_text(json.dumps(found))
    return _joined([json.loads(path.read_text()) for path in kept.values()])


def _files(copy: Workspace, tests: Sequence[str]) -> list[str]:
    """The files of tests, as paths from the root."""
    found: list[Path] = []
    for one in tests:
        path = copy.root / one
        found += [path] if path.is_file() else sorted(path.rglob("test_*.py"))
    return [
        path.relative_to(copy.root).as_posix() for path in found if path.stem not in _OF_PROCESSES
    ]


def _measure(
    copy: Workspace, modules: Sequence[str], files: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """For each file: its tests' times, those that failed, and who executes which line."""
    (copy.root / ".coveragerc").write_text(_SETTINGS)
    run = copy.measure("-p", "no:randomly", *files)
    if not run.seconds:
        raise RuntimeError(f"no test passes, unchanged:\n{run.output}")
    data = Coverage(str(copy.root / ".coverage"), config_file=False).get_data()
    data.read()
    lines = {module: _lines(data, copy.root / module) for module in modules}
    return {file: _of_file(file, run, lines) for file in files}


def _of_file(file: str, run: Run, lines: dict[str, dict[int, list[str]]]) -> dict[str, Any]:
    prefix = f"{file}::"
    return {
        "seconds": {test: time for test, time in run.seconds.items() if test.startswith(prefix)},
        "failed": [test for test in run.failed if test.startswith(prefix)],
        "lines": {
            module: {
                line: own
                for line, tests in found.items()
                if (own := [test for test in tests if test.startswith(prefix)])
            }
            for module, found in lines.items()
        },
    }


def _lines(data: CoverageData, path: Path) -> dict[int, list[str]]:
    return {line: [*tests] for line, tests in data.contexts_by_lineno(str(path)).items()}


def _joined(parts: Iterable[dict[str, Any]]) -> tuple[Reached, Sequence[str]]:
    lines: defaultdict[str, defaultdict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    seconds: dict[str, float] = {}
    failed: list[str] = []
    for part in parts:
        seconds |= part["seconds"]
        failed += part["failed"]
        for module, found in part["lines"].items():
            for line, tests in found.items():
                lines[module][int(line)] |= {*tests}
    return Reached(lines, seconds), failed


def _shared_key(root: Path) -> str:
    modules = [
        path for folder in ("shared", "services", "local") for path in _python(root / folder)
    ]
    support = [path for path in _python(root / "tests") if not path.name.startswith("test_")]
    return _hash([*modules, *support])


def _python(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob("*.py"))


def _hash(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]

"""A contract inferred from files, tried on these files before it is printed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer
from rich.text import Text

from headrace_local import console
from headrace_local.dry_runs import DryRun, dry_runs
from headrace_local.errors import PlatformError, UserError
from headrace_local.local_copy import local_copy
from headrace_shared.reasons import BadRow

_OF_TYPES: Final = frozenset({"type", "range", "too_long", "lossy"})
"""The faults that a text column would not have."""

_MOST_FAULTS_SHOWN: Final = 5


@dataclass(frozen=True)
class _Answer:
    document: dict[str, Any]
    unsure: list[str]


def infer(files: Sequence[str], *, tight: bool) -> None:
    """Prints the contract that the files suggest to the standard output, and what is not sure to
    the standard error.

    Raises:
        UserError: none can be inferred.
        typer.Exit: with 1, a row of the files does not fit the contract.
    """
    with ExitStack() as stack:
        paths = [stack.enter_context(local_copy(one)) for one in files]
        answer = _asked(paths, files, tight=tight)
        answer, misfits = _tried(answer, paths, files)
    console.out().print(
        Text(json.dumps(answer.document, indent=2, ensure_ascii=False)), soft_wrap=True
    )
    for doubt in answer.unsure:
        console.err().print(Text(f"unsure: {doubt}"), soft_wrap=True)
    for misfit in misfits:
        console.err().print(Text(f"does not fit: {misfit}"), soft_wrap=True)
    if misfits:
        raise typer.Exit(1)


def _asked(paths: Sequence[Path], names: Sequence[str], *, tight: bool) -> _Answer:
    named = [part for path, name in zip(paths, names, strict=True) for part in (str(path), name)]
    options = ["--tight"] if tight else []
    done = subprocess.run(
        [sys.executable, "-m", "headrace_loader.inference", *options, *named],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        words = done.stderr.strip()[-500:]
        raise PlatformError("The inference ended without an answer.", " ".join(names), words)
    answer = json.loads(done.stdout)
    if "document" not in answer:
        raise UserError(answer["what"], " ".join(names), answer["remedy"])
    return _Answer(answer["document"], answer["unsure"])


def _tried(
    answer: _Answer, paths: Sequence[Path], names: Sequence[str]
) -> tuple[_Answer, list[str]]:
    """The answer with text in place of types that values of the files do not have; and what does
    not fit all the same."""
    found = dry_runs(answer.document, paths)
    wrong = {fault.column: fault for one in found for fault in one.faults if _is_of_type(fault)}
    if wrong:
        document = _with_text(answer.document, wrong)
        doubts = [f"{name}: text, because of a value: {one.reason}" for name, one in wrong.items()]
        answer = _Answer(document, [*answer.unsure, *doubts])
        found = dry_runs(document, paths)
    return answer, [
        misfit for one, name in zip(found, names, strict=True) for misfit in _misfits(one, name)
    ]


def _is_of_type(fault: BadRow) -> bool:
    return fault.column is not None and fault.code in _OF_TYPES


def _with_text(document: dict[str, Any], wrong: dict[str | None, BadRow]) -> dict[str, Any]:
    columns = [
        {key: part for key, part in one.items() if key != "formats"} | {"type": "text"}
        if one["name"] in wrong
        else one
        for one in document["columns"]
    ]
    key = [name for name in document.get("primary_key", []) if name not in wrong]
    others = {name: part for name, part in document.items() if name != "primary_key"}
    return {**others, **({"primary_key": key} if key else {}), "columns": columns}


def _misfits(found: DryRun, name: str) -> Iterator[str]:
    if found.reason is not None and not found.faults:
        yield f"{name}: {found.reason.message}"
    for fault in found.faults[:_MOST_FAULTS_SHOWN]:
        line = f"line {fault.line}" if fault.line is not None else f"record {fault.record}"
        column = f", column {fault.column}" if fault.column else ""
        yield f"{name}: {line}{column}: {fault.reason}"
    if len(found.faults) > _MOST_FAULTS_SHOWN:
        yield f"{name}: {found.bad_rows} rows in all; `headrace check` shows each"

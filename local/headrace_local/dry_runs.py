"""Dry runs of the loader on this machine: a contract and a file, in a warehouse of their own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace_local.errors import PlatformError
from headrace_local.scratch_warehouse import scratch_warehouse
from headrace_shared.reasons import BadRow, LoadWarning, Reason, TestResult


@dataclass(frozen=True)
class DryRun:
    """What would become of a file.

    Args:
        rows, bad_rows: how many rows are good and bad.
        reason: why the drop would be rejected; None if it would be loaded.
        faults: of the bad rows, each with its place; the first 10,000.
        not_run: the tests of the contract that look at other tables.
    """

    rows: int
    bad_rows: int
    reason: Reason | None
    faults: Sequence[BadRow]
    warnings: Sequence[LoadWarning]
    tests: Sequence[TestResult]
    not_run: Sequence[str]


def dry_runs(contract: Mapping[str, Any], paths: Sequence[Path]) -> list[DryRun]:
    """Loads files under a contract, as the loader would, each alone, where nothing of them stays.

    Args:
        contract: its document, a valid one.
        paths: their names are those that the files have in the lake.

    Raises:
        PlatformError: Postgres or the loader cannot be run here.
    """
    return asyncio.run(_dry_runs(contract, paths))


async def _dry_runs(contract: Mapping[str, Any], paths: Sequence[Path]) -> list[DryRun]:
    async with scratch_warehouse() as dsn:
        return [
            await _dry_run(dsn, contract, path, f"file_{number}")
            for number, path in enumerate(paths, 1)
        ]


async def _dry_run(dsn: str, contract: Mapping[str, Any], path: Path, table: str) -> DryRun:
    asked = {"dsn": dsn, "contract": contract, "path": str(path), "table": table}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "headrace_loader.dry_run",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        out, err = await process.communicate(json.dumps(asked).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        words = err.decode(errors="replace").strip()[-500:]
        raise PlatformError("The dry run ended without an answer.", str(path), words)
    return _read(json.loads(out))


def _read(answer: Mapping[str, Any]) -> DryRun:
    reason = answer["reason"]
    return DryRun(
        rows=answer["rows"],
        bad_rows=answer["bad_rows"],
        reason=Reason.model_validate(reason) if reason else None,
        faults=[BadRow.model_validate(one) for one in answer["faults"]],
        warnings=[LoadWarning.model_validate(one) for one in answer["warnings"]],
        tests=[TestResult.model_validate(one) for one in answer["tests"]],
        not_run=answer["not_run"],
    )

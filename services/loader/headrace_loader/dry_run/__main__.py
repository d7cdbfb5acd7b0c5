"""A dry run as a process: `python -m headrace_loader.dry_run`, for the command `headrace check`.

It reads one JSON object from the standard input: `dsn`, `contract`, `path` and `table`; and writes
one to the standard output, the fields of `Checked`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Final

import structlog

from headrace_loader.dry_run.checking import Checked, check
from headrace_loader.sifting.batches import BadRecord
from headrace_shared.contract import read_contract
from headrace_shared.warehouse_access import WarehouseAccess

MOST_FAULTS_SHOWN: Final = 10_000


def main() -> int:
    """Answers the question on the standard input."""
    asked = json.load(sys.stdin)
    # The standard output is for the answer alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    contract = read_contract(json.dumps(asked["contract"]).encode())
    access = WarehouseAccess(asked["dsn"])
    found = asyncio.run(check(access, contract, Path(asked["path"]), asked["table"]))
    sys.stdout.write(json.dumps(_document(found)))
    return 0


def _document(found: Checked) -> dict[str, Any]:
    faults = (fault for one in found.bad for fault in _faults(one))
    return {
        "rows": found.rows,
        "bad_rows": len(found.bad),
        "reason": found.reason.model_dump(mode="json") if found.reason else None,
        "faults": list(islice(faults, MOST_FAULTS_SHOWN)),
        "warnings": [one.model_dump(mode="json") for one in found.warnings],
        "tests": [one.model_dump(mode="json") for one in found.tests],
        "not_run": list(found.not_run),
    }


def _faults(bad: BadRecord) -> list[dict[str, Any]]:
    record = bad.record
    place = {"record": record.number, "line": record.line, "byte_offset": record.byte_offset}
    return [{**place, **asdict(fault)} for fault in bad.faults]


if __name__ == "__main__":
    sys.exit(main())

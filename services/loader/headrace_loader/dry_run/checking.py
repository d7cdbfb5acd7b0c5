"""What would become of a file under a contract: the loader's own answer, in an empty warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from headrace_loader.dry_run.local_file import BadRowsInMemory, LocalLake
from headrace_loader.files import Files
from headrace_loader.loading import Loading
from headrace_loader.outcomes import Loaded, Outcome, Rejected
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.sifting.batches import BadRecord
from headrace_loader.sifting.verdict import Found, refusal
from headrace_shared.contract import Contract
from headrace_shared.data_tests import References
from headrace_shared.drop import Action, Drop, drop_id
from headrace_shared.reasons import LoadWarning, Reason, TestResult
from headrace_shared.warehouse_access import WarehouseAccess

DATABASE: Final = "dry_run"

_LANDED: Final = datetime(2026, 1, 1, tzinfo=UTC)
_MOST_BAD_ROWS: Final = 1_000_000
_LOCK_SECONDS: Final = 30


@dataclass(frozen=True)
class Checked:
    """What a dry run found.

    Args:
        rows: how many rows of the file are good.
        bad: the others, as far as they were found.
        reason: why the contract would reject the file; None if it would be loaded.
        not_run: the tests of the contract that look at other tables.
    """

    rows: int
    bad: Sequence[BadRecord]
    reason: Reason | None
    warnings: Sequence[LoadWarning]
    tests: Sequence[TestResult]
    not_run: Sequence[str]


async def check(access: WarehouseAccess, contract: Contract, file: Path, table: str) -> Checked:
    """Loads a file into the table of a contract.

    Args:
        access: an empty warehouse, of which nothing is kept.
        file: its name is the one that it has in the lake.
        table: a name that no file had before in this warehouse.

    Raises:
        TransientError: the warehouse does not answer.
    """
    with TemporaryDirectory(prefix="headrace-dry-run-") as folder:
        document = Path(folder) / "contract.json"
        document.write_bytes(_for_dry_run(contract).model_dump_json().encode())
        schema = _drop(table, Action.SCHEMA, 0, document)
        drop = _drop(table, Action.APPEND, 1, file)
        bad = BadRowsInMemory()
        files = Files(LocalLake({schema.drop_id: document, drop.drop_id: file}), bad)
        async with PostgresWarehouse.open(
            access, connections=4, lock_timeout_seconds=_LOCK_SECONDS
        ) as warehouse:
            loading = Loading(files, warehouse, contract_wait_seconds=0)
            applied = await loading.load(schema, attempt=1)
            outcome: Outcome = applied
            if not isinstance(applied, Rejected):
                outcome = await loading.load(drop, attempt=1)
    return _checked(outcome, contract, bad.rows)


def _for_dry_run(contract: Contract) -> Contract:
    """The contract, with room for every bad row, and without tests that need other tables."""
    changes: dict[str, Any] = {
        "allowed_operations": tuple(Action),
        "on_bad_rows": contract.on_bad_rows.model_copy(
            update={"mode": "quarantine", "max_rows": _MOST_BAD_ROWS, "max_ratio": None}
        ),
        "tests": tuple(test for test in contract.tests if not isinstance(test, References)),
    }
    return contract.model_copy(update=changes)


def _checked(outcome: Outcome, contract: Contract, bad: Sequence[BadRecord]) -> Checked:
    not_run = [test.label for test in contract.tests if isinstance(test, References)]
    if isinstance(outcome, Rejected):
        reason = outcome.reason
        return Checked(0, bad, reason, (), reason.tests, not_run)
    assert isinstance(outcome, Loaded), outcome
    structural = [one for one in bad if any(fault.code != "test" for fault in one.faults)]
    found = Found(outcome.rows, structural)
    refused = refusal(found, contract.on_bad_rows)
    return Checked(outcome.rows, bad, refused, outcome.warnings, outcome.aside.tests, not_run)


def _drop(table: str, action: Action, second: int, path: Path) -> Drop:
    key, etag = f"{DATABASE}/{action}/{table}/{path.name}", f"{second:032x}"
    landed = _LANDED + timedelta(seconds=second)
    ident = drop_id(
        landed_at=landed, sequencer=None, bucket="local", key=key, version_id=None, etag=etag
    )
    return Drop(
        drop_id=ident,
        bucket="local",
        key=key,
        etag=etag,
        size_bytes=path.stat().st_size,
        sequencer=None,
        landed_at=landed,
        db_name=DATABASE,
        action=action,
        table_name=table,
        file=path.name,
    )

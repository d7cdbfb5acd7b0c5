"""What failed tests do to a drop: it is rejected, or the rows that fail are quarantined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from headrace_loader.files import Rows
from headrace_loader.sifting.batches import BadRecord, Fault, by_number
from headrace_loader.sifting.verdict import Found, refusal, told
from headrace_loader.staging import Staging
from headrace_loader.test_outcomes import TestOutcome
from headrace_loader.transaction import LoadTransaction
from headrace_loader.whole_records import StagedRecord, records_at_fault
from headrace_shared.contract import Contract
from headrace_shared.data_tests import Severity
from headrace_shared.errors import PermanentError
from headrace_shared.logging import get_logger
from headrace_shared.reasons import Reason, TestResult

_log = get_logger(__name__)

_MOST_SAMPLES: Final = 3
"""Rows of a test that a fact tells, which has to stay small."""


async def tested(
    transaction: LoadTransaction, staging: Staging, contract: Contract, file: Rows, found: Found
) -> Found:
    """The rows that are left after the contract's tests.

    Raises:
        PermanentError: a test failed that rejects the drop.
    """
    if not contract.tests or refusal(found, contract.on_bad_rows) is not None:
        return found  # rejected for its bad rows, whatever the others are like
    outcomes = await transaction.run_tests(contract)
    results = tuple(map(_result, outcomes))
    errors = [one for one in outcomes if not one.passed and one.severity is Severity.ERROR]
    _log.info("tests.run", tests=len(outcomes), failed=sum(not one.passed for one in outcomes))
    if not errors:
        return replace(found, tests=results)
    failed = await _failed(staging, file, errors)
    if contract.hard_testing or any(one.failing_rows and not one.separable for one in errors):
        bad = by_number([*found.bad, *(one.bad for one in failed)])
        await file.refuse(bad)
        raise PermanentError(_reason(errors, bad, results))
    await staging.leave_out([line for one in failed for line in one.lines])
    rows = found.rows - sum(len(one.lines) for one in failed)
    return replace(found, rows=rows, failed=[one.bad for one in failed], tests=results)


async def _failed(
    staging: Staging, file: Rows, errors: Sequence[TestOutcome]
) -> list[StagedRecord]:
    """The records with rows that failed, with all the tests that they failed."""
    faults: dict[int, list[Fault]] = {}
    for one in errors:
        values = {row.line_number: row.values for row in one.sample}
        for line in one.line_numbers:
            faults.setdefault(line, []).append(_fault(one, values.get(line, ())))
    return await records_at_fault(staging, file, faults)


def _fault(outcome: TestOutcome, values: Sequence[str | None]) -> Fault:
    """What a row fails; `values`: of the test's columns, as far as they were asked for."""
    reason = f"fails the test {outcome.label}"
    if len(outcome.columns) != 1:
        return Fault("test", reason)
    return Fault("test", reason, outcome.columns[0], values[0] if values else None)


def _result(outcome: TestOutcome) -> TestResult:
    return TestResult(
        label=outcome.label,
        kind=outcome.kind,
        severity=str(outcome.severity),
        passed=outcome.passed,
        failing_rows=outcome.failing_rows,
        message=outcome.message,
        columns=outcome.columns,
        sample=tuple(one.values for one in outcome.sample[:_MOST_SAMPLES]),
    )


def _reason(
    errors: Sequence[TestOutcome], bad: Sequence[BadRecord], results: tuple[TestResult, ...]
) -> Reason:
    count = "A test of the contract" if len(errors) == 1 else f"{len(errors)} tests of the contract"
    others = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Reason(
        code="tests_failed",
        message=f"{count} failed: {errors[0].label}: {errors[0].message}{others}.",
        remedy="Nothing of the file is loaded. Correct the rows and upload the file again, or "
        "change the test in the contract and replay the drop; with `hard_testing: false` such rows "
        "go to the quarantine and the others are loaded.",
        bad_rows=told(bad),
        bad_row_count=len(bad),
        tests=results,
    )

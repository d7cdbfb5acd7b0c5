"""May so many bad rows be set aside, or is the whole drop to be rejected? Decided without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headrace_loader.outcomes import Aside
from headrace_loader.sifting.batches import BadRecord, by_number
from headrace_loader.sqlstate import shortened
from headrace_shared.contract import OnBadRows
from headrace_shared.reasons import BadRow, Reason, TestResult

MOST_BAD_ROWS_TOLD: Final = 10
"""In a fact, which has to stay small; all of them are in the quarantine."""

_MOST_RAW_TOLD: Final = 300


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds.

    Args:
        rows: how many are in the table, or in its staging.
        bad: records that are no rows of the table.
        complete: the file was read to its end.
        failed: rows that a data test has set aside.
        tests: how the tests ended.
    """

    rows: int
    bad: Sequence[BadRecord] = ()
    complete: bool = True
    failed: Sequence[BadRecord] = ()
    tests: tuple[TestResult, ...] = ()

    @property
    def aside(self) -> Aside:
        """What is in the quarantine when the other rows are loaded."""
        kept = by_number([*self.bad, *self.failed])
        return Aside(len(kept), told(kept), self.tests)


def refusal(found: Found, policy: OnBadRows) -> Reason | None:
    """Why the drop is rejected; None if its bad rows, if any, may be set aside."""
    if not found.bad and found.complete:
        return None
    count = f"{len(found.bad):,} bad row{'' if len(found.bad) == 1 else 's'}"
    count = count if found.complete else f"more than {len(found.bad) - 1:,} bad rows"
    if policy.mode == "reject":
        return _reason("bad_rows", f"The file has {count}", found)
    most = policy.max_rows
    if not found.complete and len(found.bad) <= most:
        return _reason("too_many_bad_rows", f"The file has {count}, too long to be kept", found)
    if not found.complete or len(found.bad) > most:
        told = f"The file has {count}; the contract has at most {most:,} set aside"
        return _reason("too_many_bad_rows", told, found)
    records = found.rows + len(found.bad)
    if policy.max_ratio is not None and len(found.bad) > policy.max_ratio * records:
        told = (
            f"The file has {count} among {records:,}; the contract has at most "
            f"{policy.max_ratio:.2%} set aside"
        )
        return _reason("too_many_bad_rows", told, found)
    return None


def told(bad: Sequence[BadRecord]) -> tuple[BadRow, ...]:
    """The first bad rows, as a fact tells them."""
    rows = (
        BadRow(
            record=one.record.number,
            line=one.record.line,
            byte_offset=one.record.byte_offset,
            column=fault.column,
            value=fault.value,
            code=fault.code,
            reason=fault.reason,
            raw=shortened(one.record.raw.decode(errors="replace"), _MOST_RAW_TOLD),
        )
        for one in bad
        for fault in one.faults
    )
    return tuple(row for row, _ in zip(rows, range(MOST_BAD_ROWS_TOLD), strict=False))


def _reason(code: str, message: str, found: Found) -> Reason:
    first = found.bad[0]
    fault = first.faults[0]
    place = f"record {first.record.number}"
    if first.record.line is not None:
        place = f"line {first.record.line}"
    place += f", column {fault.column}" if fault.column else ""
    return Reason(
        code=code,
        message=f"{message}; the first: {place}: {fault.reason}.",
        remedy="Nothing of the file is loaded. Mend the rows and upload the file again; "
        "`headrace quarantine` shows all that were found.",
        bad_rows=told(found.bad),
        bad_row_count=len(found.bad),
    )

"""May the good rows of a file be loaded without its bad ones? Decided without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headrace_loader.outcomes import Aside
from headrace_loader.sifting.batches import BadRecord, by_number
from headrace_loader.sqlstate import shortened
from headrace_shared.contract import OnBadRows
from headrace_shared.reasons import BadRow, LoadWarning, Reason, TestResult
from headrace_shared.text_encodings import marked

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
        failed: rows that fail a data test.
        tests: how the tests ended.
        warnings: what the user should look at.
    """

    rows: int
    bad: Sequence[BadRecord] = ()
    complete: bool = True
    failed: Sequence[BadRecord] = ()
    tests: tuple[TestResult, ...] = ()
    warnings: tuple[LoadWarning, ...] = ()

    @property
    def kept(self) -> list[BadRecord]:
        """The rows that go to the quarantine, in the order of the file."""
        return by_number([*self.bad, *self.failed])

    @property
    def aside(self) -> Aside:
        """What is in the quarantine when the other rows are loaded."""
        kept = self.kept
        return Aside(len(kept), told(kept), self.tests)


def refusal(found: Found, policy: OnBadRows) -> Reason | None:
    """Why the drop is rejected; None if its bad rows, if any, may be kept and the others loaded.

    A drop without one good row is rejected: a truncate or a replacement would otherwise remove
    good rows and load none.
    """
    return _too_many_bad(found, policy) or _none_good(found)


def _none_good(found: Found) -> Reason | None:
    kept = found.kept
    if found.rows or not kept:
        return None
    rows = "The only row of the file is" if len(kept) == 1 else f"All {len(kept):,} rows are"
    return _reason("no_good_rows", f"{rows} bad, so there is nothing to load", kept, found.tests)


def _too_many_bad(found: Found, policy: OnBadRows) -> Reason | None:
    if not found.bad and found.complete:
        return None
    count = f"{len(found.bad):,} bad row{'' if len(found.bad) == 1 else 's'}"
    count = count if found.complete else f"more than {len(found.bad) - 1:,} bad rows"
    if policy.mode == "reject":
        return _reason("bad_rows", f"The file has {count}", found.bad)
    most = policy.max_rows
    if not found.complete and len(found.bad) <= most:
        what = f"The file has {count}, too long to be kept"
        return _reason("too_many_bad_rows", what, found.bad)
    if not found.complete or len(found.bad) > most:
        what = f"The file has {count}; the contract allows at most {most:,}"
        return _reason("too_many_bad_rows", what, found.bad)
    records = found.rows + len(found.bad)
    if policy.max_ratio is not None and len(found.bad) > policy.max_ratio * records:
        what = (
            f"The file has {count} among {records:,}; the contract allows at most "
            f"{policy.max_ratio:.2%}"
        )
        return _reason("too_many_bad_rows", what, found.bad)
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
            raw=shortened(_readable(one.record.raw), _MOST_RAW_TOLD),
        )
        for one in bad
        for fault in one.faults
    )
    return tuple(row for row, _ in zip(rows, range(MOST_BAD_ROWS_TOLD), strict=False))


def _readable(raw: bytes) -> str:
    """A record with a replacement character for each byte that cannot be decoded."""
    return marked(raw).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _reason(
    code: str, message: str, bad: Sequence[BadRecord], tests: tuple[TestResult, ...] = ()
) -> Reason:
    first = bad[0]
    fault = first.faults[0]
    place = f"record {first.record.number}"
    if first.record.line is not None:
        place = f"line {first.record.line}"
    place += f", column {fault.column}" if fault.column else ""
    return Reason(
        code=code,
        message=f"{message}; the first: {place}: {fault.reason}.",
        remedy="Nothing of the file is loaded. Correct the rows and upload the file again; "
        "`headrace quarantine` shows all that were found.",
        bad_rows=told(bad),
        bad_row_count=len(bad),
        tests=tests,
    )

"""How a data test ended, in words that its user understands. Decided here, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headrace_loader.sqlstate import MAX_REASON_CHARACTERS, shortened
from headrace_shared.data_test_fields import Bounds, Counts
from headrace_shared.data_tests import (
    AcceptedValues,
    DataTest,
    Freshness,
    Length,
    Matches,
    NotNull,
    Range,
    References,
    RowCount,
    Severity,
    Unique,
)
from headrace_shared.drop import Drop

_MOST_VALUES_TOLD: Final = 10


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A row that failed.

    Args:
        line_number: as it is staged.
        values: as text and cut at a length, of the test's columns in their order.
    """

    line_number: int
    values: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """How one test ended.

    Args:
        label: the test's name, or what it does.
        failing_rows: how many; 0 also where the test is one of the whole drop, or could not run.
        message: what was seen, or why the test could not run.
        line_numbers: of failing rows as they are staged, in order, up to a limit.
        columns: those that the test names.
        sample: the first failing rows; none where the test names no columns.
    """

    label: str
    kind: str
    severity: Severity
    passed: bool
    failing_rows: int
    message: str
    line_numbers: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()
    sample: tuple[SampleRow, ...] = ()

    @property
    def separable(self) -> bool:
        """Whether the rows that fail are known one by one, and the others pass."""
        return self.passed or 0 < self.failing_rows == len(self.line_numbers)


def of_rows(
    test: DataTest, failing_rows: int, lines: Sequence[int], sample: Sequence[SampleRow]
) -> TestOutcome:
    """The end of a test of single rows."""
    if not failing_rows:
        return _outcome(test, passed=True, message="no row fails")
    counted = "1 row" if failing_rows == 1 else f"{failing_rows:,} rows"
    return TestOutcome(
        label=test.label,
        kind=test.kind,
        severity=test.severity,
        passed=False,
        failing_rows=failing_rows,
        message=shortened(f"{counted}: {_fault(test)}", MAX_REASON_CHARACTERS),
        line_numbers=tuple(lines),
        columns=test.columns,
        sample=tuple(sample),
    )


def of_drop(
    test: RowCount | Freshness, drop: Drop, measured: str | None, *, passed: bool
) -> TestOutcome:
    """The end of a test of the whole drop.

    Args:
        measured: the number of rows, or the greatest value; None where there is none.
    """
    if isinstance(test, RowCount):
        rows = int(measured or 0)
        told = "the drop has 1 row" if rows == 1 else f"the drop has {rows:,} rows"
        fault = f", not {_limits(test.row_count, 'at least', 'at most')}"
    else:
        column, within = test.freshness.column, test.freshness.within
        told = f"the newest {column} is {measured}" if measured else f"{column} has no value"
        landed = drop.landed_at.isoformat(sep=" ", timespec="seconds")
        fault = f", more than {within} before the drop landed ({landed})"
    return _outcome(test, passed=passed, message=told if passed else told + fault)


def not_run(test: DataTest, why: str, state: str = "") -> TestOutcome:
    """The outcome of a test that could not be run.

    Args:
        why: the end of a sentence, without values of any rows.
        state: the SQLSTATE, where Postgres refused it.
    """
    code = f" (SQLSTATE {state})" if state else ""
    message = shortened(f"could not be run{code}: {why}", MAX_REASON_CHARACTERS)
    return _outcome(test, passed=False, message=message)


def _outcome(test: DataTest, *, passed: bool, message: str) -> TestOutcome:
    return TestOutcome(
        label=test.label,
        kind=test.kind,
        severity=test.severity,
        passed=passed,
        failing_rows=0,
        message=message,
        columns=test.columns,
    )


def _fault(test: DataTest) -> str:
    columns = ", ".join(test.columns)
    match test:
        case NotNull():
            fault = "is null"
        case Unique():
            together = "are not unique together" if len(test.unique) > 1 else "is not unique"
            fault = f"{together} in the {test.within}"
        case AcceptedValues(accepted_values=wants):
            fault = f"is none of {_listed(wants.values)}"
        case Range(range=wants):
            fault = f"is {_limits(wants, 'below', 'above')}"
        case Length(length=wants):
            fault = f"has {_limits(wants, 'fewer than', 'more than')} characters"
        case Matches(matches=wants):
            fault = f"does not match {wants.pattern}"
        case References(references=wants):
            verb = "are" if len(wants.column) > 1 else "is"
            fault = f"{verb} not in {wants.table} ({', '.join(wants.to)})"
        case _:
            return f"selected by {test.label}"
    return f"{columns} {fault}"


def _limits(limits: Bounds | Counts, least: str, most: str) -> str:
    sides = ((least, limits.min), (most, limits.max))
    joined = " and " if least == "at least" else " or "
    return joined.join(f"{word} {limit}" for word, limit in sides if limit is not None)


def _listed(values: Sequence[float | str]) -> str:
    told = [
        str(value).lower() if isinstance(value, bool) else repr(value)
        for value in values[:_MOST_VALUES_TOLD]
    ]
    more = len(values) - _MOST_VALUES_TOLD
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")

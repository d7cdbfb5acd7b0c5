"""Why a drop did not load, in words that a user can act on."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class BadRow(BaseModel):
    """One place in a file that could not be loaded.

    Args:
        record: which of the file's records it is, counted from 1 without the header.
        line: the physical line in the unpacked file where the record begins, counted from 1 with
            the header as line 1; None for files that have no lines.
        byte_offset: the bytes of the unpacked file before it.
        column, value: None where the whole record is at fault (a missing field, say).
        code: the kind of fault, for programs.
        raw: the record as it stands in the file. It and `value` are cut at a limit, so that a
            fact stays small.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    record: int | None = None
    line: int | None = None
    byte_offset: int | None = None
    column: str | None = None
    value: str | None = None
    code: str | None = None
    reason: str
    raw: str | None = None


class TestResult(BaseModel):
    """How one data test of a contract ended.

    Args:
        label: the test's name, or what it does.
        severity: `error` or `warn`.
        failing_rows: how many; 0 also where the test is one of the whole drop, or could not run.
        message: a sentence for people.
        columns: those that the test names.
        sample: the values of these columns in the first failing rows, cut at a limit.
    """

    # Its name is no sign for pytest.
    __test__: ClassVar[bool] = False

    model_config = ConfigDict(frozen=True, extra="ignore")

    label: str
    kind: str
    severity: str
    passed: bool
    failing_rows: int = 0
    message: str = ""
    columns: tuple[str, ...] = ()
    sample: tuple[tuple[str | None, ...], ...] = ()


class LoadWarning(BaseModel):
    """What a user should look at although the drop was loaded.

    Args:
        code: stable, for programs.
        message: a sentence for people.
        columns: the first 100 of the contract's columns that it is about.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    message: str
    columns: tuple[str, ...] = ()


class Reason(BaseModel):
    """What was wrong, where, and what to do.

    `code` is stable and made for programs; `message` and `remedy` are sentences for people.
    `bad_rows` are the first of `bad_row_count` that were found.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    message: str
    remedy: str = ""
    bad_rows: tuple[BadRow, ...] = ()
    bad_row_count: int | None = None
    tests: tuple[TestResult, ...] = ()

"""What a Postgres error means for the drop: the one place that reads SQLSTATEs.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from headrace_shared.errors import HeadraceError, TransientError
from headrace_shared.reasons import BadRow

MAX_VALUE_CHARACTERS: Final = 120
MAX_REASON_CHARACTERS: Final = 200
"""Postgres repeats the whole value in its message, and a value may have a gigabyte."""

_BAD_ROW_CLASSES: Final = ("22", "23")
"""Data exceptions and broken constraints: the fault lies in the rows."""

_DDL_CLASSES: Final = ("0A", "22", "23", "2B", "42", "54")
"""Not supported, bad data, broken constraints, dependent objects, wrong names, limits."""

CHARACTER_NOT_IN_REPERTOIRE: Final = "22021"
"""Bytes that are not of the encoding, or a NUL."""

_COPY_PLACE: Final = re.compile(r"COPY \S+, line (?P<line>\d+)(?:, column (?P<column>[^:]+))?")
_COPY_VALUE: Final = re.compile(r", column [^:]+: \"(?P<value>.*)\"\Z", re.DOTALL)


class CopyRefusedError(HeadraceError):
    """COPY met a row that it cannot take; `first` is where, as far as Postgres tells."""

    def __init__(self, first: BadRow, sqlstate: str) -> None:
        super().__init__(f"line {first.line}: {first.reason}")
        self.first = first
        self.sqlstate = sqlstate


class DdlRefusedError(HeadraceError):
    """The table cannot take the shape that a contract asks for."""


@contextmanager
def ddl_errors() -> Iterator[None]:
    """Raises DdlRefusedError where the contract, or the rows that are there, are at fault."""
    try:
        yield
    except psycopg.Error as error:
        sqlstate = error.sqlstate or ""
        if sqlstate[:2] not in _DDL_CLASSES:
            raise
        raise DdlRefusedError(_told(error)) from error


@contextmanager
def warehouse_errors(what: str) -> Iterator[None]:
    """No driver error leaves the adapter: whatever is not known to be permanent is transient.

    Among the transient: lost connections (08, 57P), serialization failures and deadlocks (40),
    full disks and too many connections (53), lock time-outs (55P03), a read-only server (25006).
    The redrive limit catches what turns out not to be.
    """
    try:
        yield
    except psycopg.Error as error:
        raise TransientError(f"{what}: {_told(error)}") from error


@contextmanager
def copy_errors() -> Iterator[None]:
    """Raises CopyRefusedError where the rows are at fault; other errors pass through."""
    try:
        yield
    except psycopg.Error as error:
        sqlstate = error.sqlstate or ""
        if sqlstate[:2] not in _BAD_ROW_CLASSES:
            raise
        raise CopyRefusedError(first_bad_row(error), sqlstate) from error


def first_bad_row(error: psycopg.Error) -> BadRow:
    """The place that Postgres names in the error's context (`COPY t, line 3, column c: "x"`)."""
    diag = error.diag
    context = diag.context or ""
    place = _COPY_PLACE.search(context)
    value = _COPY_VALUE.search(context)
    return BadRow(
        line=int(place["line"]) if place else 0,
        column=(place["column"] if place else None) or diag.column_name,
        value=shortened(value["value"]) if value else None,
        reason=_told(error),
    )


def shortened(text: str, limit: int = MAX_VALUE_CHARACTERS) -> str:
    """A text short enough to travel in a fact, with the NULs that no database text can hold
    made visible."""
    plain = text[: limit + 1].replace("\0", "\\0")
    return plain if len(plain) <= limit else f"{plain[:limit]}..."


def _told(error: psycopg.Error) -> str:
    told = error.diag.message_primary or str(error) or type(error).__name__
    return shortened(told.strip(), MAX_REASON_CHARACTERS)

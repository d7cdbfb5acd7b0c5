"""What a Postgres error means for the drop: the one place that reads SQLSTATEs of errors; what
each means is in `sqlstates`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg_pool import PoolTimeout

from headrace_loader.sqlstates import Meaning, State, state_in_load, state_of
from headrace_shared.errors import AwayError, HeadraceError, PermanentError, TransientError
from headrace_shared.logging import get_logger
from headrace_shared.reasons import BadRow, Reason

_log = get_logger(__name__)

MAX_VALUE_CHARACTERS: Final = 120
MAX_REASON_CHARACTERS: Final = 200
"""Postgres repeats the whole value in its message, and a value may have a gigabyte."""

CHARACTER_NOT_IN_REPERTOIRE: Final = "22021"
"""Bytes that are not of the encoding, or a NUL."""

REFUSED_BY_TABLE: Final = "refused_by_table"
"""The code of rows and drops that break a rule of the table which is not in the contract."""

_NOT_NULL: Final = "23502"

_COPY_PLACE: Final = re.compile(r"COPY \S+, line (?P<line>\d+)(?:, column (?P<column>[^:]+))?")
_COPY_VALUE: Final = re.compile(r", column [^:]+: \"(?P<value>.*)\"\Z", re.DOTALL)

_THEN: Final = (
    "Headrace tries again by itself; what it has given up by then comes back with "
    "`headrace redrive loader`."
)

_OWN_SCHEMA: Final = "headrace"

_RULES: Final = {
    "23503": "breaks the foreign key {constraint} of {table}",
    "23505": "breaks the unique constraint {constraint} of {table}",
    "23514": "breaks the check constraint {constraint} of {table}",
    "23P01": "breaks the exclusion constraint {constraint} of {table}",
}


class CopyRefusedError(HeadraceError):
    """COPY met a row that it cannot take; `first` is where, as far as Postgres tells."""

    def __init__(self, first: BadRow, sqlstate: str) -> None:
        super().__init__(f"line {first.line}: {first.reason}")
        self.first = first
        self.sqlstate = sqlstate

    @property
    def is_of_a_value(self) -> bool:
        """Whether a reader of the file finds the fault: no rule of the table is broken."""
        return self.sqlstate.startswith("22") or self.sqlstate == _NOT_NULL


class TableRefusedError(PermanentError):
    """The table takes the drop, or rows of it, in no try, and no single row is known yet.

    Args:
        rows: rows of the drop may be at fault, so a search for them can help.
    """

    def __init__(self, reason: Reason, *, rows: bool) -> None:
        super().__init__(reason)
        self.rows = rows


class DdlRefusedError(HeadraceError):
    """The table cannot take the shape that a contract asks for."""


@contextmanager
def ddl_errors() -> Iterator[None]:
    """Raises DdlRefusedError where the contract, or the rows that are there, are at fault; other
    errors pass through."""
    try:
        yield
    except psycopg.Error as error:
        state = state_of(error.sqlstate)
        if state is None or state.in_ddl is not Meaning.CONTRACT:
            raise
        raise DdlRefusedError(_told(error)) from error


@contextmanager
def copy_errors() -> Iterator[None]:
    """Raises CopyRefusedError where the rows are at fault; other errors pass through."""
    try:
        yield
    except psycopg.Error as error:
        state = state_in_load(error.sqlstate, error.diag.source_function)
        if state is None or state.in_rows is not Meaning.ROWS:
            raise
        raise CopyRefusedError(first_bad_row(error), error.sqlstate or "") from error


@contextmanager
def load_errors(table: str) -> Iterator[None]:
    """Raises TableRefusedError where the table refuses the drop, whatever the number of tries,
    and TransientError for every other driver error.

    Args:
        table: as `db_name.table_name`.
    """
    try:
        yield
    except psycopg.Error as error:
        state = state_in_load(error.sqlstate, error.diag.source_function)
        # What breaks a rule of the ledger is no fault of the drop.
        own = error.diag.schema_name == _OWN_SCHEMA
        if state is None or own or state.in_rows not in (Meaning.ROWS, Meaning.TABLE):
            raise _transient(f"loading {table}", error) from error
        rows = state.in_rows is Meaning.ROWS
        raise TableRefusedError(_refusal(table, error, state), rows=rows) from error


@contextmanager
def warehouse_errors(what: str) -> Iterator[None]:
    """Raises TransientError for every driver error, with what an operator has to do about it, if
    anything; no driver error leaves the adapter."""
    try:
        yield
    except psycopg.Error as error:
        raise _transient(what, error) from error


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
        reason=broken_rule(error),
    )


def broken_rule(error: psycopg.Error) -> str:
    """The rule that a row breaks, in words: a phrase without values of the row, which Postgres
    puts into its detail. What a trigger says is its owner's own."""
    diag, state = error.diag, error.sqlstate or ""
    if diag.constraint_name and state in _RULES:
        return _RULES[state].format(
            constraint=shortened(diag.constraint_name),
            table=shortened(f"{diag.schema_name}.{diag.table_name}"),
        )
    return _told(error)


def shortened(text: str, limit: int = MAX_VALUE_CHARACTERS) -> str:
    """A text short enough to travel in a fact, with the NULs that no database text can hold
    made visible."""
    plain = text[: limit + 1].replace("\0", "\\0")
    return plain if len(plain) <= limit else f"{plain[:limit]}..."


def _refusal(table: str, error: psycopg.Error, state: State) -> Reason:
    return Reason(
        code=REFUSED_BY_TABLE,
        message=f"The table {table} does not take the drop: {broken_rule(error)}.",
        remedy=state.remedy,
    )


def _transient(what: str, error: psycopg.Error) -> TransientError:
    state = state_of(error.sqlstate, error.diag.source_function)
    message = f"{what}: {_told(error)}"
    if state is None and not _is_lost_connection(error):
        # Without its traceback, which repeats the row that Postgres names in its detail.
        _log.warning(
            "warehouse.unexplained", sqlstate=error.sqlstate, error=type(error).__name__, work=what
        )
    raised = _error_of(state, error)
    if state is None or not state.remedy:
        return raised(message)
    reason = Reason(
        code="warehouse_needs_attention", message=message, remedy=f"{state.remedy} {_THEN}"
    )
    return raised(message, reason=reason)


def _error_of(state: State | None, error: psycopg.Error) -> type[TransientError]:
    if state is not None:
        return state.error
    # Every connection of the pool is in use: the warehouse is not away for that.
    busy = isinstance(error, PoolTimeout)
    return AwayError if _is_lost_connection(error) and not busy else TransientError


def _is_lost_connection(error: psycopg.Error) -> bool:
    """Raised by the driver or the pool, not by a server, so without a SQLSTATE."""
    own = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return own and error.sqlstate is None


def _told(error: psycopg.Error) -> str:
    told = error.diag.message_primary or str(error) or type(error).__name__
    return shortened(told.strip(), MAX_REASON_CHARACTERS)

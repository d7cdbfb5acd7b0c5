"""What a Postgres error means for the drop: the one place that reads SQLSTATEs.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import psycopg
from psycopg_pool import PoolTimeout

from headrace_shared.errors import AwayError, HeadraceError, OutOfTimeError, TransientError
from headrace_shared.logging import get_logger
from headrace_shared.reasons import BadRow, Reason

_log = get_logger(__name__)

MAX_VALUE_CHARACTERS: Final = 120
MAX_REASON_CHARACTERS: Final = 200
"""Postgres repeats the whole value in its message, and a value may have a gigabyte."""

CHARACTER_NOT_IN_REPERTOIRE: Final = "22021"
"""Bytes that are not of the encoding, or a NUL."""

_COPY_PLACE: Final = re.compile(r"COPY \S+, line (?P<line>\d+)(?:, column (?P<column>[^:]+))?")
_COPY_VALUE: Final = re.compile(r", column [^:]+: \"(?P<value>.*)\"\Z", re.DOTALL)

_THEN: Final = (
    "Headrace tries again by itself; what it has given up by then comes back with "
    "`headrace redrive loader`."
)

_WHERE: Final = "HEADRACE_WAREHOUSE_DSN (or the secret)"


class Meaning(StrEnum):
    """What becomes of the work that met an error."""

    TRANSIENT = "tried again"
    ROWS = "the drop is rejected"
    CONTRACT = "the contract is refused"


@dataclass(frozen=True, slots=True)
class State:
    """A row of the table.

    Args:
        name: the appendix's name of the code or class.
        in_rows: its meaning while rows are being written.
        in_ddl: its meaning while a table is given its shape.
        remedy: what an operator has to do before another try can succeed; empty for nothing.
        error: the TransientError that is raised: whether the warehouse is away, or a time limit
            ended the work.
    """

    name: str
    in_rows: Meaning = Meaning.TRANSIENT
    in_ddl: Meaning = Meaning.TRANSIENT
    remedy: str = ""
    error: type[TransientError] = TransientError


def _fault(name: str) -> State:
    return State(name, Meaning.ROWS, Meaning.CONTRACT)


def _ddl(name: str) -> State:
    return State(name, in_ddl=Meaning.CONTRACT)


def _mend(name: str, remedy: str) -> State:
    return State(name, remedy=remedy)


def _away(name: str, remedy: str = "") -> State:
    return State(name, remedy=remedy, error=AwayError)


def _late(name: str, remedy: str = "") -> State:
    return State(name, remedy=remedy, error=OutOfTimeError)


STATES: Final[Mapping[str, State]] = {
    # The server or the way to it went away; the transaction rolled back.
    "08": _away("connection_exception"),
    "57": State("operator_intervention"),
    "57014": _late(
        "query_canceled", "If it goes on, look who cancels, or raise the role's statement_timeout."
    ),
    "57P01": _away("admin_shutdown"),
    "57P02": _away("crash_shutdown"),
    "57P03": _away("cannot_connect_now"),
    "57P04": _away("database_dropped", f"Restore the database, or mend {_WHERE}."),
    "25P03": _late("idle_in_transaction_session_timeout"),
    "25P04": _late("transaction_timeout", "If it goes on, raise the role's transaction_timeout."),
    # A failover leaves the loader on what is a standby now, until its name leads elsewhere.
    "25006": _away(
        "read_only_sql_transaction",
        f"In a failover nothing; if it stays, point {_WHERE} at the writer.",
    ),
    # Others were at the same rows or the same lock; one of them had to give way.
    "40": State("transaction_rollback"),
    "40001": State("serialization_failure"),
    "40P01": State("deadlock_detected"),
    "55006": State("object_in_use"),
    # Waiting for a lock says nothing about how long the loads of a table take.
    "55P03": State("lock_not_available"),
    # The server has too little of something; loads that end give some of it back.
    "53": State("insufficient_resources"),
    "53100": _mend("disk_full", "Make room on the warehouse's disk."),
    "53300": _away(
        "too_many_connections", "Raise max_connections, or lower HEADRACE_LOADS of the loaders."
    ),
    # Postgres or its machine is at fault; a restart or a failover may mend it.
    "58": _mend("system_error", "Look at the warehouse's own log."),
    "XX": _mend("internal_error", "Look at the warehouse's own log."),
    # Neither the rows nor the contract can help it, so neither is refused for it.
    "28": _away(
        "invalid_authorization_specification",
        f"In a rotation of the password nothing; if it stays, mend user or password in {_WHERE}.",
    ),
    "3D000": _away("invalid_catalog_name", f"Make the database that {_WHERE} names."),
    "3F000": _mend("invalid_schema_name", "The schema was dropped by hand: restore it."),
    "42501": _mend(
        "insufficient_privilege",
        "Grant the loader's role what the message names; to change a table it must own it.",
    ),
    "42703": _mend("undefined_column", "A column was dropped or renamed by hand: restore it."),
    "42P01": _mend(
        "undefined_table",
        "The table was dropped or renamed by hand: restore it, or replay its contract, which "
        "makes it again, and `headrace rebuild` it.",
    ),
    "42P07": _mend(
        "duplicate_table", "Something made by hand has the table's name: rename or drop it."
    ),
    # While rows are written, a value or a constraint is broken by them. In DDL it is by the rows
    # that are there, which a changed column reads again.
    "22": _fault("data_exception"),
    "23": _fault("integrity_constraint_violation"),
    # A row too wide for a page, or a key too long for its index; in DDL too many columns.
    "54": _fault("program_limit_exceeded"),
    "54011": _fault("too_many_columns"),
    # The contract's change is not one that this table can take, however often it is tried.
    # While rows are written, 0A000 is a cached plan that a change of the table has overtaken.
    "0A000": _ddl("feature_not_supported"),
    "2BP01": _ddl("dependent_objects_still_exist"),
    "42611": _ddl("invalid_column_definition"),
    "42701": _ddl("duplicate_column"),
    "42704": _ddl("undefined_object"),
    "42710": _ddl("duplicate_object"),
    "42804": _ddl("datatype_mismatch"),
    "42809": _ddl("wrong_object_type"),
    "42830": _ddl("invalid_foreign_key"),
    "42846": _ddl("cannot_coerce"),
    "42883": _ddl("undefined_function"),
    "42P16": _ddl("invalid_table_definition"),
    "42P17": _ddl("invalid_object_definition"),
}
"""By code, or by class (its first two characters) for those of its codes that have no row.

A state without a row is transient too, and logged: the redrive limit catches what is not.
"""


class CopyRefusedError(HeadraceError):
    """COPY met a row that it cannot take; `first` is where, as far as Postgres tells."""

    def __init__(self, first: BadRow, sqlstate: str) -> None:
        super().__init__(f"line {first.line}: {first.reason}")
        self.first = first
        self.sqlstate = sqlstate


class DdlRefusedError(HeadraceError):
    """The table cannot take the shape that a contract asks for."""


def state_of(sqlstate: str | None) -> State | None:
    """The row of the table for a SQLSTATE: its own, else that of its class, else none."""
    code = sqlstate or ""
    return STATES.get(code) or STATES.get(code[:2])


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
        state = state_of(error.sqlstate)
        if state is None or state.in_rows is not Meaning.ROWS:
            raise
        raise CopyRefusedError(first_bad_row(error), error.sqlstate or "") from error


@contextmanager
def warehouse_errors(what: str) -> Iterator[None]:
    """Raises TransientError for every driver error, with what somebody has to do about it, if
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
        reason=_told(error),
    )


def shortened(text: str, limit: int = MAX_VALUE_CHARACTERS) -> str:
    """A text short enough to travel in a fact, with the NULs that no database text can hold
    made visible."""
    plain = text[: limit + 1].replace("\0", "\\0")
    return plain if len(plain) <= limit else f"{plain[:limit]}..."


def _transient(what: str, error: psycopg.Error) -> TransientError:
    state, message = state_of(error.sqlstate), f"{what}: {_told(error)}"
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
    """Said by the driver or the pool, not by a server, so without a SQLSTATE."""
    own = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return own and error.sqlstate is None


def _told(error: psycopg.Error) -> str:
    told = error.diag.message_primary or str(error) or type(error).__name__
    return shortened(told.strip(), MAX_REASON_CHARACTERS)

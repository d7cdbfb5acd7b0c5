"""What each SQLSTATE of Postgres means for the work that met it: the table, without I/O.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headrace_shared.errors import AwayError, OutOfTimeError, TransientError

_WHERE: Final = "HEADRACE_WAREHOUSE_DSN (or the secret)"

_BY_HAND: Final = (
    "The table, or something that it uses, was changed by hand: undo what the message names."
)
_RESTORE: Final = (
    "The table was dropped or renamed by hand: restore it, or replay its contract, which "
    "makes it again, and `headrace rebuild` it."
)
_SERVER_LOG: Final = "Look at the warehouse's own log."
_RULE: Final = (
    "Nothing of the drop is loaded. Change what the message names in the file or in the table, "
    "and replay the drop."
)
_ROW_SECURITY: Final = (
    "Row-level security would hide rows of the table from the loader. Let the loader's role own "
    "the table without `force row level security`, or give it BYPASSRLS; then replay the drop."
)


class Meaning(StrEnum):
    """What becomes of the work that met an error."""

    TRANSIENT = "tried again"
    ROWS = "rows are bad"
    TABLE = "the drop is rejected"
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
    return State(name, Meaning.ROWS, Meaning.CONTRACT, _RULE)


def _of_table(name: str, remedy: str = _RULE) -> State:
    return State(name, Meaning.TABLE, Meaning.CONTRACT, remedy)


def _ddl(name: str) -> State:
    return State(name, in_ddl=Meaning.CONTRACT, remedy=_BY_HAND)


def _attend(name: str, remedy: str) -> State:
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
    "57P04": _away("database_dropped", f"Restore the database, or correct {_WHERE}."),
    "25": _attend("invalid_transaction_state", _SERVER_LOG),
    "25P03": _late("idle_in_transaction_session_timeout"),
    "25P04": _late("transaction_timeout", "If it goes on, raise the role's transaction_timeout."),
    # A failover leaves the loader on what is a standby now, until its name leads elsewhere.
    "25006": _away(
        "read_only_sql_transaction",
        f"In a failover nothing; if it stays, point {_WHERE} at the writer.",
    ),
    # A pooler between may have given the connection to another client.
    "26": State("invalid_sql_statement_name"),
    # Others were at the same rows or the same lock; one of them had to give way.
    "40": State("transaction_rollback"),
    "40001": State("serialization_failure"),
    "40P01": State("deadlock_detected"),
    "72": State("snapshot_too_old"),
    "55": _attend("object_not_in_prerequisite_state", _BY_HAND),
    "55006": State("object_in_use"),
    # Waiting for a lock says nothing about how long the loads of a table take.
    "55P03": State("lock_not_available"),
    # The server has too little of something; loads that end give some of it back.
    "53": State("insufficient_resources"),
    "53100": _attend("disk_full", "Make room on the warehouse's disk."),
    "53300": _away(
        "too_many_connections", "Raise max_connections, or lower HEADRACE_LOADS of the loaders."
    ),
    # Postgres or its machine is at fault; a restart or a failover may cure it.
    "58": _attend("system_error", _SERVER_LOG),
    "XX": _attend("internal_error", _SERVER_LOG),
    "F0": _attend("config_file_error", _SERVER_LOG),
    "HV": _attend("fdw_error", "Look at the foreign server behind the table."),
    # Neither the rows nor the contract can help it, so neither is refused for it. As soon as an
    # operator has acted, the drops that wait are loaded; a rejection would have to be replayed.
    "28": _away(
        "invalid_authorization_specification",
        "In a rotation of the password nothing; if it stays, correct user or password in "
        f"{_WHERE}.",
    ),
    "0L": _attend("invalid_grantor", _BY_HAND),
    "0P": _attend("invalid_role_specification", _BY_HAND),
    "3D": _attend("invalid_catalog_name", _BY_HAND),
    "3D000": _away("invalid_catalog_name", f"Make the database that {_WHERE} names."),
    "3F": _attend("invalid_schema_name", "The schema was dropped by hand: restore it."),
    "42501": _attend(
        "insufficient_privilege",
        "Grant the loader's role what the message names; to change a table it must own it.",
    ),
    "42703": _attend("undefined_column", "A column was dropped or renamed by hand: restore it."),
    "42P01": _attend("undefined_table", _RESTORE),
    "42P07": _attend(
        "duplicate_table", "Something made by hand has the table's name: rename or drop it."
    ),
    # While rows are written, a value breaks a rule of its type or of the table. In DDL the rows
    # that are there do, which a changed column reads again.
    "21": _fault("cardinality_violation"),
    "22": _fault("data_exception"),
    "23": _fault("integrity_constraint_violation"),
    "44": _fault("with_check_option_violation"),
    # A row too wide for a page, or a key too long for its index; in DDL too many columns.
    "54": _fault("program_limit_exceeded"),
    "54011": _fault("too_many_columns"),
    # What a trigger, or a function that a trigger, a domain or a default calls, may raise.
    "P0": _fault("plpgsql_error"),
    "02": _fault("no_data"),
    "03": _fault("sql_statement_not_yet_complete"),
    "09": _fault("triggered_action_exception"),
    "0B": _fault("invalid_transaction_initiation"),
    "0F": _fault("locator_exception"),
    "0Z": _fault("diagnostics_exception"),
    "10": _fault("xquery_error"),
    "20": _fault("case_not_found"),
    "24": _fault("invalid_cursor_state"),
    "27": _fault("triggered_data_change_violation"),
    "2D": _fault("invalid_transaction_termination"),
    "2F": _fault("sql_routine_exception"),
    "34": _fault("invalid_cursor_name"),
    "38": _fault("external_routine_exception"),
    "39": _fault("external_routine_invocation_exception"),
    "3B": _fault("savepoint_exception"),
    # What this kind of table, or what is made with it, does not let happen at all.
    "0A": _of_table("feature_not_supported"),
    "428C9": _of_table(
        "generated_always",
        "The database fills this column itself: leave it out of the contract, and replay the drop.",
    ),
    "42809": _of_table(
        "wrong_object_type",
        "What has the table's name is no table: rename it, and replay the drop.",
    ),
    # The contract's change is not one that this table can take, however often it is tried.
    "2B": _ddl("dependent_privilege_descriptors_still_exist"),
    "2BP01": _ddl("dependent_objects_still_exist"),
    "42": _ddl("syntax_error_or_access_rule_violation"),
}
"""By code, or by class (its first two characters) for those of its codes that have no row.

Every class of Postgres has a row. Any other state is one that a trigger has chosen for itself
(`raise ... using errcode`).
"""

CACHED_PLAN: Final = State("feature_not_supported")
"""0A000 of a cached plan that a change of the table has overtaken: the next try makes another."""

ROW_SECURITY: Final = _of_table("insufficient_privilege", _ROW_SECURITY)
"""42501 of a table whose row-level security would hide rows: its loader sets row_security off."""

_BY_SOURCE: Final[Mapping[tuple[str, str], State]] = {
    ("0A000", "RevalidateCachedQuery"): CACHED_PLAN,
    ("42501", "check_enable_rls"): ROW_SECURITY,
    ("42501", "ExecWithCheckOptions"): ROW_SECURITY,
    ("42501", "get_row_security_policies"): ROW_SECURITY,
}
"""States that mean several things: the function of Postgres that raised them decides, for messages
are translated."""

_RAISED_BY_TRIGGER: Final = _fault("a state that a trigger has chosen")


def state_of(sqlstate: str | None, source_function: str | None = None) -> State | None:
    """The row of the table for a SQLSTATE: its own, else that of its class, else none.

    Args:
        source_function: the function of Postgres that raised it.
    """
    code = sqlstate or ""
    by_source = _BY_SOURCE.get((code, source_function or ""))
    return by_source or STATES.get(code) or STATES.get(code[:2])


def state_in_load(sqlstate: str | None, source_function: str | None = None) -> State | None:
    """As `state_of`, of an error that a load met: a state that Postgres does not have was raised
    by a trigger. None of an error that no server raised."""
    found = state_of(sqlstate, source_function)
    return _RAISED_BY_TRIGGER if found is None and sqlstate else found

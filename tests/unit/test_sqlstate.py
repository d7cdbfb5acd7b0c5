"""What a Postgres error means: one test a row of the table."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors
from psycopg_pool import PoolTimeout
from structlog.testing import capture_logs

from headrace_loader.sqlstate import (
    MAX_REASON_CHARACTERS,
    CopyRefusedError,
    DdlRefusedError,
    TableRefusedError,
    broken_rule,
    copy_errors,
    ddl_errors,
    first_bad_row,
    load_errors,
    warehouse_errors,
)
from headrace_loader.sqlstates import STATES, Meaning, state_of
from headrace_shared.errors import AwayError, OutOfTimeError, TransientError

NOTHING_TO_DO = "Nothing to do: Headrace tries again by itself."

TRIED = "tried again"
ATTENDED = "tried again once an operator has acted"
ROWS = "rows are bad, the contract is refused"
TABLE = "the drop is rejected, the contract is refused"
CONTRACT = "tried again once an operator has acted, the contract is refused"

MEANT = {
    "02": ROWS,
    "03": ROWS,
    "08": TRIED,
    "09": ROWS,
    "0A": TABLE,
    "0B": ROWS,
    "0F": ROWS,
    "0L": ATTENDED,
    "0P": ATTENDED,
    "0Z": ROWS,
    "10": ROWS,
    "20": ROWS,
    "21": ROWS,
    "22": ROWS,
    "23": ROWS,
    "24": ROWS,
    "25": ATTENDED,
    "25006": ATTENDED,
    "25P03": TRIED,
    "25P04": ATTENDED,
    "26": TRIED,
    "27": ROWS,
    "28": ATTENDED,
    "2B": CONTRACT,
    "2BP01": CONTRACT,
    "2D": ROWS,
    "2F": ROWS,
    "34": ROWS,
    "38": ROWS,
    "39": ROWS,
    "3B": ROWS,
    "3D": ATTENDED,
    "3D000": ATTENDED,
    "3F": ATTENDED,
    "40": TRIED,
    "40001": TRIED,
    "40P01": TRIED,
    "42": CONTRACT,
    "42501": ATTENDED,
    "42703": ATTENDED,
    "42809": TABLE,
    "428C9": TABLE,
    "42P01": ATTENDED,
    "42P07": ATTENDED,
    "44": ROWS,
    "53": TRIED,
    "53100": ATTENDED,
    "53300": ATTENDED,
    "54": ROWS,
    "54011": ROWS,
    "55": ATTENDED,
    "55006": TRIED,
    "55P03": TRIED,
    "57": TRIED,
    "57014": ATTENDED,
    "57P01": TRIED,
    "57P02": TRIED,
    "57P03": TRIED,
    "57P04": ATTENDED,
    "58": ATTENDED,
    "72": TRIED,
    "F0": ATTENDED,
    "HV": ATTENDED,
    "P0": ROWS,
    "XX": ATTENDED,
}
"""Written a second time by hand: a row that is changed has to be changed on purpose."""

ALL_CODES = sorted(
    {
        one.sqlstate
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, psycopg.Error) and one.sqlstate
    }
)
"""Every SQLSTATE of Postgres: psycopg's classes are generated from its errcodes.txt."""


def told(code: str) -> str:
    """What the code does with an error, in the words of MEANT."""
    error = errors.lookup(code)("bad")
    return ", ".join(filter(None, [in_rows(error), in_ddl(error)]))


def in_rows(error: psycopg.Error) -> str:
    try:
        with copy_errors():
            raise error
    except CopyRefusedError:
        return "rows are bad"
    except psycopg.Error:
        pass
    try:
        with load_errors("dev.t"):
            raise error
    except TableRefusedError:
        return "the drop is rejected"
    except TransientError as waits:
        return TRIED if waits.reason.remedy == NOTHING_TO_DO else ATTENDED
    raise AssertionError("no error was raised")


def in_ddl(error: psycopg.Error) -> str:
    try:
        with ddl_errors():
            raise error
    except DdlRefusedError:
        return "the contract is refused"
    except psycopg.Error:
        return ""


def transient(error: psycopg.Error) -> TransientError:
    with pytest.raises(TransientError) as raised, warehouse_errors("loading t"):
        raise error
    return raised.value


@pytest.mark.parametrize("code", ALL_CODES)
def test_every_state_of_postgres_means_what_its_row_says(code: str) -> None:
    assert told(code) == MEANT.get(code, MEANT[code[:2]])


def test_every_row_of_the_table_is_tried() -> None:
    assert sorted(MEANT) == sorted(STATES)
    assert len(ALL_CODES) > 250


@given(st.from_regex(r"[0-9A-Z]{5}", fullmatch=True))
def test_what_is_permanent_or_needs_an_operator_is_never_called_temporary(code: str) -> None:
    error = psycopg.DatabaseError("bad")
    error.sqlstate = code
    found = in_rows(error)
    assert found != TRIED or MEANT.get(code, MEANT.get(code[:2])) == TRIED
    # A trigger may raise any state; one that Postgres does not have is always a trigger's.
    assert code[:2] in MEANT or found == "rows are bad"


@pytest.mark.parametrize(
    ("state", "function", "meaning"),
    [
        (errors.FeatureNotSupported, "RevalidateCachedQuery", Meaning.TRANSIENT),
        (errors.FeatureNotSupported, "heap_truncate_check_FKs", Meaning.TABLE),
        (errors.InsufficientPrivilege, "check_enable_rls", Meaning.TABLE),
        (errors.InsufficientPrivilege, "aclcheck_error", Meaning.TRANSIENT),
    ],
)
def test_function_that_raised_a_state_decides_where_it_means_several_things(
    state: type[psycopg.Error], function: str, meaning: Meaning
) -> None:
    found = state_of(state.sqlstate, function)
    assert found is not None
    assert found.in_rows is meaning


def test_rule_of_the_ledger_that_is_broken_is_no_fault_of_the_drop() -> None:
    class OfLedger(errors.UniqueViolation):
        @property
        def diag(self) -> Any:
            return SimpleNamespace(
                schema_name="headrace",
                source_function=None,
                message_primary="duplicate key",
            )

    with pytest.raises(TransientError, match="duplicate key"), load_errors("dev.t"):
        raise OfLedger


def test_broken_rule_is_named_without_values_of_the_row() -> None:
    class Broken(errors.ForeignKeyViolation):
        @property
        def diag(self) -> Any:
            return SimpleNamespace(
                constraint_name="known",
                schema_name="dev",
                table_name="users",
                message_primary="insert or update on table",
                message_detail="Key (id)=(4711) is not present",
            )

    assert broken_rule(Broken()) == "breaks the foreign key known of dev.users"


@pytest.mark.parametrize("code", [code for code in STATES if len(code) == 5])
def test_code_has_the_name_that_postgres_gives_it(code: str) -> None:
    # psycopg's classes are generated from Postgres's own errcodes.txt.
    assert STATES[code].name.replace("_", "") == errors.lookup(code).__name__.lower()


def test_code_s_own_row_goes_before_that_of_its_class() -> None:
    assert state_of("53100") is STATES["53100"]
    assert state_of("53200") is STATES["53"]
    assert state_of("42601") is STATES["42"]
    assert state_of("Q7X01") is None
    assert state_of(None) is None


def test_refused_copy_keeps_its_state() -> None:
    with pytest.raises(CopyRefusedError) as refused, copy_errors():
        raise errors.NotNullViolation("bad")
    assert refused.value.sqlstate == "23502"


def test_refused_change_keeps_the_words_of_postgres() -> None:
    with pytest.raises(DdlRefusedError, match="cannot cast type integer to date"), ddl_errors():
        raise errors.CannotCoerce("cannot cast type integer to date")


@pytest.mark.parametrize(
    "error", [errors.DeadlockDetected, errors.AdminShutdown, psycopg.OperationalError]
)
def test_fault_of_the_server_passes_the_inner_translations(error: type[psycopg.Error]) -> None:
    with (
        pytest.raises(TransientError, match="loading t: gone"),
        warehouse_errors("loading t"),
        copy_errors(),
        ddl_errors(),
    ):
        raise error("gone")


def test_waiting_drop_says_what_an_operator_has_to_do() -> None:
    reason = transient(errors.InsufficientPrivilege("permission denied for table t")).reason
    assert reason.code == "warehouse_needs_attention"
    assert reason.message == "loading t: permission denied for table t"
    assert reason.remedy.startswith("Grant the loader's role")


def test_unknown_state_is_transient_and_logged_without_the_row() -> None:
    with capture_logs() as logs:
        unknown = psycopg.DatabaseError("bad")
        unknown.sqlstate = "Q7X01"
        error = transient(unknown)
    assert error.reason.code == "temporarily_unavailable"
    assert logs == [
        {
            "event": "warehouse.unexplained",
            "log_level": "warning",
            "sqlstate": "Q7X01",
            "error": "DatabaseError",
            "work": "loading t",
        }
    ]


@pytest.mark.parametrize("error", [psycopg.OperationalError, psycopg.InterfaceError])
def test_lost_connection_has_no_state_and_is_no_riddle(error: type[psycopg.Error]) -> None:
    with capture_logs() as logs:
        transient(error("the connection is lost"))
    assert logs == []


AWAY = ["25006", "3D000", "53300", "57P01", "57P02", "57P03", "57P04"]
OUT_OF_TIME = ["25P03", "25P04", "57014"]


@pytest.mark.parametrize("code", ALL_CODES)
def test_error_says_whether_the_warehouse_is_away_or_a_time_limit_was_met(code: str) -> None:
    error = transient(errors.lookup(code)("bad"))
    assert isinstance(error, AwayError) == (code in AWAY or code[:2] in ("08", "28"))
    assert isinstance(error, OutOfTimeError) == (code in OUT_OF_TIME)


def test_lost_connection_means_away_and_a_busy_pool_does_not() -> None:
    assert isinstance(transient(psycopg.OperationalError("the connection is lost")), AwayError)
    assert not isinstance(transient(PoolTimeout("no connection within 20 s")), AwayError)
    assert not isinstance(transient(psycopg.DataError("a bug")), AwayError)


def test_our_own_errors_pass_unchanged() -> None:
    refused = CopyRefusedError(first_bad_row(psycopg.DataError("x")), "22000")
    with pytest.raises(CopyRefusedError) as raised, warehouse_errors("loading"):
        raise refused
    assert raised.value is refused


def test_value_repeated_in_a_message_does_not_make_the_fact_large() -> None:
    told = first_bad_row(psycopg.DataError(f'invalid input syntax: "{"x" * 1_000_000}"'))
    assert len(told.reason) <= MAX_REASON_CHARACTERS + len("...")
    assert told.line == 0

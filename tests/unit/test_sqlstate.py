"""What a Postgres error means: one test a row of the table."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolTimeout
from structlog.testing import capture_logs

from headrace_loader.sqlstate import (
    MAX_REASON_CHARACTERS,
    STATES,
    CopyRefusedError,
    DdlRefusedError,
    Meaning,
    copy_errors,
    ddl_errors,
    first_bad_row,
    state_of,
    warehouse_errors,
)
from headrace_shared.errors import AwayError, OutOfTimeError, TransientError

NOTHING_TO_DO = "Nothing to do: Headrace tries again by itself."

MEANT = {
    "08": "tried again",
    "0A000": "the contract is refused",
    "22": "the drop is rejected, the contract is refused",
    "23": "the drop is rejected, the contract is refused",
    "25006": "tried again once mended",
    "25P03": "tried again",
    "25P04": "tried again once mended",
    "28": "tried again once mended",
    "2BP01": "the contract is refused",
    "3D000": "tried again once mended",
    "3F000": "tried again once mended",
    "40": "tried again",
    "40001": "tried again",
    "40P01": "tried again",
    "42501": "tried again once mended",
    "42611": "the contract is refused",
    "42701": "the contract is refused",
    "42703": "tried again once mended",
    "42704": "the contract is refused",
    "42710": "the contract is refused",
    "42804": "the contract is refused",
    "42809": "the contract is refused",
    "42830": "the contract is refused",
    "42846": "the contract is refused",
    "42883": "the contract is refused",
    "42P01": "tried again once mended",
    "42P07": "tried again once mended",
    "42P16": "the contract is refused",
    "42P17": "the contract is refused",
    "53": "tried again",
    "53100": "tried again once mended",
    "53300": "tried again once mended",
    "54": "the drop is rejected, the contract is refused",
    "54011": "the drop is rejected, the contract is refused",
    "55006": "tried again",
    "55P03": "tried again",
    "57": "tried again",
    "57014": "tried again once mended",
    "57P01": "tried again",
    "57P02": "tried again",
    "57P03": "tried again",
    "57P04": "tried again once mended",
    "58": "tried again once mended",
    "XX": "tried again once mended",
}
"""Written a second time by hand: a row that is changed has to be changed on purpose."""

OF_CLASS = {
    "08006": "08",
    "22P02": "22",
    "22P04": "22",
    "22021": "22",
    "23502": "23",
    "23505": "23",
    "28P01": "28",
    "40003": "40",
    "53200": "53",
    "54000": "54",
    "57P05": "57",
    "58030": "58",
    "XX000": "XX",
}

CODES = sorted({*(code for code in STATES if len(code) == 5), *OF_CLASS})


def told(code: str) -> str:
    """What the code does with an error, in the words of MEANT."""
    error, ends = errors.lookup(code)("bad"), []
    try:
        with copy_errors():
            raise error
    except CopyRefusedError:
        ends.append("the drop is rejected")
    except psycopg.Error:
        pass
    try:
        with ddl_errors():
            raise error
    except DdlRefusedError:
        ends.append("the contract is refused")
    except psycopg.Error:
        pass
    if ends:
        return ", ".join(ends)
    reason = transient(error).reason
    return "tried again" if reason.remedy == NOTHING_TO_DO else "tried again once mended"


def transient(error: psycopg.Error) -> TransientError:
    with pytest.raises(TransientError) as raised, warehouse_errors("loading t"):
        raise error
    return raised.value


@pytest.mark.parametrize("code", CODES)
def test_state_means_what_its_row_says(code: str) -> None:
    assert told(code) == MEANT[OF_CLASS.get(code, code)]


def test_every_row_of_the_table_is_tried() -> None:
    assert sorted(MEANT) == sorted(STATES)
    classes = {code for code in STATES if len(code) == 2}
    assert classes == set(OF_CLASS.values())


@pytest.mark.parametrize("code", [code for code in STATES if len(code) == 5])
def test_code_has_the_name_that_postgres_gives_it(code: str) -> None:
    # psycopg's classes are generated from Postgres's own errcodes.txt.
    assert STATES[code].name.replace("_", "") == errors.lookup(code).__name__.lower()


def test_code_s_own_row_goes_before_that_of_its_class() -> None:
    assert state_of("53100") is STATES["53100"]
    assert state_of("53200") is STATES["53"]
    assert state_of("42601") is None
    assert state_of(None) is None


def test_what_is_written_while_rows_come_in_is_never_the_contract_s_fault() -> None:
    assert {state.in_rows for state in STATES.values()} == {Meaning.TRANSIENT, Meaning.ROWS}
    assert {state.in_ddl for state in STATES.values()} == {Meaning.TRANSIENT, Meaning.CONTRACT}


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


def test_waiting_drop_says_what_has_to_be_mended() -> None:
    reason = transient(errors.InsufficientPrivilege("permission denied for table t")).reason
    assert reason.code == "warehouse_needs_attention"
    assert reason.message == "loading t: permission denied for table t"
    assert reason.remedy.startswith("Grant the loader's role")


def test_unknown_state_is_transient_and_logged_without_the_row() -> None:
    with capture_logs() as logs:
        error = transient(errors.SyntaxError("bad"))
    assert error.reason.code == "temporarily_unavailable"
    assert logs == [
        {
            "event": "warehouse.unexplained",
            "log_level": "warning",
            "sqlstate": "42601",
            "error": "SyntaxError",
            "work": "loading t",
        }
    ]


@pytest.mark.parametrize("error", [psycopg.OperationalError, psycopg.InterfaceError])
def test_lost_connection_has_no_state_and_is_no_riddle(error: type[psycopg.Error]) -> None:
    with capture_logs() as logs:
        transient(error("the connection is lost"))
    assert logs == []


AWAY = ["08006", "25006", "28P01", "3D000", "53300", "57P01", "57P02", "57P03", "57P04"]
OUT_OF_TIME = ["25P03", "25P04", "57014"]


@pytest.mark.parametrize("code", CODES)
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

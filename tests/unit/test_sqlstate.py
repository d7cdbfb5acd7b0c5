"""What a Postgres error means: one test a row of the translation."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from headrace_loader.sqlstate import (
    MAX_REASON_CHARACTERS,
    CopyRefusedError,
    copy_errors,
    first_bad_row,
    warehouse_errors,
)
from headrace_shared.errors import TransientError


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidTextRepresentation,
        errors.NotNullViolation,
        errors.NumericValueOutOfRange,
        errors.BadCopyFileFormat,
        errors.CharacterNotInRepertoire,
        errors.StringDataRightTruncation,
    ],
)
def test_fault_of_the_rows_is_a_refused_copy(error: type[psycopg.Error]) -> None:
    with pytest.raises(CopyRefusedError) as refused, copy_errors():
        raise error("bad")
    assert refused.value.sqlstate == error.sqlstate


@pytest.mark.parametrize(
    "error",
    [
        errors.AdminShutdown,
        errors.DeadlockDetected,
        errors.DiskFull,
        errors.LockNotAvailable,
        errors.SerializationFailure,
        psycopg.OperationalError,
    ],
)
def test_fault_of_the_server_passes_copy_and_is_transient(error: type[psycopg.Error]) -> None:
    with (
        pytest.raises(TransientError, match="loading t: gone"),
        warehouse_errors("loading t"),
        copy_errors(),
    ):
        raise error("gone")


def test_our_own_errors_pass_unchanged() -> None:
    refused = CopyRefusedError(first_bad_row(psycopg.DataError("x")), "22000")
    with pytest.raises(CopyRefusedError) as raised, warehouse_errors("loading"):
        raise refused
    assert raised.value is refused


def test_value_repeated_in_a_message_does_not_make_the_fact_large() -> None:
    told = first_bad_row(psycopg.DataError(f'invalid input syntax: "{"x" * 1_000_000}"'))
    assert len(told.reason) <= MAX_REASON_CHARACTERS + len("...")
    assert told.line == 0

"""What exactly is wrong with values that a COPY passed over? Postgres itself is asked, value by
value, so that the answer never differs from what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection

from headrace_loader.sifting.batches import BadRecord, Fault, by_number
from headrace_loader.sifting.copying import MiscountedError, Passed
from headrace_loader.sqlstate import MAX_REASON_CHARACTERS, shortened
from headrace_shared.column_types import canonical_type, is_further
from headrace_shared.contract import Column
from headrace_shared.file_formats import CsvFormat

# https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-VALIDITY
_ASK: Final[LiteralString] = """
    select place - 1, fault.message, fault.sql_error_code
    from unnest(%s::text[]) with ordinality as value(text, place),
        lateral pg_input_error_info(value.text, %s) as fault
    where value.text is not null and fault.message is not null
    """

_A_TYPE: Final = {
    "smallint": "an integer",
    "integer": "an integer",
    "bigint": "an integer",
    "numeric": "a number",
    "real": "a number",
    "double precision": "a number",
    "boolean": "a boolean",
    "date": "a date",
    "time without time zone": "a time",
    "timestamp without time zone": "a timestamp",
    "timestamp with time zone": "a timestamp",
    "uuid": "a uuid",
    "json": "JSON",
    "jsonb": "JSON",
}

_QUOTED_EMPTY: Final = (
    '; the field is quoted and empty: "null_quoted": true in the contract\'s format makes it null'
)

_MOST_VALUES: Final = 2_000
"""In one question to Postgres."""


async def judged(
    connection: AsyncConnection[Any],
    columns: Sequence[Column],
    passed: Sequence[Passed],
    bad: Sequence[BadRecord],
) -> list[BadRecord]:
    """The bad records of a file with everything that is wrong with each, in the file's order.

    Args:
        passed: rows that COPY passed over.
        bad: records that COPY did not get; Postgres is asked about their other values.

    Raises:
        MiscountedError: Postgres finds nothing wrong with a row that it passed over: another one
            was meant.
    """
    records = [*bad, *(BadRecord(one.record, (), (one.fields,)) for one in passed)]
    owners = [index for index, one in enumerate(records) for _ in one.unjudged]
    rows = [row for one in records for row in one.unjudged]
    found = [list(one.faults) for one in records]
    for place, column in enumerate(columns):
        values = [row[place] for row in rows]
        for index, fault in (await _faults(connection, column, values)).items():
            found[owners[index]].append(fault)
    unexplained = [
        one.record.number for one, faults in zip(records, found, strict=True) if not faults
    ]
    if unexplained:
        raise MiscountedError(f"nothing is wrong with record {unexplained[0]}, which COPY left out")
    places = {column.name: place for place, column in enumerate(columns)}
    return by_number(
        BadRecord(one.record, _in_order(faults, places))
        for one, faults in zip(records, found, strict=True)
    )


def with_empty_explained(bad: Sequence[BadRecord], dialect: CsvFormat) -> list[BadRecord]:
    """The bad records; where a field is quoted and empty, which its column's type cannot be, with
    the option that makes it null."""
    if dialect.null or dialect.null_quoted:
        return list(bad)
    return [replace(one, faults=tuple(map(_empty_explained, one.faults))) for one in bad]


def _empty_explained(fault: Fault) -> Fault:
    if fault.code != "type" or fault.value != "":
        return fault
    return replace(fault, reason=fault.reason + _QUOTED_EMPTY)


def _in_order(faults: Sequence[Fault], places: Mapping[str, int]) -> tuple[Fault, ...]:
    """Each fault once: those of the whole record, then those of its columns as the file has
    them."""
    return tuple(sorted(dict.fromkeys(faults), key=lambda one: places.get(one.column or "", -1)))


async def _faults(
    connection: AsyncConnection[Any], column: Column, values: Sequence[str | None]
) -> dict[int, Fault]:
    if column.type == "text":
        return {}
    found: dict[int, Fault] = {}
    for start in range(0, len(values), _MOST_VALUES):
        part = list(values[start : start + _MOST_VALUES])
        cursor = await connection.execute(_ASK, [part, canonical_type(column.type)])
        for place, message, code in await cursor.fetchall():
            found[start + place] = value_fault(column, part[place] or "", message, code)
    return found


async def fault_of_value(
    connection: AsyncConnection[Any], column: Column, value: str
) -> Fault | None:
    """What is wrong with one value of a column; None for nothing."""
    return (await _faults(connection, column, [value])).get(0)


def value_fault(column: Column, value: str, message: str, sqlstate: str) -> Fault:
    """A value that a column cannot take, in words.

    Args:
        message, sqlstate: what Postgres says of it.
    """
    shown = shortened(value)
    kind = column.type if is_further(column.type) else column.type.partition("(")[0]
    match sqlstate:
        case "22003":
            code, reason = "range", f'"{shown}" is out of range for {column.type}'
        case "22008":
            code, reason = "range", f'"{shown}" is not {_A_TYPE.get(kind, kind)} that there is'
        case "22001":
            told = f'"{shown}" has {len(value):,} characters, more than {column.type} holds'
            code, reason = "too_long", told
        case "22P02" | "22007" if kind in _A_TYPE:
            code, reason = "type", f'"{shown}" is not {_A_TYPE[kind]}'
        case _:
            code, reason = "type", shortened(message, MAX_REASON_CHARACTERS)
    return Fault(code, reason, column.name, shown)

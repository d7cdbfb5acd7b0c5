"""What exactly is wrong with values that a COPY passed over? Postgres itself is asked, value by
value, so that the answer never differs from what it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection

from headrace_loader.sifting.batches import BadRecord, Fault
from headrace_loader.sifting.copying import MiscountedError, Passed
from headrace_loader.sqlstate import MAX_REASON_CHARACTERS, shortened
from headrace_shared.column_types import canonical_type
from headrace_shared.contract import Column

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

_MOST_VALUES: Final = 2_000
"""In one question to Postgres."""


async def judged(
    connection: AsyncConnection[Any], columns: Sequence[Column], passed: Sequence[Passed]
) -> list[BadRecord]:
    """The records with everything that is wrong with their values.

    Raises:
        MiscountedError: Postgres finds nothing wrong with one of them: another one was meant.
    """
    found: dict[int, list[Fault]] = {index: [] for index in range(len(passed))}
    for place, column in enumerate(columns):
        values = [one.fields[place] for one in passed]
        for index, fault in (await _faults(connection, column, values)).items():
            found[index].append(fault)
    unexplained = [passed[index].record.number for index in found if not found[index]]
    if unexplained:
        raise MiscountedError(f"nothing is wrong with record {unexplained[0]}, which COPY left out")
    return [BadRecord(one.record, tuple(found[index])) for index, one in enumerate(passed)]


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


def value_fault(column: Column, value: str, message: str, sqlstate: str) -> Fault:
    """A value that a column cannot take, in words.

    Args:
        message, sqlstate: what Postgres says of it.
    """
    shown = shortened(value)
    kind = column.type.partition("(")[0]
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

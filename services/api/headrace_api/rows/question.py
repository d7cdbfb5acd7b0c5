"""The parameters of `rows`: which there are hangs on the contract. Decisions without I/O.

`column=value` is equality. `column[op]=value` says more: eq, null, and for ranges gt, gte, lt, lte.
A name of a column has no brackets, so nothing is ambiguous: a column called limit is `limit[eq]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headrace_api.problems import ApiError, invalid_parameter, unknown_parameter
from headrace_api.rows.access import LINEAGE, OpenColumn, OpenTable

DEFAULT_LIMIT: Final = 50
MOST_ROWS: Final = 5_000
"""Of one page; what streams has a limit of its own."""

LONGEST_CURSOR: Final = 8_000
"""Characters: servers and proxies take request lines of 8 KiB and little more."""

_MOST_PARAMETERS: Final = 200
_LONGEST_VALUE: Final = 2_000
_OWN: Final = ("columns", "cursor", "limit")


class Operator(StrEnum):
    """How a column is asked for."""

    EQ = "eq"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    NULL = "null"


RANGES: Final = (Operator.GT, Operator.GTE, Operator.LT, Operator.LTE)


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition.

    Args:
        parameter: as it was written, for errors.
    """

    parameter: str
    column: OpenColumn
    operator: Operator
    value: str


@dataclass(frozen=True, slots=True)
class RowQuestion:
    """What is asked; every limit is None where none was given."""

    table: OpenTable
    columns: tuple[OpenColumn, ...]
    filters: tuple[Filter, ...]
    limit: int | None
    cursor: str | None

    @property
    def bound(self) -> dict[str, str | None]:
        """What a cursor is bound to: the contract too, for the order of the rows follows it."""
        filters = sorted((f"{one.column.name}[{one.operator}]", one.value) for one in self.filters)
        return {
            "of": f"{self.table.db_name}.{self.table.table_name}",
            "contract": str(self.table.contract_id),
            "filters": json.dumps(filters),
        }


def row_question(parameters: Sequence[tuple[str, str]], table: OpenTable) -> RowQuestion:
    """The question in the parameters of a request, in their order.

    Raises:
        ApiError: one of them cannot be taken.
    """
    if len(parameters) > _MOST_PARAMETERS:
        raise ApiError(
            "invalid-parameter",
            "A parameter is not valid",
            400,
            f"A question has at most {_MOST_PARAMETERS} parameters.",
        )
    given: dict[str, str] = {}
    for name, value in parameters:
        _refuse_bad_text(name, value)
        if name in given:
            raise invalid_parameter(name[:64], "It is there twice; one value is wanted.")
        given[name] = value
    return RowQuestion(
        table=table,
        columns=_columns(given.get("columns"), table),
        filters=_filters(given, _offered(table)),
        limit=_limit(given.get("limit")),
        cursor=given.get("cursor"),
    )


def _filters(
    given: Mapping[str, str], offered: Mapping[str, tuple[OpenColumn, Operator]]
) -> tuple[Filter, ...]:
    filters = []
    for name, value in given.items():
        if name in _OWN:
            continue
        if name not in offered:
            raise _not_offered(name, offered)
        column, operator = offered[name]
        refuse_bad_value(name, value, column, operator)
        filters.append(Filter(name, column, operator, value))
    _refuse_doubled(filters)
    return tuple(filters)


def _offered(table: OpenTable) -> dict[str, tuple[OpenColumn, Operator]]:
    """Every parameter that is a filter."""
    found: dict[str, tuple[OpenColumn, Operator]] = {}
    for column, has_range in table.filters.items():
        if column.name not in _OWN:
            found[column.name] = (column, Operator.EQ)
        for operator in (Operator.EQ, Operator.NULL, *(RANGES if has_range else ())):
            found[f"{column.name}[{operator}]"] = (column, operator)
    return found


def _not_offered(name: str, offered: Iterable[str]) -> ApiError:
    column, _, operator = name.partition("[")
    if column in offered and operator.rstrip("]") in set(RANGES):
        return invalid_parameter(
            name[:64],
            f"The contract does not allow ranges of {column}; they need "
            f'{{"column": "{column}", "range": true}} in its api.filter_by.',
        )
    return unknown_parameter(name, [*offered, *_OWN])


def _refuse_bad_text(name: str, value: str) -> None:
    if "\0" in name or "\0" in value:
        raise invalid_parameter(name[:64].replace("\0", "\\0"), "A NUL can be in no value.")
    if name != "cursor" and len(value) > _LONGEST_VALUE:
        raise invalid_parameter(name[:64], f"A value has at most {_LONGEST_VALUE} characters.")


def _refuse_doubled(filters: Sequence[Filter]) -> None:
    seen: dict[tuple[OpenColumn, Operator], str] = {}
    for one in filters:
        other = seen.setdefault((one.column, one.operator), one.parameter)
        if other != one.parameter:
            raise invalid_parameter(one.parameter, f"It says the same as {other}; one is wanted.")


def _columns(wanted: str | None, table: OpenTable) -> tuple[OpenColumn, ...]:
    if wanted is None:
        return table.shown
    there_are = {column.name: column for column in (*table.shown, LINEAGE)}
    parts = [part.strip() for part in wanted.split(",")]
    names = [part if part in there_are else part.lower() for part in parts]
    for place, name in enumerate(names):
        if name not in there_are or name in names[:place]:
            raise invalid_parameter(
                "columns",
                f"columns takes names with commas between them, each once, of: "
                f"{', '.join(there_are)}.",
            )
    return tuple(there_are[name] for name in names)


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise invalid_parameter("limit", "limit must be a whole number from 1 on.")
    return int(text)


_NUMERIC: Final = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?|NaN|-?Infinity"
_DATE: Final = r"[0-9]{4,6}-[0-9]{2}-[0-9]{2}"
_TIME: Final = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_OFFSET: Final = r"([zZ]|[+-][0-9]{2}:?[0-9]{2})"

_SPELLINGS: Final = {
    "smallint": (r"[+-]?[0-9]{1,19}", "a whole number"),
    "integer": (r"[+-]?[0-9]{1,19}", "a whole number"),
    "bigint": (r"[+-]?[0-9]{1,19}", "a whole number"),
    "numeric": (_NUMERIC, "a number"),
    "real": (_NUMERIC, "a number"),
    "double precision": (_NUMERIC, "a number"),
    "boolean": (r"true|false", "true or false"),
    "uuid": (r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "a UUID"),
    "date": (_DATE, "a date (2026-11-20)"),
    "time without time zone": (_TIME, "a time of day (22:38:14)"),
    "timestamp without time zone": (
        rf"{_DATE}([T ]{_TIME})?",
        "a date and time without an offset (2026-11-20T22:38:14)",
    ),
    "timestamp with time zone": (
        rf"{_DATE}[T ]{_TIME}{_OFFSET}",
        "a time with its offset (2026-11-20T22:38:14Z)",
    ),
}
"""Narrower than what Postgres reads, which takes `tomorrow` for a date; text has no rule, and
whether a day exists, or JSON is whole, Postgres says."""

_BITS: Final = {"smallint": 15, "integer": 31, "bigint": 63}


def refuse_bad_value(parameter: str, value: str, column: OpenColumn, operator: Operator) -> None:
    """Raises ApiError where no row of that column could have the value."""
    if operator is Operator.NULL:
        if value not in {"true", "false"}:
            raise invalid_parameter(parameter, f"{parameter} must be true or false.")
        return
    pattern, wanted = _SPELLINGS.get(column.kind, (r"(?s:.*)", ""))
    if not re.fullmatch(pattern, value):
        raise not_of_its_type(parameter, column, wanted)
    bits = _BITS.get(column.kind)
    if bits and not -(2**bits) <= int(value) < 2**bits:
        raise not_of_its_type(parameter, column, f"a whole number of {bits + 1} bits")


def not_of_its_type(parameter: str, column: OpenColumn, wanted: str = "") -> ApiError:
    """The value is none that the column can hold."""
    told = f": {wanted}" if wanted else ""
    return invalid_parameter(parameter, f"{parameter} must be a value of {column.kind}{told}.")

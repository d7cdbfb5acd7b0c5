"""The column types that a contract may name: an allow-list, in Postgres's own canonical spelling.

Types reach SQL as text, so nothing outside this list ever does. The canonical names are those
that `format_type` gives, so that a contract can be compared with the table in the database.
https://www.postgresql.org/docs/current/datatype.html
"""

from __future__ import annotations

import re
from typing import Final

_PLAIN: Final = {
    "smallint": "smallint",
    "int2": "smallint",
    "integer": "integer",
    "int": "integer",
    "int4": "integer",
    "bigint": "bigint",
    "int8": "bigint",
    "real": "real",
    "float4": "real",
    "double precision": "double precision",
    "float8": "double precision",
    "float": "double precision",
    "numeric": "numeric",
    "decimal": "numeric",
    "boolean": "boolean",
    "bool": "boolean",
    "text": "text",
    "varchar": "character varying",
    "character varying": "character varying",
    "date": "date",
    "time": "time without time zone",
    "time without time zone": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamp without time zone": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "timestamp with time zone": "timestamp with time zone",
    "uuid": "uuid",
    "json": "json",
    "jsonb": "jsonb",
}

_LENGTH = re.compile(r"(varchar|character varying|char|character) ?\( ?([0-9]{1,8}) ?\)\Z")
_PRECISION = re.compile(r"(?:numeric|decimal) ?\( ?([0-9]{1,4}) ?(?:, ?([0-9]{1,4}) ?)?\)\Z")

_MAX_LENGTH: Final = 10_485_760
_MAX_PRECISION: Final = 1000

_WIDER: Final = frozenset(
    {
        ("smallint", "integer"),
        ("smallint", "bigint"),
        ("smallint", "numeric"),
        ("smallint", "double precision"),
        ("integer", "bigint"),
        ("integer", "numeric"),
        ("integer", "double precision"),
        ("bigint", "numeric"),
        ("real", "double precision"),
        ("character varying", "text"),
    }
)
"""The safe widenings, but for lengths and precisions."""

_NUMERIC: Final = re.compile(r"numeric\((\d+),(\d+)\)\Z")
_VARYING: Final = re.compile(r"character varying\((\d+)\)\Z")

SUPPORTED: Final = (
    "smallint, integer, bigint, numeric(p,s), real, double precision, boolean, text, varchar(n), "
    "char(n), date, time, timestamp, timestamptz, uuid, json, jsonb"
)


def canonical_type(text: str) -> str:
    """The type as `format_type` would print it.

    Raises:
        ValueError: the type is not one that a contract may name; says which are.
    """
    folded = " ".join(text.lower().split())
    if folded in _PLAIN:
        return _PLAIN[folded]
    if match := _LENGTH.match(folded):
        return _with_length(match[1], int(match[2]), text)
    if match := _PRECISION.match(folded):
        return _with_precision(int(match[1]), int(match[2] or 0), text)
    raise ValueError(f"unknown type {text!r}; supported are {SUPPORTED}")


def widens(old: str, new: str) -> bool:
    """Whether every value of one type is the same value of the other; types in canonical spelling.

    A type widens itself, and a widening of a widening is one. Not among them, though a cast
    exists: char(n) to text trims blanks, json to jsonb changes the text, date to timestamp reads
    other texts, bigint to double precision rounds.
    """
    if old == new or (old, new) in _WIDER:
        return True
    numeric, length = _NUMERIC.match(old), _VARYING.match(old)
    if numeric:
        return new == "numeric" or _holds_numeric(numeric, _NUMERIC.match(new))
    if length:
        wider = _VARYING.match(new)
        unlimited = new in ("character varying", "text")
        return unlimited or bool(wider and int(wider[1]) >= int(length[1]))
    return False


def _holds_numeric(old: re.Match[str], new: re.Match[str] | None) -> bool:
    if new is None:
        return False
    (old_digits, old_scale), (digits, scale) = (map(int, one.groups()) for one in (old, new))
    return scale >= old_scale and digits - scale >= old_digits - old_scale


def _with_length(name: str, length: int, text: str) -> str:
    if not 1 <= length <= _MAX_LENGTH:
        raise ValueError(f"the length in {text!r} must be 1 to {_MAX_LENGTH}")
    return f"{'character' if name in ('char', 'character') else 'character varying'}({length})"


def _with_precision(precision: int, scale: int, text: str) -> str:
    if not 1 <= precision <= _MAX_PRECISION or scale > precision:
        raise ValueError(
            f"in {text!r} the precision must be 1 to {_MAX_PRECISION} and the scale at most that"
        )
    return f"numeric({precision},{scale})"

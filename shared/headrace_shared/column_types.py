"""The column types that a contract may name, in Postgres's own canonical spelling.

Types reach SQL as text, so nothing outside this list and grammar ever does: a name of the list,
arrays of them, and types of the warehouse's own by schema and name, which the loader asks Postgres
about. The canonical names are those that `format_type` gives, so that a contract can be compared
with the table in the database.
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

_FURTHER: Final = frozenset(
    {
        *("inet", "cidr", "macaddr", "macaddr8", "interval", "bytea", "bit varying"),
        *("int4range", "int8range", "numrange"),
        *("int4multirange", "int8multirange", "nummultirange"),
    }
)
"""Types whose values only Postgres reads. A type of dates and times is not among them, nor an array
or a range of such: their texts are looked at first, one by one."""

_BITS = re.compile(r"(bit|bit varying|varbit) ?\( ?([0-9]{1,8}) ?\)\Z")
_NAMED = re.compile(
    r"(?!pg_|information_schema\.)[a-z_][a-z0-9_]{0,62}\.[a-z_][a-z0-9_]{0,62}"
    r"(?:\([0-9]{1,4}(?:,[0-9]{1,4})?\))?\Z"
)

_NOT_TAKEN: Final = {
    "money": "which reads a number by a setting of the session; use numeric",
    "xml": "which reads a text by a setting of the session; use text",
    "timetz": "whose values have no order; use time or timestamptz",
    "time with time zone": "whose values have no order; use time or timestamptz",
}

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
    "char(n), date, time, timestamp, timestamptz, uuid, json, jsonb, inet, cidr, macaddr, "
    "macaddr8, interval, bytea, bit(n), bit varying(n), ranges of numbers (int4range), arrays "
    "(integer[]), and types of the warehouse by schema and name (public.citext)"
)


def canonical_type(text: str) -> str:
    """The type as `format_type` would print it.

    Raises:
        ValueError: the type is not one that a contract may name; says which are.
    """
    folded = " ".join(text.lower().split())
    if folded.endswith("[]"):
        return _array_of(folded.rstrip("[] "), text)
    if folded in _FURTHER or _NAMED.match(folded):
        return folded
    if folded in _NOT_TAKEN:
        raise ValueError(f"{text!r} is a type {_NOT_TAKEN[folded]}")
    if match := _BITS.match(folded):
        return _with_length(match[1].replace("varbit", "bit varying"), int(match[2]), text)
    if folded in _PLAIN:
        return _PLAIN[folded]
    if match := _LENGTH.match(folded):
        return _with_length(match[1], int(match[2]), text)
    if match := _PRECISION.match(folded):
        return _with_precision(int(match[1]), int(match[2] or 0), text)
    raise ValueError(f"unknown type {text!r}; supported are {SUPPORTED}")


def is_further(kind: str) -> bool:
    """Whether a type, in canonical spelling, is none whose values Headrace itself knows: an array,
    a type of the warehouse's own, or one that only Postgres reads."""
    return kind.endswith("[]") or is_named(kind) or kind.partition("(")[0] in {*_FURTHER, "bit"}


def is_named(kind: str) -> bool:
    """Whether a type, in canonical spelling, is one of the warehouse's own, or an array of such."""
    return "." in kind


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
    if name.startswith("bit"):
        return f"{name}({length})"
    return f"{'character' if name in ('char', 'character') else 'character varying'}({length})"


def _array_of(element: str, text: str) -> str:
    kind = canonical_type(element)
    if kind.startswith(("date", "time")):
        raise ValueError(
            f"the type {text!r} has dates or times in it, which Postgres reads by the clock and by "
            "settings; use text[]"
        )
    return f"{kind}[]"


def _with_precision(precision: int, scale: int, text: str) -> str:
    if not 1 <= precision <= _MAX_PRECISION or scale > precision:
        raise ValueError(
            f"in {text!r} the precision must be 1 to {_MAX_PRECISION} and the scale at most that"
        )
    return f"numeric({precision},{scale})"

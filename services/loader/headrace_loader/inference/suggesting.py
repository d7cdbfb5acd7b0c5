"""The contract that a file's profile suggests, and what is not sure about it. Without I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from headrace_loader.inference.profiling import ColumnProfile, Profile
from headrace_shared.identifiers import RULE, safe_column

_INTEGERS: Final = (("smallint", 2**15), ("integer", 2**31), ("bigint", 2**63))
_TYPES: Final = {
    "is_boolean": "boolean",
    "is_date": "date",
    "is_timestamp": "timestamp",
    "is_timestamptz": "timestamptz",
    "is_time": "time",
    "is_uuid": "uuid",
    "is_json": "jsonb",
}
_KEY_ENDS: Final = ("id", "key", "code", "number", "no", "uuid", "name")
_FEW_ROWS: Final = 20
_DIGITS: Final = 1_000
"""The most of a numeric: https://www.postgresql.org/docs/current/datatype-numeric.html"""


@dataclass(frozen=True)
class Inferred:
    """A contract's document, and sentences on what to look at before it is used."""

    document: dict[str, Any]
    unsure: tuple[str, ...]


def inferred(profile: Profile, encoding: str, *, guessed: bool, whole: bool) -> Inferred:
    """What the profile suggests.

    Args:
        encoding: the file's.
        guessed: the encoding is the likeliest one alone.
        whole: the profile is of all of the file's rows.
    """
    unsure = [*_of_file(profile, encoding, guessed=guessed, whole=whole)]
    columns = []
    for number, column in enumerate(profile.columns, 1):
        kind, doubt = _type(column)
        name = safe_column(column.name.strip())
        if name is None:
            name = _made_safe(column.name, number)
            unsure.append(
                f"{column.name!r} cannot be a column's name ({RULE}): {name} here; the header of "
                "the file has to be changed too"
            )
        unsure += [f"{name}: {doubt}"] if doubt else []
        nullable = column.nulls > 0 or not whole or not column.values
        columns.append({"name": name, "type": kind, "nullable": nullable})
    document: dict[str, Any] = {"columns": columns}
    if whole and (key := _key(profile)):
        document["primary_key"] = [columns[key - 1]["name"]]
    if dialect := _dialect(profile, encoding):
        document["format"] = dialect
    return Inferred(document, tuple(unsure))


def _of_file(profile: Profile, encoding: str, *, guessed: bool, whole: bool) -> Iterator[str]:
    if not whole:
        yield (
            f"only the first {profile.rows:,} rows were looked at: every column may be null, and "
            "no key is named"
        )
    elif profile.rows < _FEW_ROWS:
        yield f"{profile.rows:,} rows are few: types and nulls may be too narrow for the next file"
    if guessed:
        yield f"the file is not UTF-8; {encoding} is the likeliest"
    if not profile.header:
        yield "no header was found: the columns are named in their order"
    if profile.null:
        yield f"{profile.null!r} is taken for null"


def _type(column: ColumnProfile) -> tuple[str, str | None]:
    """The type, and what is to be doubted about it."""
    if not column.values:
        return "text", "it has no values, so its type is unknown"
    if column.answers["is_decimal"] and column.leading_zero is not None:
        return "text", f"{column.leading_zero!r} begins with a zero: kept as text"
    plain = (kind for question, kind in _TYPES.items() if column.answers[question])
    return next(plain, None) or _number(column) or "text", None


def _number(column: ColumnProfile) -> str | None:
    if column.answers["is_integer"]:
        return _integer(column)
    if column.answers["is_decimal"] and column.digits + column.scale <= _DIGITS:
        return f"numeric({max(column.digits + column.scale, 1)},{column.scale})"
    return "double precision" if column.answers["is_float"] else None


def _integer(column: ColumnProfile) -> str:
    assert column.least is not None
    assert column.most is not None
    for kind, end in _INTEGERS:
        if -end <= column.least and column.most < end:
            return kind
    return f"numeric({column.digits},0)"


def _key(profile: Profile) -> int | None:
    """The place of the first column that could be the key: every row has another value, and its
    name sounds like one or it is the first."""
    for number, column in enumerate(profile.columns, 1):
        unique = column.values == column.distinct == profile.rows and profile.rows > 1
        kind = _type(column)[0]
        sounds = number == 1 or column.name.strip().lower().endswith(_KEY_ENDS)
        if unique and sounds and not kind.startswith(("double", "jsonb", "numeric")):
            return number
    return None


def _dialect(profile: Profile, encoding: str) -> dict[str, Any]:
    """What differs from the contract's own defaults."""
    values = {
        "delimiter": (profile.delimiter, ","),
        "quote": (profile.quote, '"'),
        "escape": (profile.escape, profile.quote),
        "header": (profile.header, True),
        "null": (profile.null, ""),
        "encoding": (encoding, "utf-8"),
    }
    return {name: found for name, (found, usual) in values.items() if found != usual}


def _made_safe(name: str, number: int) -> str:
    letters = "".join(one if one.isascii() and one.isalnum() else "_" for one in name.strip())
    candidate = letters.lower().strip("_")[:50]
    return safe_column(candidate) or safe_column(f"c_{candidate}") or f"column_{number}"

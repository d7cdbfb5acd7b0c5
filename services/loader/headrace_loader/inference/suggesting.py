"""The contract that profiles suggest, and what is not sure about it. Without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from headrace_loader.inference.fields import Fields, SourceField
from headrace_loader.inference.forms import Marks
from headrace_loader.inference.profiling import Profile
from headrace_shared.contract import MAX_COLUMNS
from headrace_shared.field_names import folded, normalised_names

_INTEGERS: Final = (("smallint", 2**15), ("integer", 2**31), ("bigint", 2**63))
_AS_WRITTEN: Final = ("boolean", "date", "timestamp", "timestamptz", "time", "uuid", "jsonb")
_TIMES: Final = ("date", "timestamp", "timestamptz", "time", "uuid")
_KEY_NAMES: Final = ("id", "uuid", "guid")
_KEY_ENDS: Final = ("_id", "_uuid", "_guid")
_FEW_ROWS: Final = 20
_UNSURE_MARKS: Final = (
    "numbers with a comma or a point may be decimals or thousands: they are text here; say which "
    'with "decimal" and "thousands" in the format'
)
_DIGITS: Final = 1_000
"""The most of a numeric: https://www.postgresql.org/docs/current/datatype-numeric.html"""


@dataclass(frozen=True)
class Inferred:
    """A contract's document, and sentences on what to look at before it is used."""

    document: dict[str, Any]
    unsure: tuple[str, ...]


@dataclass(frozen=True)
class _Column:
    """`formats`: of times. `doubt`: a sentence."""

    kind: str
    formats: Sequence[str] = ()
    doubt: str | None = None


def inferred(
    fields: Fields, profiles: Sequence[Profile] | None, *, whole: bool, tight: bool
) -> Inferred:
    """What the fields suggest.

    Args:
        profiles: of the values of each field; None where the file itself says the types.
        whole: the profiles are of all rows.
        tight: the smallest types that hold every value that was seen, and no nulls where none
            was; else types that leave room for the next file.
    """
    unsure = [*fields.unsure, *_of_rows(fields, whole=whole, tight=tight)]
    document: dict[str, Any] = {}
    format_, marks = dict(fields.format), None
    if profiles is not None:
        marks, doubts = _marks(profiles)
        unsure += doubts
        format_ |= _of_values(profiles, marks, unsure)
    names = normalised_names([one.name for one in fields.fields])
    columns = []
    for place, (source, name) in enumerate(zip(fields.fields, names, strict=True)):
        found = _column(source, profiles[place] if profiles else None, marks, tight=tight)
        unsure += [f"{name}: {found.doubt}"] if found.doubt else []
        one = profiles[place] if profiles else None
        columns.append(_document(source, name, found, one, whole=whole, tight=tight))
    document["columns"] = columns
    if profiles is not None and whole and (key := _key(columns, profiles, fields.rows)):
        document["primary_key"] = [key]
        unsure.append(
            f"primary_key {key}: by its name, and because each of the {fields.rows:,} rows has "
            "another value; remove it if two rows may share one"
        )
    if format_:
        document["format"] = format_
    if len(columns) > MAX_COLUMNS:
        unsure.append(f"a table takes {MAX_COLUMNS:,} columns at most, not {len(columns):,}")
    return Inferred(document, tuple(unsure))


def _of_rows(fields: Fields, *, whole: bool, tight: bool) -> Iterator[str]:
    if not whole:
        yield f"only the first {fields.rows:,} rows were looked at, so no key is named"
    elif tight and fields.rows < _FEW_ROWS:
        yield f"{fields.rows:,} rows are few: types and nulls may be too narrow for the next file"


def _marks(profiles: Iterable[Profile]) -> tuple[Marks | None, list[str]]:
    """The marks in numbers that most fields bear; None where none has other ones than usual."""
    votes: Counter[Marks] = Counter()
    of_each = [one.marks for one in profiles if one.marks]
    for marks in of_each:
        votes.update(marks)
    if not votes:
        return None, []
    most = max(votes.values())
    best = [one for one in votes if votes[one] == most]
    decimals = {one.decimal for one in best}
    if len(decimals) > 1:
        return None, [_UNSURE_MARKS]
    return min(best, key=lambda one: (one.thousands is not None, best.index(one))), []


def _of_values(
    profiles: Sequence[Profile], marks: Marks | None, unsure: list[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if marks is not None:
        found["decimal"] = marks.decimal
        found |= {"thousands": marks.thousands} if marks.thousands else {}
        found = {name: one for name, one in found.items() if (name, one) != ("decimal", ".")}
    if any(one.empties and _is_no_text(one, marks) for one in profiles):
        found["null_quoted"] = True
        unsure.append('empty values in quotes ("") are taken for null, in every column')
    return found


def _is_no_text(one: Profile, marks: Marks | None) -> bool:
    return bool(one.values) and _of_profile(one, marks, tight=False).kind != "text"


def _column(
    source: SourceField, one: Profile | None, marks: Marks | None, *, tight: bool
) -> _Column:
    if source.kind is not None and (one is None or source.kind in ("boolean", "jsonb")):
        return _Column(source.kind)
    assert one is not None
    found = _of_profile(one, marks, tight=tight)
    # What a JSON file keeps as a string is no number to its writer.
    if source.kind is not None and found.kind not in (*_TIMES, "text"):
        return _Column("text")
    return found


def _of_profile(one: Profile, marks: Marks | None, *, tight: bool) -> _Column:
    if not one.values:
        return _Column("text", doubt="it has no values, so its type is unknown")
    if one.answers["number"] and one.leading_zero is not None:
        return _Column("text", doubt=f"{one.leading_zero!r} begins with a zero: kept as text")
    plain = next((kind for kind in _AS_WRITTEN if one.answers[kind]), None)
    kind = plain or _number(one, marks, tight=tight)
    return _Column(kind) if kind else _of_times(one)


def _of_times(one: Profile) -> _Column:
    if one.times is None:
        return _Column("text")
    if one.times.ambiguous:
        forms = ", ".join(one.times.ambiguous[:3])
        return _Column(
            "text", doubt=f"its dates can be read in several ways ({forms}): name one in formats"
        )
    return _Column(one.times.kind, one.times.formats)


def _number(one: Profile, marks: Marks | None, *, tight: bool) -> str | None:
    if one.answers["integer"]:
        return _integer(one, tight=tight)
    if one.answers["number"]:
        # With other marks in force a point is no decimal point.
        if marks is not None and marks.decimal != ".":
            return None
        return _decimal(one, tight=tight)
    if marks is not None and marks in one.marks:
        return "numeric"
    return "double precision" if one.answers["float"] else None


def _integer(one: Profile, *, tight: bool) -> str:
    assert one.least is not None
    assert one.most is not None
    for kind, end in _INTEGERS if tight else _INTEGERS[-1:]:
        if -end <= one.least and one.most < end:
            return kind
    return f"numeric({one.digits},0)" if tight else "numeric"


def _decimal(one: Profile, *, tight: bool) -> str:
    digits = one.digits + one.scale
    return f"numeric({max(digits, 1)},{one.scale})" if tight and digits <= _DIGITS else "numeric"


def _document(
    source: SourceField,
    name: str,
    found: _Column,
    one: Profile | None,
    *,
    whole: bool,
    tight: bool,
) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": found.kind}
    if isinstance(source.origin, int):
        column["from"] = {"position": source.origin}
    elif folded(source.origin) != name:
        column["from"] = source.origin
    if found.formats:
        column["formats"] = list(found.formats)
    if tight and whole and one is not None:
        column["nullable"] = not one.values or one.nulls > 0 or one.empties > 0
    if one is None and not source.nullable:
        column["nullable"] = False
    return column


def _key(columns: Sequence[dict[str, Any]], profiles: Sequence[Profile], rows: int) -> str | None:
    """The first column of whose values every row has another, and whose name says that it tells
    rows apart."""
    for column, one in zip(columns, profiles, strict=True):
        name = str(column["name"])
        sounds = name in _KEY_NAMES or name.endswith(_KEY_ENDS)
        is_unique = one.values == one.distinct == rows and rows > 1
        if sounds and is_unique and column["type"] != "jsonb":
            return name
    return None


def merged(parts: Sequence[Fields]) -> Fields:
    """The fields of several files of one kind, each field once."""
    first = parts[0]
    found: dict[str | int, SourceField] = {}
    for part in parts:
        for one in part.fields:
            known = found.setdefault(_identity(one), one)
            nullable = known.nullable or one.nullable
            kind = known.kind if known.kind == one.kind else _wider(known.kind, one.kind)
            found[_identity(one)] = replace(known, nullable=nullable, kind=kind)
    missing = {key for key in found if not all(key in map(_identity, p.fields) for p in parts)}
    fields = [replace(one, nullable=one.nullable or key in missing) for key, one in found.items()]
    unsure = [*dict.fromkeys(doubt for part in parts for doubt in part.unsure)]
    unsure += [f"{found[key].name!r} is not in every file" for key in missing]
    return Fields(fields, first.format, sum(part.rows for part in parts), unsure)


def _identity(one: SourceField) -> str | int:
    return folded(one.origin) if isinstance(one.origin, str) else one.origin


def _wider(one: str | None, other: str | None) -> str | None:
    """A kind that holds both: of numbers numeric, else text."""
    numbers = ("smallint", "integer", "bigint", "real", "double precision", "numeric")
    if one is None or other is None:
        return one or other
    if {one.partition("(")[0], other.partition("(")[0]} <= set(numbers):
        return _wider_number(one, other)
    return "text" if "jsonb" not in (one, other) else "jsonb"


def _wider_number(one: str, other: str) -> str:
    ranks = ("smallint", "integer", "bigint")
    if one in ranks and other in ranks:
        return max(one, other, key=ranks.index)
    return "double precision" if {one, other} <= {"real", "double precision"} else "numeric"

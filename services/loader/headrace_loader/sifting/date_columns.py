"""The fields of a column of dates or times that are not written as most are, in ISO 8601.

What is (`2026-01-31`, `2026-01-31T10:11:12.5Z`) has one reading and loses nothing, and numpy knows
it for a fraction of what COPY takes. Each of the others has to be looked at. Without I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from headrace_loader.sifting.date_texts import is_of_times
from headrace_loader.sifting.quoting import Bytes, Indices, Mask
from headrace_loader.sifting.structure import Records
from headrace_shared.contract import Column
from headrace_shared.file_formats import CsvFormat

_LONGEST: Final = 40
"""Bytes of a field that is looked at here."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a field looks like.

    Args:
        head: what its first places have: `0` for a digit, `T` for a T or a space, else the
            character itself.
        rest: the characters beside digits that may stand after it.
        last: the one beside digits that may stand at the last place, if that is after the head.
        least: a field may be so many bytes of the head alone.
    """

    head: str
    rest: str
    last: str
    least: int

    def at(self, place: int, length: int) -> str:
        """The characters that a place may have."""
        if place < len(self.head):
            return {"0": _DIGITS, "T": "T "}.get(self.head[place], self.head[place])
        return _DIGITS + (self.last if place == length - 1 else self.rest)


_DIGITS: Final = "0123456789"
_SHAPES: Final[Mapping[str, _Shape]] = {
    "date": _Shape("0000-00-00", "", "", 10),
    "time without time zone": _Shape("00:00", ":.", "", 5),
    "timestamp without time zone": _Shape("0000-00-00T00:00", ":.", "Z", 10),
    "timestamp with time zone": _Shape("0000-00-00T00:00", ":.+-", "Z", 10),
}


def columns_of_times(columns: Sequence[Column]) -> Mapping[int, str]:
    """The places of the columns with dates and times, and their types."""
    return {place: one.type for place, one in enumerate(columns) if is_of_times(one)}


def unclear(
    records: Records, rows: Indices, place: int, column_type: str, dialect: CsvFormat
) -> Indices:
    """The records whose field is not in ISO 8601, and not null.

    Args:
        rows: records that have such a field.
        place: of the field.
    """
    data = np.frombuffer(records.data, np.uint8)
    starts, ends = _spans(records, rows, place)
    starts, ends = _unquoted(data, starts, ends, ord(dialect.quote))
    clear = _is_null(data, starts, ends, dialect.null.encode())
    clear |= _is_shaped(data, starts, ends, _SHAPES[column_type])
    found: Indices = rows[~clear]
    return found


def _spans(records: Records, rows: Indices, place: int) -> tuple[Indices, Indices]:
    first = records.first_separators()[rows]
    ends = records.separators[first + place]
    if place == 0:
        return records.starts()[rows], ends
    return records.separators[first + place - 1] + 1, ends


def _unquoted(data: Bytes, starts: Indices, ends: Indices, quote: int) -> tuple[Indices, Indices]:
    """The fields without the quotes around them."""
    if not len(data):
        return starts, ends
    quoted = (data[starts] == quote) & (data[ends - 1] == quote) & (ends - starts > 1)
    return starts + quoted, ends - quoted


def _is_null(data: Bytes, starts: Indices, ends: Indices, null: bytes) -> Mask:
    found: Mask = ends - starts == len(null)
    for at, byte in enumerate(null):
        found[found] = data[starts[found] + at] == byte
    return found


def _is_shaped(data: Bytes, starts: Indices, ends: Indices, shape: _Shape) -> Mask:
    lengths = np.minimum(ends - starts, _LONGEST + 1)
    fits: Mask = np.zeros(len(lengths), np.bool_)
    for length in np.flatnonzero(np.bincount(lengths)).tolist():
        longer = len(shape.head) < length <= _LONGEST and bool(shape.rest)
        if longer or length in (shape.least, len(shape.head)):
            alike = np.flatnonzero(lengths == length)
            fields = sliding_window_view(data, length)[starts[alike]]
            fits[alike] = _are_shaped(fields, *_ranges(shape, length))
    return fits


@lru_cache
def _ranges(shape: _Shape, length: int) -> tuple[Bytes, Bytes, Mapping[int, Mask]]:
    """For each place the lowest byte and how far the highest is from it; and for the places that
    may not have each byte between, those that they may."""
    lowest, widths, others = list[int](), list[int](), dict[int, Mask]()
    for place in range(length):
        allowed = sorted(shape.at(place, length).encode())
        lowest.append(allowed[0])
        widths.append(allowed[-1] - allowed[0])
        if len(allowed) <= widths[-1]:
            others[place] = np.zeros(256, np.bool_)
            others[place][allowed] = True
    return np.array(lowest, np.uint8), np.array(widths, np.uint8), others


def _are_shaped(fields: Bytes, lowest: Bytes, widths: Bytes, others: Mapping[int, Mask]) -> Mask:
    """For fields of one length."""
    # Unsigned: a byte below the lowest becomes a high one.
    within: Mask = (fields - lowest) <= widths
    fits: Mask = np.ones(len(fields), np.bool_)
    if not within.all():
        fits &= within.all(axis=1)
    for place, allowed in others.items():
        fits &= allowed[fields[:, place]]
    return fits

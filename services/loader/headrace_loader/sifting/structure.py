"""Where do the records of a CSV file begin and end, and how many fields has each? Without I/O.

COPY's rules: a quote opens or closes wherever it stands, a line end between quotes is text. So a
byte is text if the number of quotes before it is odd, which numpy tells for a quarter of a megabyte
in less than a millisecond. https://www.postgresql.org/docs/current/sql-copy.html (CSV Format)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from headrace_loader.csv_stream import line_too_long
from headrace_shared.file_formats import CsvFormat

Bytes: TypeAlias = npt.NDArray[np.uint8]
Indices: TypeAlias = npt.NDArray[np.intp]
Mask: TypeAlias = npt.NDArray[np.bool_]

SCAN_BYTES: Final = 256 * 1024
_LF: Final = 10
_CR: Final = 13


@dataclass(frozen=True, slots=True)
class Records:
    """Whole records that follow one another.

    Args:
        data: their bytes, each record ended by a line feed.
        ends: where each ends: the place after its line feed.
        separators: where each field ends: its delimiter, or the record's line feed.
        fields: how many fields each record has.
        lines: how many lines there are up to each record's end, as COPY counts them: line feeds.
        source_lines: the same as an editor counts them: a carriage return alone ends a line too.
        gone: the places in the source of carriage returns that are not in `data`.
        broken: one line of a record that cannot be read whole: a quote in it is not closed, or
            closed in another line, and the fields are too few or too many.
    """

    data: bytes
    ends: Indices
    separators: Indices
    fields: Indices
    lines: Indices
    source_lines: Indices
    gone: Indices
    broken: bool = False

    def __len__(self) -> int:
        """How many records there are."""
        return len(self.ends)

    @property
    def source_bytes(self) -> int:
        """How many bytes of the file they were."""
        return len(self.data) + len(self.gone)

    def start(self, index: int) -> int:
        """Where a record begins in `data`."""
        return int(self.ends[index - 1]) if index else 0

    def raw(self, index: int) -> bytes:
        """A record without its line end."""
        return self.data[self.start(index) : int(self.ends[index]) - 1]

    def source_offset(self, position: int) -> int:
        """How many bytes of the source come before a place in `data`."""
        before = self.gone - np.arange(len(self.gone))
        return position + int(np.searchsorted(before, position, side="left"))

    def starts(self) -> Indices:
        """Where the records begin."""
        return np.concatenate([np.zeros(1, np.intp), self.ends[:-1]])

    def first_separators(self) -> Indices:
        """For each record, which of the separators ends its first field."""
        return np.cumsum(self.fields) - self.fields


class RecordScanner:
    """Cuts a stream of bytes into whole records.

    Args:
        width: how many fields a record has to have.
        most_bytes: a line that is longer ends the reading; a quote that is not closed within as
            many bytes is taken for one that is never closed.
    """

    def __init__(self, dialect: CsvFormat, width: int, most_bytes: int) -> None:
        self._quote = ord(dialect.quote)
        self._delimiter = ord(dialect.delimiter)
        self._escape = ord(dialect.escape_character)
        self._comment = ord(dialect.comment) if dialect.comment else None
        self._width = width
        self._most = most_bytes
        self._pending = bytearray()
        self._wanted = SCAN_BYTES

    def feed(self, block: bytes) -> list[Records]:
        """The records that are whole with this block.

        Raises:
            PermanentError: a line is longer than the limit.
        """
        self._pending += block
        if len(self._pending) < self._wanted:
            return []
        found = list(self._cut(final=False))
        # A record of many blocks is not looked at anew with each of them.
        self._wanted = max(SCAN_BYTES, 2 * len(self._pending))
        return found

    def finish(self) -> list[Records]:
        """The records that are left at the end of the file."""
        if self._pending and self._pending[-1] not in (_LF, _CR):
            self._pending += b"\n"
        return list(self._cut(final=True))

    def _cut(self, *, final: bool) -> Iterator[Records]:
        data, position, look = bytes(self._pending), 0, SCAN_BYTES
        while position < len(data):
            stretch = data[position : position + look]
            at_end = position + len(stretch) == len(data)
            records = self._scan(stretch, last=final and at_end)
            if records is None and (len(stretch) >= self._most or (final and at_end)):
                records = self._first_line(stretch)
            if records is not None:
                yield records
                position, look = position + records.source_bytes, SCAN_BYTES
            elif at_end:
                break
            else:
                look *= 2
        self._pending = bytearray(data[position:])

    def _scan(self, data: bytes, *, last: bool) -> Records | None:
        """The whole records at the head of `data`, as far as the first that is broken; None if
        there is none."""
        given = np.frombuffer(data, np.uint8)
        if not last and data.endswith(b"\r"):
            given = given[:-1]  # is it the first half of a line end?
        inside = self._inside(given)
        plain, inside, gone = _with_line_feeds(given, inside)
        structural = (plain == self._delimiter) | (plain == _LF)
        separators = np.flatnonzero(structural & ~inside)
        enders = np.flatnonzero(plain[separators] == _LF)
        if not enders.size:
            return None
        fields = np.diff(enders, prepend=-1)
        ends = separators[enders] + 1
        if int(np.diff(ends, prepend=0).max()) > self._most:
            raise line_too_long(self._most)
        lines, source_lines = _lines(plain, ends, quoted=bool(inside.any()))
        whole = self._before_broken(plain, fields, ends, source_lines)
        if whole == 0:
            return self._first_line(data)
        length = int(ends[whole - 1])
        return Records(
            plain[:length].tobytes(),
            ends[:whole],
            separators[: int(enders[whole - 1]) + 1],
            fields[:whole],
            lines[:whole],
            source_lines[:whole],
            gone[gone - np.arange(len(gone)) < length],
        )

    def _inside(self, data: Bytes) -> Mask:
        quotes: Mask = data == self._quote
        if self._escape != self._quote and bool((data == self._escape).any()):
            quotes = self._unescaped(data, quotes)
        if not quotes.any():
            return quotes
        inside: Mask = np.bitwise_xor.accumulate(quotes)
        return inside

    def _unescaped(self, data: Bytes, quotes: Mask) -> Mask:
        """The quotes that are not escaped; an escape counts between quotes alone."""
        unescaped, inside, skip = quotes.copy(), False, -1
        for place in np.flatnonzero(quotes | (data == self._escape)).tolist():
            if place == skip:
                unescaped[place] = False
            elif data[place] == self._quote:
                inside = not inside
            elif inside and place + 1 < len(data):
                skip = place + 1 if data[place + 1] in (self._quote, self._escape) else -1
        return unescaped

    def _before_broken(self, data: Bytes, fields: Indices, ends: Indices, lines: Indices) -> int:
        """How many records there are before the first that spans lines and should not."""
        spans = np.diff(lines, prepend=0) > 1
        if not spans.any():
            return len(ends)
        suspect = fields != self._width
        if self._comment is not None:
            starts = np.concatenate([np.zeros(1, np.intp), ends[:-1]])
            suspect |= data[starts] == self._comment
        broken = np.flatnonzero(spans & suspect)
        return int(broken[0]) if broken.size else len(ends)

    def _first_line(self, data: bytes) -> Records:
        """The first line of what cannot be read as a record, as a broken one."""
        found = re.search(rb"\r\n|\n|\r", data)
        if found is None or found.end() > self._most:
            raise line_too_long(self._most)
        line = data[: found.start()] + b"\n"
        removed = found.end() - len(line)
        plain = np.frombuffer(line, np.uint8)
        separators = np.flatnonzero((plain == self._delimiter) | (plain == _LF))
        return Records(
            line,
            np.array([len(line)]),
            separators,
            np.array([len(separators)]),
            np.array([1]),
            np.array([1]),
            np.array([found.start()] if removed else [], np.intp),
            broken=True,
        )


def _with_line_feeds(data: Bytes, inside: Mask) -> tuple[Bytes, Mask, Indices]:
    """The bytes with every line end a line feed, and where carriage returns were left out.

    COPY takes the first line end of a file for the only kind, and refuses the others.
    """
    returns = np.flatnonzero((data == _CR) & ~inside)
    if not returns.size:
        return data, inside, returns
    following = data[np.minimum(returns + 1, len(data) - 1)]
    paired = (following == _LF) & (returns + 1 < len(data))
    plain = data.copy()
    plain[returns[~paired]] = _LF
    gone = returns[paired]
    kept = np.ones(len(data), np.bool_)
    kept[gone] = False
    return plain[kept], inside[kept], gone


def _lines(data: Bytes, ends: Indices, *, quoted: bool) -> tuple[Indices, Indices]:
    """The lines up to each end, as COPY counts them and as an editor does."""
    if not quoted:
        lines = np.arange(1, len(ends) + 1)
        return lines, lines
    feeds = data == _LF
    lines = np.searchsorted(np.flatnonzero(feeds), ends - 1, side="right")
    returns = data == _CR
    if not returns.any():
        return lines, lines
    alone = returns & ~np.append(feeds[1:], False)
    return lines, np.searchsorted(np.flatnonzero(feeds | alone), ends - 1, side="right")

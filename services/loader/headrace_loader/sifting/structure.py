"""Where do the records of a CSV file begin and end, and how many fields has each? Without I/O.

A line end between quotes is text; which bytes are between quotes, `quoting` finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from headrace_loader.csv_stream import line_too_long
from headrace_loader.sifting.damage import Damage
from headrace_loader.sifting.quoting import (
    CR,
    LF,
    Bytes,
    Indices,
    Mask,
    QuoteFinder,
    Quoting,
)
from headrace_shared.file_formats import CsvFormat

SCAN_BYTES: Final = 256 * 1024


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
        gone: the places in the source of bytes that are not in `data`: of carriage returns, and
            of delimiters that trail.
        stray: the places in `data` of quotes that are characters of unquoted fields.
        broken: they are lines of something that cannot be read as a record: a quote is not
            closed, or text follows one that closes a field.
    """

    data: bytes
    ends: Indices
    separators: Indices
    fields: Indices
    lines: Indices
    source_lines: Indices
    gone: Indices
    stray: Indices
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

    def first(self, count: int) -> Records:
        """The first ones alone."""
        length = int(self.ends[count - 1])
        return Records(
            self.data[:length],
            self.ends[:count],
            self.separators[: int(np.searchsorted(self.separators, length - 1)) + 1],
            self.fields[:count],
            self.lines[:count],
            self.source_lines[:count],
            self.gone[self.gone - np.arange(len(self.gone)) < length],
            self.stray[self.stray < length],
        )

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
        self._delimiter = ord(dialect.delimiter)
        self._comment = ord(dialect.comment) if dialect.comment else None
        self._may_trail = dialect.trailing_delimiter
        self._quotes = QuoteFinder(dialect)
        self._damage = Damage(dialect)
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
        if self._pending and self._pending[-1] not in (LF, CR):
            self._pending += b"\n"
        return list(self._cut(final=True))

    def _cut(self, *, final: bool) -> Iterator[Records]:
        data, position, look = bytes(self._pending), 0, SCAN_BYTES
        while position < len(data):
            stretch = data[position : position + look]
            at_end = position + len(stretch) == len(data)
            records, is_broken = self._scan(stretch, last=final and at_end)
            is_whole = len(stretch) >= self._most or (final and at_end)
            if is_broken or (records is None and is_whole):
                lines = self._damage.lines(data, position, self._most, final=final)
                records = None if lines is None else _broken_lines(lines, self._delimiter)
                at_end = True
            if records is not None:
                yield records
                position, look = position + records.source_bytes, SCAN_BYTES
            elif at_end:
                break
            else:
                look *= 2
        self._pending = bytearray(data[position:])

    def _scan(self, data: bytes, *, last: bool) -> tuple[Records | None, bool]:
        """The whole records at the head of `data`, as far as the first that is broken; None if
        there is none, with whether the first one is broken."""
        if not last and data.endswith(b"\r"):
            data = data[:-1]  # is it the first half of a line end?
        quoting = self._quotes.quoting(data)
        found = self._separated(np.frombuffer(data, np.uint8), quoting)
        if not found.ends.size:
            return None, quoting.broken is not None
        if int(np.diff(found.ends, prepend=0).max()) > self._most:
            raise line_too_long(self._most)
        whole = self._before_broken(found)
        return (found.first(whole), False) if whole else (None, True)

    def _separated(self, given: Bytes, quoting: Quoting) -> Records:
        plain, inside, gone = _with_line_feeds(given, quoting.inside)
        separators = self._separators(plain, inside)
        if self._may_trail:
            trailing = self._trailing(plain, separators)
            plain, inside, gone = _without(trailing, plain, inside, gone)
            separators = self._separators(plain, inside)
        enders = np.flatnonzero(plain[separators] == LF)
        ends = separators[enders] + 1
        lines, source_lines = _lines(plain, ends, quoted=bool(inside.any()))
        return Records(
            plain.tobytes(),
            ends,
            separators,
            np.diff(enders, prepend=-1),
            lines,
            source_lines,
            gone,
            quoting.stray - np.searchsorted(gone, quoting.stray),
        )

    def _separators(self, plain: Bytes, inside: Mask) -> Indices:
        return np.flatnonzero(((plain == self._delimiter) | (plain == LF)) & ~inside)

    def _trailing(self, plain: Bytes, separators: Indices) -> Indices:
        """The delimiters after which nothing comes, of records with one field too many.

        A record that is nothing but such a delimiter would become an empty line, which is no row.
        """
        enders = np.flatnonzero(plain[separators] == LF)
        is_wide = np.diff(enders, prepend=-1) == self._width + 1
        starts = np.concatenate([np.zeros(1, np.intp), separators[enders] + 1])[:-1][is_wide]
        last, ends = separators[enders[is_wide] - 1], separators[enders[is_wide]]
        found: Indices = last[(last == ends - 1) & (last > starts)]
        return found

    def _before_broken(self, found: Records) -> int:
        """How many records there are before the first that spans lines and should not."""
        spans = np.diff(found.source_lines, prepend=0) > 1
        if not spans.any():
            return len(found)
        suspect = found.fields != self._width
        if self._comment is not None:
            first_bytes = np.frombuffer(found.data, np.uint8)[found.starts()]
            suspect |= first_bytes == self._comment
        broken = (
            int(index)
            for index in np.flatnonzero(spans & suspect)
            if self._damage.begins_anew(found.raw(int(index)))
        )
        return next(broken, len(found))


def _broken_lines(lines: bytes, delimiter: int) -> Records:
    """Lines that cannot be read as records, each as one by itself."""
    given = np.frombuffer(lines, np.uint8)
    plain, _, gone = _with_line_feeds(given, np.zeros(len(given), np.bool_))
    separators = np.flatnonzero((plain == delimiter) | (plain == LF))
    enders = np.flatnonzero(plain[separators] == LF)
    counts = np.arange(1, len(enders) + 1)
    return Records(
        plain.tobytes(),
        separators[enders] + 1,
        separators,
        np.diff(enders, prepend=-1),
        counts,
        counts,
        gone,
        np.zeros(0, np.intp),
        broken=True,
    )


def _without(
    places: Indices, plain: Bytes, inside: Mask, gone: Indices
) -> tuple[Bytes, Mask, Indices]:
    """The bytes without those at some places."""
    if not places.size:
        return plain, inside, gone
    before = gone - np.arange(len(gone))
    sources = places + np.searchsorted(before, places, side="right")
    kept = np.ones(len(plain), np.bool_)
    kept[places] = False
    return plain[kept], inside[kept], np.sort(np.concatenate([gone, sources]))


def _with_line_feeds(data: Bytes, inside: Mask) -> tuple[Bytes, Mask, Indices]:
    """The bytes with every line end a line feed, and where carriage returns were left out.

    COPY takes the first line end of a file for the only kind, and refuses the others.
    """
    returns = np.flatnonzero((data == CR) & ~inside)
    if not returns.size:
        return data, inside, returns
    following = data[np.minimum(returns + 1, len(data) - 1)]
    paired = (following == LF) & (returns + 1 < len(data))
    plain = data.copy()
    plain[returns[~paired]] = LF
    gone = returns[paired]
    kept = np.ones(len(data), np.bool_)
    kept[gone] = False
    return plain[kept], inside[kept], gone


def _lines(data: Bytes, ends: Indices, *, quoted: bool) -> tuple[Indices, Indices]:
    """The lines up to each end, as COPY counts them and as an editor does."""
    if not quoted:
        lines = np.arange(1, len(ends) + 1)
        return lines, lines
    feeds = data == LF
    lines = np.searchsorted(np.flatnonzero(feeds), ends - 1, side="right")
    returns = data == CR
    if not returns.any():
        return lines, lines
    alone = returns & ~np.append(feeds[1:], False)
    return lines, np.searchsorted(np.flatnonzero(feeds | alone), ends - 1, side="right")

"""Batches of a CSV file: records with a fault in their structure are left out of what COPY gets.

What COPY would refuse the whole file for is found here: a wrong number of fields, a quote that is
not closed, a byte that is not UTF-8, a null where none may be. What it can pass over row by row,
values that are not of their column's type, is left to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from headrace_loader.csv_fields import value_of
from headrace_loader.header_lines import HeaderLines
from headrace_loader.sifting.batches import BadRecord, Fault, Fields, Record
from headrace_loader.sifting.date_columns import unclear
from headrace_loader.sifting.number_columns import has_fractions
from headrace_loader.sifting.quoting import Indices
from headrace_loader.sifting.rewriting import (
    Layout,
    RecordFields,
    converted,
    unconverted,
    with_strays_quoted,
)
from headrace_loader.sifting.structure import Records, RecordScanner
from headrace_shared.contract import Column

_LEADING: Final = 3
"""So many of a record's columns are named where it has too few or too many."""


@dataclass(frozen=True, slots=True)
class _Before:
    """How much of the file lies before a batch."""

    records: int = 0
    lines: int = 0
    source_bytes: int = 0
    leading: int = 0


class CsvBatch:
    """Some records of a CSV file."""

    def __init__(
        self, layout: Layout, records: Records, before: _Before, repeated: HeaderLines | None
    ) -> None:
        if has_fractions(records, layout.integers, len(layout.columns)):
            layout = layout.with_whole_numbers
        self._layout = layout
        self._records = records
        self._before = before
        self._measured = 0, 0
        found = self._data_records()
        self._taken = min(layout.leading - before.leading, len(found))
        self._data = found[self._taken :]
        self._headers = self._repeated(repeated) if repeated else frozenset()
        if layout.dialect.repeated_header == "skip":
            self._data = self._data[~np.isin(self._data, list(self._headers))]
        self._bad = {index: self._judged(index) for index in self._suspects()}
        self._sent = self._good()
        self._lines_sent = self._converted() if layout.converters else None

    def _good(self) -> Indices:
        if not self._bad:
            return self._data
        return self._data[~np.isin(self._data, list(self._bad))]

    def _converted(self) -> list[bytes]:
        """The rows with the values that Postgres can read; what cannot be converted is bad."""
        lines = []
        for index in self._sent.tolist():
            line = converted(RecordFields(self._records, index), self._layout)
            if line is None:
                self._bad[index] = self._judged(index)
            else:
                lines.append(line)
        self._bad = dict(sorted(self._bad.items()))
        self._sent = self._good()
        return lines

    @cached_property
    def payload(self) -> bytes:
        """The rows that look good, as they stand in the file but for their line ends, and quotes
        about values with stray ones."""
        records = self._records
        if self._lines_sent is not None:
            return b"".join(self._lines_sent)
        data, ends = records.data, records.ends
        if records.stray.size:
            data, ends = with_strays_quoted(records, self._layout.dialect)
        if len(self._sent) == len(records):
            return data
        sent = np.zeros(len(records), np.bool_)
        sent[self._sent] = True
        edges = np.flatnonzero(np.diff(sent.astype(np.int8), prepend=0, append=0))
        starts = np.concatenate([np.zeros(1, np.intp), ends[:-1]])
        pieces = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        return b"".join(data[int(starts[first]) : int(ends[last - 1])] for first, last in pieces)

    @property
    def lines(self) -> int:
        """How many lines the payload has."""
        return int(self._sent_lines[-1]) if len(self._sent) else 0

    @property
    def bad(self) -> Sequence[BadRecord]:
        """The records with a fault that shows without Postgres."""
        return list(self._bad.values())

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes."""
        records = self._records
        return len(records.data) + records.separators.nbytes + 4 * records.ends.nbytes

    @property
    def rows(self) -> int:
        """How many rows the payload has."""
        return len(self._sent)

    def place_of(self, line: int) -> int:
        """The place of the row whose last line in the payload is this one."""
        return int(np.searchsorted(self._sent_lines, line))

    def sent(self, place: int) -> tuple[Record, Fields]:
        """The record of a row of the payload, and its values."""
        index, layout = int(self._sent[place]), self._layout
        fields = RecordFields(self._records, index).values(layout.dialect)
        for column, convert in layout.converters.items():
            value = fields[column]
            fields[column] = None if value is None else convert(value)
        return self._record(index), fields

    def beside(self, places: Sequence[int]) -> Sequence[int]:
        """These places: a record is one row."""
        return places

    @property
    def after(self) -> _Before:
        """How much of the file lies before the next batch."""
        records, before = self._records, self._before
        return _Before(
            before.records + len(self._data),
            before.lines + int(records.source_lines[-1]),
            self._source_offset(len(records.data)),
            before.leading + self._taken,
        )

    @cached_property
    def _sent_lines(self) -> Indices:
        spans = np.diff(self._records.lines, prepend=0)
        return np.cumsum(spans[self._sent])

    def _data_records(self) -> Indices:
        """The records beside comments and empty lines; of a columnar file an empty line is a row
        with one null."""
        records = self._records
        starts = records.starts()
        first_bytes = np.frombuffer(records.data, np.uint8)[starts]
        data = np.ones(len(records), np.bool_)
        if self._layout.has_lines:
            data &= records.ends - starts > 1
        if self._layout.dialect.comment:
            data &= first_bytes != ord(self._layout.dialect.comment)
        return np.flatnonzero(data)

    def _repeated(self, lines: HeaderLines) -> frozenset[int]:
        """The data records that are the header again."""
        records = self._records
        if records.broken:
            return frozenset()
        places = np.array(lines.places(b"\n" + records.data), np.intp) - 1
        indices = np.searchsorted(records.ends, places, side="right")
        is_start = records.starts()[indices] == places
        return frozenset(indices[is_start].tolist()) & frozenset(self._data.tolist())

    def _suspects(self) -> list[int]:
        """The records that COPY must not get, in their order; the conversions aside."""
        if self._records.broken:
            return list(map(int, self._data))
        fields = self._records.fields[self._data]
        found = set(self._data[fields != len(self._layout.columns)].tolist())
        found |= (self._with_bad_bytes() | self._misplaced) & set(self._data.tolist())
        if self._layout.dialect.repeated_header == "refuse":
            found |= self._headers
        for place, column in enumerate(self._layout.columns):
            if not column.nullable:
                found |= set(self._nulls(place).tolist())
        return sorted(found | self._with_bad_texts())

    def _with_bad_texts(self) -> set[int]:
        """The records with a text that Postgres could read as something else; what is converted is
        looked at then."""
        layout, records, found = self._layout, self._records, set[int]()
        right = self._data[records.fields[self._data] == len(layout.columns)]
        for place, check in layout.checks.items():
            if place in layout.converters:
                continue
            kind = layout.columns[place].type
            for index in unclear(records, right, place, kind, layout.dialect).tolist():
                fields = RecordFields(records, index)
                value = fields.value(place, layout.dialect)
                if value is not None and check(value):
                    found.add(index)
        return found

    @cached_property
    def _misplaced(self) -> set[int]:
        """The records whose quotes within values could be the misplaced quotes of fields: taken
        for these, they close within the record, and a delimiter stands between two of them."""
        records = self._records
        owners = np.searchsorted(records.ends, records.stray, side="right")
        fields = np.searchsorted(records.separators, records.stray)
        indices, first, counts = np.unique(owners, return_index=True, return_counts=True)
        of_pairs = zip(indices.tolist(), first.tolist(), counts.tolist(), strict=True)
        return {
            index
            for index, start, count in of_pairs
            if count % 2 == 0
            and (fields[start : start + count : 2] != fields[start + 1 : start + count : 2]).any()
        }

    def _with_bad_bytes(self) -> set[int]:
        """The records with a NUL or a byte that is not UTF-8."""
        data, found = self._records.data, set[int]()
        position = data.find(b"\0")
        while position >= 0:
            index, end = self._record_of(position)
            found.add(index)
            position = data.find(b"\0", end)
        return found | {
            self._record_of(position)[0] for position in _not_utf8(data, self._records.ends)
        }

    def _judged(self, index: int) -> BadRecord:
        """A bad record with everything that is wrong with it, as far as it shows without
        Postgres."""
        if self._records.broken:
            return BadRecord(self._record(index), (_broken(),))
        if index in self._headers:
            return BadRecord(self._record(index), (_REPEATED_HEADER,))
        if index in self._misplaced:
            return BadRecord(self._record(index), (_MISPLACED,))
        fields = RecordFields(self._records, index)
        if len(fields) != len(self._layout.columns):
            byte = self._bad_byte(fields.start, fields.end)
            trails = fields.span(len(fields) - 1)[0] == fields.end - 1
            width = _width(len(fields), self._layout.columns, trails=trails)
            if self._has_late_quote(fields):
                width = replace(width, reason=f"{width.reason}{_LATE_QUOTE}")
            return BadRecord(self._record(index), (byte, width) if byte else (width,))
        faults: list[Fault] = []
        values = [self._value(fields, place, faults) for place in range(len(fields))]
        return BadRecord(self._record(index), tuple(faults), (values,))

    def _has_late_quote(self, fields: RecordFields) -> bool:
        """Whether blanks come before a quote that would open a field."""
        quote = self._layout.dialect.quote.encode()
        spans = map(fields.span, range(len(fields)))
        texts = (fields.data[start:end] for start, end in spans)
        return any(text[:1] == b" " and text.lstrip(b" ").startswith(quote) for text in texts)

    def _value(self, fields: RecordFields, place: int, faults: list[Fault]) -> str | None:
        """A value as COPY would get it; None where it is null or at fault."""
        column, (start, end) = self._layout.columns[place], fields.span(place)
        byte = self._bad_byte(start, end, column.name)
        if byte is not None:
            faults.append(byte)
            return None
        text = value_of(fields.data[start:end], self._layout.dialect)
        if text is None:
            if not column.nullable:
                faults.append(_null(column))
            return None
        try:
            value = self._layout.converters.get(place, str)(text)
        except ValueError as error:
            faults.append(unconverted(column, text, error))
            return None
        fault = self._layout.checks[place](value) if place in self._layout.checks else None
        if fault is not None:
            faults.append(fault)
            return None
        return value

    def _bad_byte(self, start: int, end: int, column: str | None = None) -> Fault | None:
        """The first byte in a part of the data that no text in Postgres can hold."""
        position = _bad_position(self._records.data[start:end])
        if position is None:
            return None
        place = self._source_offset(start + position)
        if self._records.data[start + position] == 0:
            what, shown = "a NUL, which no text in Postgres can hold", "0x00"
        else:
            bad = self._layout.source.bad_byte(self._records.data[start + position : end])
            what, shown = f"not {self._layout.source.name.upper()}", f"0x{bad:02x}"
        return Fault(
            "bad_encoding", f"byte {shown} at byte position {place} is {what}", column, shown
        )

    def _source_offset(self, position: int) -> int:
        """How many bytes of the file come before a place in the data of this batch."""
        records, source = self._records, self._layout.source
        place, measured = self._measured
        if position < place:
            place = measured = 0
        measured += source.length(records.data[place:position])
        self._measured = position, measured
        gone = records.source_offset(position) - position
        return self._before.source_bytes + measured + gone * source.length(b"\r")

    def _record_of(self, position: int) -> tuple[int, int]:
        index = int(np.searchsorted(self._records.ends, position, side="right"))
        return index, int(self._records.ends[index])

    def _nulls(self, place: int) -> Indices:
        """The records of the right width with a null in that field."""
        records, null = self._records, self._layout.dialect.null.encode()
        right = self._data[records.fields[self._data] == len(self._layout.columns)]
        first = records.first_separators()[right]
        ends = records.separators[first + place]
        starts = (
            records.starts()[right] if place == 0 else records.separators[first + place - 1] + 1
        )
        fitting = ends - starts == len(null)
        if null or self._layout.dialect.null_quoted:
            if self._layout.dialect.null_quoted:
                fitting |= ends - starts <= 2 * len(null) + 2
            looked_at = np.flatnonzero(fitting).tolist()
            nulls = [self._is_null(int(starts[i]), int(ends[i])) for i in looked_at]
            fitting[looked_at] = nulls
        found: Indices = right[fitting]
        return found

    def _is_null(self, start: int, end: int) -> bool:
        field = self._records.data[start:end]
        return _bad_position(field) is None and value_of(field, self._layout.dialect) is None

    def _record(self, index: int) -> Record:
        records, before = self._records, self._before
        number = before.records + int(np.searchsorted(self._data, index)) + 1
        raw = records.raw(index)
        if not self._layout.has_lines:
            return Record(number, None, None, raw)
        line = before.lines + (int(records.source_lines[index - 1]) if index else 0) + 1
        return Record(number, line, self._source_offset(records.start(index)), raw)


class CsvBatcher:
    """Cuts the bytes of a CSV file, which are UTF-8, into batches.

    Args:
        most_bytes: the longest line.
    """

    def __init__(self, layout: Layout, *, most_bytes: int) -> None:
        self._layout = layout
        self._scanner = RecordScanner(layout.dialect, len(layout.columns), most_bytes)
        self._before = _Before(source_bytes=layout.source.start)
        is_looked_for = layout.dialect.repeated_header != "accept"
        self._repeated = (
            HeaderLines(layout.header, layout.dialect) if layout.header and is_looked_for else None
        )

    def feed(self, block: bytes) -> list[CsvBatch]:
        """The batches that are whole with this block.

        Raises:
            PermanentError: a line is longer than the limit.
        """
        return [self._batch(records) for records in self._scanner.feed(block)]

    def finish(self) -> list[CsvBatch]:
        """What is left at the end of the file."""
        return [self._batch(records) for records in self._scanner.finish()]

    def _batch(self, records: Records) -> CsvBatch:
        batch = CsvBatch(self._layout, records, self._before, self._repeated)
        self._before = batch.after
        return batch


async def csv_batches(blocks: AsyncIterator[bytes], batcher: CsvBatcher) -> AsyncIterator[CsvBatch]:
    """The batches of a file, cut in a thread beside the event loop.

    Raises:
        PermanentError: a line is longer than the limit.
    """
    async for block in blocks:
        for batch in await asyncio.to_thread(batcher.feed, block):
            yield batch
    for batch in await asyncio.to_thread(batcher.finish):
        yield batch


def _not_utf8(data: bytes, ends: Indices) -> list[int]:
    """The first bad byte of each record that has one."""
    found, start = [], 0
    while start < len(data):
        try:
            data[start:].decode()
        except UnicodeDecodeError as error:
            found.append(start + error.start)
            start = int(ends[np.searchsorted(ends, start + error.start, side="right")])
        else:
            break
    return found


def _bad_position(data: bytes) -> int | None:
    """Where the first NUL is, or the first byte that is not UTF-8."""
    nul = data.find(b"\0")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start if nul < 0 else min(nul, error.start)
    return None if nul < 0 else nul


def _broken() -> Fault:
    return Fault(
        "bad_quoting",
        "a quote in this line is not closed or closes one of a line before, or text follows the "
        "quote that closes a field",
    )


_MISPLACED: Final = Fault(
    "bad_quoting",
    "quotes within values that are not quoted have a delimiter between them, so that it is not "
    'clear where the values end; quote these values, or name another "quote" in the contract\'s '
    "format",
)

_REPEATED_HEADER: Final = Fault(
    "repeated_header",
    'the line is the header again; "repeated_header" in the contract\'s format says whether such '
    "a line is left out (skip) or is a row (accept)",
)


_LATE_QUOTE: Final = "; a quote after a blank opens no field: no blank may come before it"


def _width(has: int, columns: Sequence[Column], *, trails: bool) -> Fault:
    """The wrong number of fields.

    Args:
        trails: nothing comes after the record's last delimiter.
    """
    kind = "few" if has < len(columns) else "many"
    named = ", ".join(column.name for column in columns[:_LEADING])
    more = ", ..." if len(columns) > _LEADING else ""
    reason = f"too {kind} fields: {has}, not {len(columns)} ({named}{more})"
    if trails and has == len(columns) + 1:
        reason += (
            '; the line ends with a delimiter: "trailing_delimiter": true in the contract\'s '
            "format allows it"
        )
    return Fault(f"too_{kind}_fields", reason)


def _null(column: Column) -> Fault:
    return Fault("null", "null, where the contract allows none", column=column.name)

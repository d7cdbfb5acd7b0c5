"""Rows of a CSV file with values that Postgres cannot read as they are written, written anew; all
other fields stay the bytes that they are. Without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from headrace_loader.csv_fields import quoted, value_of
from headrace_loader.sifting.batches import Fault
from headrace_loader.sifting.converting import Converter
from headrace_loader.sifting.date_texts import TextCheck
from headrace_loader.sifting.quoting import Indices
from headrace_loader.sifting.structure import Records
from headrace_loader.sifting.whole_numbers import is_integer, whole
from headrace_loader.sqlstate import shortened
from headrace_loader.text_decoding import UTF_8, SourceEncoding
from headrace_shared.contract import Column
from headrace_shared.file_formats import CsvFormat


@dataclass(frozen=True)
class Layout:
    """What the records of a file have to look like.

    Args:
        columns: in the file's order.
        converters: of columns whose values Postgres cannot read as they are written.
        checks: of columns whose values Postgres could read as something else.
        has_lines: the file is one that a person can open at a line.
        leading: so many records at the head of the file are no rows.
        header: the fields of the header, if the file has one.
        source: the encoding that the file is in.
    """

    dialect: CsvFormat
    columns: tuple[Column, ...]
    converters: Mapping[int, Converter] = field(default_factory=dict)
    checks: Mapping[int, TextCheck] = field(default_factory=dict)
    has_lines: bool = True
    leading: int = 0
    header: tuple[str, ...] | None = None
    source: SourceEncoding = UTF_8

    @cached_property
    def with_whole_numbers(self) -> Layout:
        """The layout of records with whole numbers that are not written in digits alone."""
        wholes = {place: whole for place in self.integers if place not in self.converters}
        converters = dict(sorted({**self.converters, **wholes}.items()))
        return replace(self, converters=converters)

    @cached_property
    def integers(self) -> tuple[int, ...]:
        """The places of the columns with whole numbers."""
        return tuple(place for place, one in enumerate(self.columns) if is_integer(one))


class RecordFields:
    """The fields of one record as they stand in the file."""

    def __init__(self, records: Records, index: int) -> None:
        self.data = records.data
        self.start, self.end = records.start(index), int(records.ends[index])
        last = int(np.searchsorted(records.separators, self.end - 1))
        width = int(records.fields[index])
        self._separators = records.separators[last - width + 1 : last + 1].tolist()
        self._may_stray = bool(records.stray.size)

    def __len__(self) -> int:
        """How many they are."""
        return len(self._separators)

    def values(self, dialect: CsvFormat) -> list[str | None]:
        """The values of the fields, as COPY reads them."""
        spans = map(self.span, range(len(self._separators)))
        return [value_of(self.data[start:end], dialect) for start, end in spans]

    def value(self, place: int, dialect: CsvFormat) -> str | None:
        """The value of a field, as COPY reads it; one that is not UTF-8 is judged by its bytes."""
        start, end = self.span(place)
        try:
            return value_of(self.data[start:end], dialect)
        except UnicodeDecodeError:
            return None

    def span(self, place: int) -> tuple[int, int]:
        """Where a field begins and ends in the data."""
        start = self.start if place == 0 else self._separators[place - 1] + 1
        return start, self._separators[place]

    def touched(self, layout: Layout) -> list[int]:
        """The fields that COPY cannot get as they are, by their places: those to convert, and
        those with a quote that is one of their characters."""
        if not self._may_stray:
            return list(layout.converters)
        quote = layout.dialect.quote.encode()
        spans = map(self.span, range(len(self)))
        return [
            place
            for place, (start, end) in enumerate(spans)
            if place in layout.converters or self.data.find(quote, start, end) > start
        ]


def converted(record: RecordFields, layout: Layout) -> bytes | None:
    """A row with the values that Postgres can read; None if a value cannot be converted."""
    dialect, pieces, done = layout.dialect, list[bytes](), record.start
    for place in record.touched(layout):
        start, end = record.span(place)
        text = value_of(record.data[start:end], dialect)
        if text is None:
            continue
        convert = layout.converters.get(place)
        try:
            value = quoted(text, dialect) if convert is None else convert(text)
        except ValueError:
            return None
        if convert is not None:
            if place in layout.checks and layout.checks[place](value):
                return None
            if dialect.delimiter in value:
                value = quoted(value, dialect)
        pieces += [record.data[done:start], value.encode()]
        done = end
    return b"".join([*pieces, record.data[done : record.end]])


def with_strays_quoted(records: Records, dialect: CsvFormat) -> tuple[bytes, Indices]:
    """The records as COPY reads them by our rule, for which a quote opens and closes wherever it
    stands: fields with a stray quote are quoted. With it, where each record ends now."""
    data = np.frombuffer(records.data, np.uint8)
    fields = np.unique(np.searchsorted(records.separators, records.stray))
    ends = records.separators[fields]
    starts = np.where(fields > 0, records.separators[fields - 1] + 1, 0)
    escaped = records.stray
    if dialect.escape_character != dialect.quote:
        escapes = np.flatnonzero(data == ord(dialect.escape_character))
        within = np.isin(np.searchsorted(records.separators, escapes), fields)
        escaped = np.concatenate([escaped, escapes[within]])
    places = np.concatenate([starts, escaped, ends])
    added = np.full(len(places), ord(dialect.quote), np.uint8)
    added[len(starts) : len(starts) + len(escaped)] = ord(dialect.escape_character)
    order = np.argsort(places, kind="stable")
    rewritten = np.insert(data, places[order], added[order])
    return rewritten.tobytes(), records.ends + np.searchsorted(places[order], records.ends)


def unconverted(column: Column, text: str, error: ValueError) -> Fault:
    """A value that is not written as the contract says."""
    shown = shortened(text)
    return Fault("type", f'"{shown}" {error}', column.name, shown)

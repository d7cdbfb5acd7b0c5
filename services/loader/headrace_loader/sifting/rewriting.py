"""Rows of a CSV file with values that Postgres cannot read as they are written, written anew; all
other fields stay the bytes that they are. Without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from headrace_loader.sifting.batches import Fault
from headrace_loader.sifting.converting import Converter
from headrace_loader.sifting.date_texts import TextCheck
from headrace_loader.sifting.structure import Records
from headrace_loader.sqlstate import shortened
from headrace_shared.contract import Column
from headrace_shared.file_formats import CsvFormat


@dataclass(frozen=True, slots=True)
class Layout:
    """What the records of a file have to look like.

    Args:
        columns: in the file's order.
        converters: of columns whose values Postgres cannot read as they are written.
        checks: of columns whose values Postgres could read as something else.
        has_lines: the file is one that a person can open at a line.
    """

    dialect: CsvFormat
    columns: tuple[Column, ...]
    converters: Mapping[int, Converter] = field(default_factory=dict)
    checks: Mapping[int, TextCheck] = field(default_factory=dict)
    has_lines: bool = True


class RecordFields:
    """The fields of one record as they stand in the file."""

    def __init__(self, records: Records, index: int) -> None:
        self.data = records.data
        self.start, self.end = records.start(index), int(records.ends[index])
        last = int(np.searchsorted(records.separators, self.end - 1))
        width = int(records.fields[index])
        self._separators = records.separators[last - width + 1 : last + 1].tolist()

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


def converted(record: RecordFields, layout: Layout) -> bytes | None:
    """A row with the values that Postgres can read; None if a value cannot be converted."""
    dialect, pieces, done = layout.dialect, list[bytes](), record.start
    for place, convert in layout.converters.items():
        start, end = record.span(place)
        text = value_of(record.data[start:end], dialect)
        if text is None:
            continue
        try:
            value = convert(text)
        except ValueError:
            return None
        if place in layout.checks and layout.checks[place](value):
            return None
        if dialect.delimiter in value:
            value = f"{dialect.quote}{value}{dialect.quote}"
        pieces += [record.data[done:start], value.encode()]
        done = end
    return b"".join([*pieces, record.data[done : record.end]])


def value_of(field: bytes, dialect: CsvFormat) -> str | None:
    """The value of a field, as COPY reads it: a quote opens and closes wherever it stands, which is
    not what Python's csv module makes of `a"b,c"d`; what is quoted is never null."""
    text = field.decode()
    if dialect.quote not in text:
        return None if text == dialect.null else text
    kept, inside, at = list[str](), False, 0
    while at < len(text):
        two = text[at : at + 2]
        if inside and two[0] == dialect.escape_character and two[1:] in (dialect.quote, two[0]):
            kept.append(two[1])
            at += 2
            continue
        if two[0] == dialect.quote:
            inside = not inside
        else:
            kept.append(two[0])
        at += 1
    return "".join(kept)


def unconverted(column: Column, text: str, error: ValueError) -> Fault:
    """A value that is not written as the contract says."""
    shown = shortened(text)
    return Fault("type", f'"{shown}" {error}', column.name, shown)

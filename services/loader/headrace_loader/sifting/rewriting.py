"""Rows of a CSV file with values that Postgres cannot read as they are written, written anew; all
other fields stay the bytes that they are. Without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from headrace_loader.csv_stream import fields_of
from headrace_loader.sifting.batches import Fault
from headrace_loader.sifting.converting import Converter
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
        has_lines: the file is one that a person can open at a line.
    """

    dialect: CsvFormat
    columns: tuple[Column, ...]
    converters: Mapping[int, Converter] = field(default_factory=dict)
    has_lines: bool = True


class RecordFields:
    """The fields of one record as they stand in the file."""

    def __init__(self, records: Records, index: int) -> None:
        self.data = records.data
        self.start, self.end = records.start(index), int(records.ends[index])
        last = int(np.searchsorted(records.separators, self.end - 1))
        width = int(records.fields[index])
        self._separators = records.separators[last - width + 1 : last + 1].tolist()

    def span(self, place: int) -> tuple[int, int]:
        """Where a field begins and ends in the data."""
        start = self.start if place == 0 else self._separators[place - 1] + 1
        return start, self._separators[place]


def converted(record: RecordFields, layout: Layout) -> tuple[bytes, tuple[Fault, ...]]:
    """A row with the values that Postgres can read, or what hinders it."""
    dialect, pieces, done = layout.dialect, list[bytes](), record.start
    faults = []
    for place, convert in layout.converters.items():
        start, end = record.span(place)
        raw = record.data[start:end]
        if raw == dialect.null.encode():
            continue
        text = fields_of(raw, dialect)[0] if dialect.quote.encode() in raw else raw.decode()
        try:
            value = convert(text or "")
        except ValueError as error:
            faults.append(unconverted(layout.columns[place], text or "", error))
            continue
        if dialect.delimiter in value:
            value = f"{dialect.quote}{value}{dialect.quote}"
        pieces += [record.data[done:start], value.encode()]
        done = end
    return b"".join([*pieces, record.data[done : record.end]]), tuple(faults)


def unconverted(column: Column, text: str, error: ValueError) -> Fault:
    """A value that is not written as the contract says."""
    shown = shortened(text)
    return Fault("type", f'"{shown}" {error}', column.name, shown)

"""A file opened as what it is: its columns, and its rows in batches or as bytes for COPY."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from psycopg import sql

from headrace_loader.columnar_file import as_csv
from headrace_loader.columns import columns_of_file
from headrace_loader.copying import copy_statement, copy_text_statement
from headrace_loader.csv_fields import record_of
from headrace_loader.csv_head import trailing_delimiter_explained
from headrace_loader.csv_stream import CsvStream, open_csv, within_lines
from headrace_loader.key_values import NO_EXTRAS, Extras, Values, values_in_key
from headrace_loader.kinds import HEAD_BYTES, Kind, format_of, kind_of
from headrace_loader.plain_look import PlainLook
from headrace_loader.sifting.batches import Batch
from headrace_loader.sifting.converting import converters_of
from headrace_loader.sifting.csv_batches import CsvBatcher, csv_batches
from headrace_loader.sifting.date_texts import text_checks
from headrace_loader.sifting.json_batches import json_batches
from headrace_loader.sifting.json_rows import JsonRows
from headrace_loader.sifting.rewriting import Layout
from headrace_loader.text_decoding import decoded
from headrace_loader.unpacking import UnpackLimits, rejoined, unpacked
from headrace_shared.contract import Column, Contract
from headrace_shared.file_formats import CsvFormat, JsonFormat


class Sheet(Protocol):
    """The rows of an opened file; they can be taken once."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that the rows have, in their order."""

    @property
    def header(self) -> str | None:
        """The line that has to stand before rows of the file that are kept; None for none."""

    @property
    def encoding(self) -> str:
        """What these rows have to be written in, to be read again."""

    @property
    def extras(self) -> Extras:
        """What the file has beside fields that go into columns one by one."""

    @property
    def absent(self) -> tuple[str, ...]:
        """The contract's columns that the file has no field for; known once it was read."""

    def statement(self, target: sql.Identifier) -> sql.Composed:
        """The COPY that takes the batches."""

    def batches(self, most_bytes: int) -> AsyncIterator[Batch]:
        """The rows. `most_bytes`: the longest line."""

    def leave_out(self, records: Collection[int], /) -> bool:
        """Makes records bad as a whole, by their numbers, in batches that are read from now on;
        False where a record is one row in any case."""


@dataclass(frozen=True, slots=True)
class CsvSheet:
    """A CSV file, or one that is read as CSV."""

    file: CsvStream
    columns: tuple[Column, ...]
    dialect: CsvFormat
    has_lines: bool
    absent: tuple[str, ...]
    extras: Extras = NO_EXTRAS

    @property
    def header(self) -> str | None:
        """See `Sheet`."""
        return record_of(self.file.header, self.dialect) if self.file.header else None

    @property
    def encoding(self) -> str:
        """See `Sheet`."""
        return self.file.source.written

    @property
    def is_plain(self) -> bool:
        """Whether COPY can read it as it is, as far as is known before its bytes are looked at."""
        dialect = self.dialect
        is_odd = dialect.comment is not None or dialect.trailing_delimiter
        return self.file.is_bare and not is_odd and not converters_of(self.columns, dialect)

    def plain_blocks(self, most_bytes: int) -> AsyncIterator[bytes]:
        """The bytes of the file, for COPY. `most_bytes`: the longest line.

        Raises:
            NotPlainError: COPY cannot read them as they are.
            PermanentError: a line is longer.
        """
        has_empty_lines = self.has_lines and len(self.columns) == 1
        look = PlainLook(self.dialect, self.file.header, has_empty_lines=has_empty_lines)
        return look.through(within_lines(self.file.blocks, most_bytes))

    def statement(self, target: sql.Identifier) -> sql.Composed:
        """See `Sheet`."""
        # Of the file's own header nothing is sent; a line of ours stands in its place.
        dialect = self.dialect.model_copy(update={"header": True})
        names = [column.name for column in self.columns]
        return copy_statement(target, names, dialect, passing_over=True)

    def batches(self, most_bytes: int) -> AsyncIterator[Batch]:
        """See `Sheet`."""
        layout = Layout(
            self.dialect,
            self.columns,
            converters_of(self.columns, self.dialect),
            text_checks(self.columns),
            self.has_lines,
            self.file.leading,
            self.file.header,
            self.file.source,
        )
        return csv_batches(self.file.blocks, CsvBatcher(layout, most_bytes=most_bytes))

    def leave_out(self, _records: Collection[int], /) -> bool:
        """See `Sheet`: a record is one row here, so that none of it is left."""
        return False


@dataclass(frozen=True, slots=True)
class JsonSheet:
    """A JSON file."""

    blocks: AsyncIterator[bytes]
    columns: tuple[Column, ...]
    written: JsonFormat
    extras: Extras = NO_EXTRAS
    header: None = None
    encoding: str = "utf-8"
    filled: set[int] = field(default_factory=set)
    """The places of the columns that a record had a field for."""
    left_out: set[int] = field(default_factory=set)
    """The numbers of records that are bad in any case."""

    @property
    def absent(self) -> tuple[str, ...]:
        """See `Sheet`."""
        return tuple(
            column.name for place, column in enumerate(self.columns) if place not in self.filled
        )

    def statement(self, target: sql.Identifier) -> sql.Composed:
        """See `Sheet`."""
        return copy_text_statement(target, [column.name for column in self.columns])

    def batches(self, most_bytes: int) -> AsyncIterator[Batch]:
        """See `Sheet`."""
        converters = converters_of(self.columns, self.written)
        checks = text_checks(self.columns)
        in_key = self.extras.compared
        make = JsonRows(self.columns, self.written, converters, checks, self.filled, in_key)
        return json_batches(self.blocks, make, self.written, most_bytes, self.left_out)

    def leave_out(self, records: Collection[int], /) -> bool:
        """See `Sheet`."""
        self.left_out.update(records)
        return bool(self.written.explode)


@asynccontextmanager
async def open_sheet(
    blocks: AsyncIterator[bytes], file: str, contract: Contract, limits: UnpackLimits
) -> AsyncIterator[CsvSheet | JsonSheet]:
    """A file, unpacked and opened as what it is.

    Args:
        blocks: the object's bytes.
        file: its name, with the folders before it.

    Raises:
        PermanentError: it cannot be read, or does not go with the contract.
    """
    plain = unpacked(blocks, file, limits)
    head = b""
    async for block in plain:
        head += block
        if len(head) >= HEAD_BYTES:
            break
    whole = rejoined(head, plain)
    kind = kind_of(head[:HEAD_BYTES], file, contract.format)
    written = format_of(kind, contract.format)
    in_key = values_in_key(file, contract)
    if isinstance(written, JsonFormat):
        extras = Extras(compared=in_key)
        utf8 = await decoded(whole, "utf-8")
        yield JsonSheet(utf8.blocks, contract.columns, written, extras)
    elif kind in (Kind.CSV, Kind.PLAIN_CSV):
        yield await _csv(whole, written, contract, in_key, has_lines=True)
    else:
        async with as_csv(whole, kind, contract) as converted:
            yield await _csv(converted, written, contract, in_key, has_lines=False)


async def _csv(
    blocks: AsyncIterator[bytes],
    dialect: CsvFormat,
    contract: Contract,
    in_key: Values,
    *,
    has_lines: bool,
) -> CsvSheet:
    is_measured = bool(in_key) or any(one.position for one in contract.columns)
    stream = await open_csv(blocks, dialect, measured=is_measured)
    with trailing_delimiter_explained(stream.header):
        found = columns_of_file(stream.header, contract, in_key, stream.width)
    extras = Extras(
        left_out=found.left_out,
        filled={name: value for name, value in in_key.items() if name not in found.names},
        compared={name: value for name, value in in_key.items() if name in found.names},
    )
    return CsvSheet(stream, found.fields, dialect, has_lines, found.absent, extras)

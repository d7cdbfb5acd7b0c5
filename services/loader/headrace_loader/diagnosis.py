"""Where exactly is a file bad? Asked only after COPY refused it.

A second pass reads the file with Python's csv module and asks Postgres itself about every value
(`pg_input_error_info`), in batches and in constant memory, until ten bad rows are found. What
COPY said comes first in any case: the two readers differ in corners of CSV.
"""

from __future__ import annotations

import asyncio
import codecs
import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from headrace_loader.columns import columns_of_file
from headrace_loader.csv_stream import csv_reader, open_csv
from headrace_loader.lake import S3Lake
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.sqlstate import (
    CHARACTER_NOT_IN_REPERTOIRE,
    MAX_REASON_CHARACTERS,
    CopyRefusedError,
    shortened,
)
from headrace_loader.unpacking import UnpackLimits
from headrace_shared.contract import Column, Contract, CsvFormat
from headrace_shared.drop import Drop
from headrace_shared.errors import PermanentError
from headrace_shared.logging import get_logger
from headrace_shared.reasons import BadRow, Reason

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

_log = get_logger(__name__)

MOST_BAD_ROWS: Final = 10

_BATCH_ROWS: Final = 2_000
_MAX_LINE_CHARACTERS: Final = 1_048_576
"""A quote that is never closed would swallow the rest of the file into one value."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the file and the physical lines that it spans."""

    first_line: int
    last_line: int
    fields: Sequence[str]


class Diagnosis:
    """Finds the first ten bad rows of a file that COPY refused."""

    def __init__(self, lake: S3Lake, warehouse: PostgresWarehouse, limits: UnpackLimits) -> None:
        self._lake = lake
        self._warehouse = warehouse
        self._limits = limits

    async def rejection(
        self, drop: Drop, contract: Contract, refused: CopyRefusedError
    ) -> PermanentError:
        """The rejection of the drop, with every bad row that was found."""
        if refused.sqlstate == CHARACTER_NOT_IN_REPERTOIRE:
            rows = await self._bad_byte(drop, contract) or (refused.first,)
        else:
            rows = merged(refused.first, await self._bad_rows(drop, contract))
        _log.info("load.diagnosed", bad_rows=len(rows))
        return PermanentError(_reason(rows))

    async def _bad_byte(self, drop: Drop, contract: Contract) -> tuple[BadRow, ...]:
        async with self._lake.open(drop) as blocks:
            file = await open_csv(blocks, drop.file or drop.key, contract.format, self._limits)
            bad = await invalid_byte(file.blocks)
        return (bad,) if bad else ()

    async def _bad_rows(self, drop: Drop, contract: Contract) -> list[tuple[int, BadRow]]:
        """Bad rows, each with the last physical line of its record."""
        found: list[tuple[int, BadRow]] = []
        async with self._lake.open(drop) as blocks:
            file = await open_csv(blocks, drop.file or drop.key, contract.format, self._limits)
            columns = columns_of_file(file.header, contract)
            reader = RecordReader(contract.format, skip_header=file.header is not None)
            async for records in _batches(file.blocks, reader):
                found += await self._check(records, columns, contract.format.null)
                if len(found) >= MOST_BAD_ROWS:
                    break
            if reader.stopped_by is not None:
                found.append((reader.stopped_by.line, reader.stopped_by))
        return found[:MOST_BAD_ROWS]

    async def _check(
        self, records: Sequence[Record], columns: Sequence[Column], null: str
    ) -> list[tuple[int, BadRow]]:
        found = [
            (record.last_line, fault) for record in records if (fault := _shape(record, columns))
        ]
        whole = [record for record in records if len(record.fields) == len(columns)]
        for place, column in enumerate(columns):
            values = [None if (text := record.fields[place]) == null else text for record in whole]
            if not column.nullable:
                found += [
                    (record.last_line, _null(record, column))
                    for record, value in zip(whole, values, strict=True)
                    if value is None
                ]
            for index, message in (await self._invalid(column, values)).items():
                record = whole[index]
                found.append(
                    (
                        record.last_line,
                        _invalid(record, column, record.fields[place], message),
                    )
                )
        return sorted(found, key=lambda item: item[0])

    async def _invalid(self, column: Column, values: Sequence[str | None]) -> dict[int, str]:
        # A NUL can be in no text that is sent to Postgres, so it is told without asking.
        nul = {
            index: 'invalid byte sequence for encoding "UTF8": 0x00'
            for index, value in enumerate(values)
            if value is not None and "\0" in value
        }
        if column.type == "text":
            return nul
        askable = [None if index in nul else value for index, value in enumerate(values)]
        return nul | await self._warehouse.invalid_values(column.type, askable)


class RecordReader:
    """Turns bytes into records, and remembers why it had to stop, if it had to."""

    def __init__(self, dialect: CsvFormat, *, skip_header: bool) -> None:
        self._dialect = dialect
        self._skip_header = skip_header
        self.stopped_by: BadRow | None = None

    def records(self, binary: io.RawIOBase) -> Iterator[Record]:
        """The records, header left out, as far as the file can be read at all."""
        csv.field_size_limit(_MAX_LINE_CHARACTERS)
        reader = csv_reader(self._lines(binary), self._dialect)
        last_line = 0
        try:
            for number, fields in enumerate(reader):
                first_line, last_line = last_line + 1, reader.line_num
                if number or not self._skip_header:
                    # To COPY an empty line is a record of one empty field.
                    yield Record(first_line, last_line, fields or [""])
        except csv.Error:
            self.stopped_by = BadRow(
                line=last_line + 1,
                reason="a value that begins in this record has no end within "
                f"{_MAX_LINE_CHARACTERS:,} characters: is a quote not closed?",
            )

    def _lines(self, binary: io.RawIOBase) -> Iterator[str]:
        text = io.TextIOWrapper(
            io.BufferedReader(binary), encoding="utf-8", errors="replace", newline=""
        )
        for number, line in enumerate(iter(lambda: text.readline(_MAX_LINE_CHARACTERS), ""), 1):
            if len(line) == _MAX_LINE_CHARACTERS:
                self.stopped_by = BadRow(
                    line=number,
                    reason=f"longer than {_MAX_LINE_CHARACTERS:,} characters",
                )
                return
            yield line


class ThreadedBlocks(io.RawIOBase):
    """Blocks that arrive in the event loop, read as a file from a thread beside it."""

    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self._blocks = blocks
        self._loop = asyncio.get_running_loop()
        self._rest = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Waits, in the calling thread, for the next block."""
        if not self._rest:
            coming = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
            self._rest = coming.result()
        target = memoryview(buffer)
        taken = min(len(target), len(self._rest))
        target[:taken], self._rest = self._rest[:taken], self._rest[taken:]
        return taken

    async def _next(self) -> bytes:
        return await anext(self._blocks, b"")


async def invalid_byte(blocks: AsyncIterator[bytes]) -> BadRow | None:
    """The first byte of a file that is not UTF-8 or is a NUL, with its place; None if there is
    none. The byte position counts from 0 at the first byte after a byte-order mark."""
    decoder, position, line = codecs.getincrementaldecoder("utf-8")(), 0, 1
    async for block in blocks:
        pending = len(decoder.getstate()[0])
        nul = block.find(b"\0")
        try:
            text = decoder.decode(block if nul < 0 else block[: nul + 1])
        except UnicodeDecodeError as error:
            good, place = error.object[: error.start], position - pending + error.start
            return _bad_byte(line + good.count(b"\n"), error.object[error.start], place)
        if nul >= 0:
            return _bad_byte(line + text.count("\n"), 0, position + nul)
        position += len(block)
        line += text.count("\n")
    if decoder.getstate()[0]:
        pending_bytes = decoder.getstate()[0]
        return _bad_byte(line, pending_bytes[0], position - len(pending_bytes))
    return None


def merged(first: BadRow, found: Sequence[tuple[int, BadRow]]) -> tuple[BadRow, ...]:
    """What COPY said and what the second pass found, each record once, in the file's order.

    COPY names the last physical line of a record, so records are compared by that.
    """
    rows = list(found)
    if all(last_line != first.line for last_line, _ in rows):
        rows.append((first.line, first))
    return tuple(row for _, row in sorted(rows, key=lambda item: item[0])[:MOST_BAD_ROWS])


async def _batches(
    blocks: AsyncIterator[bytes], reader: RecordReader
) -> AsyncIterator[list[Record]]:
    records = reader.records(ThreadedBlocks(blocks))
    while batch := await asyncio.to_thread(lambda: list(islice(records, _BATCH_ROWS))):
        yield batch


def _shape(record: Record, columns: Sequence[Column]) -> BadRow | None:
    has, wants = len(record.fields), len(columns)
    if has == wants:
        return None
    kind = "few" if has < wants else "many"
    return BadRow(line=record.first_line, reason=f"too {kind} fields: {has}, not {wants}")


def _null(record: Record, column: Column) -> BadRow:
    return BadRow(
        line=record.first_line,
        column=column.name,
        reason="null, where the contract allows none",
    )


def _invalid(record: Record, column: Column, value: str, message: str) -> BadRow:
    return BadRow(
        line=record.first_line,
        column=column.name,
        value=shortened(value),
        reason=shortened(message, MAX_REASON_CHARACTERS),
    )


def _bad_byte(line: int, byte: int, position: int) -> BadRow:
    what = "a NUL, which no text in Postgres can hold" if byte == 0 else "not UTF-8"
    return BadRow(
        line=line,
        value=f"0x{byte:02x}",
        reason=f"byte 0x{byte:02x} at byte position {position} is {what}",
    )


def _reason(rows: Sequence[BadRow]) -> Reason:
    lines = len({row.line for row in rows})
    count = f"at least {lines} bad rows" if len(rows) == MOST_BAD_ROWS else _counted(lines)
    first = rows[0]
    place = f"line {first.line}" + (f", column {first.column}" if first.column else "")
    value = f" ({first.value!r})" if first.value is not None else ""
    return Reason(
        code="bad_rows",
        message=f"The file has {count}; the first: {place}{value}: {first.reason}.",
        remedy="Nothing of the file is loaded. Mend the rows and upload the file again.",
        bad_rows=tuple(rows),
    )


def _counted(rows: int) -> str:
    return "1 bad row" if rows == 1 else f"{rows} bad rows"

"""A CSV file as it streams by: unpacked, freed of its byte-order mark, its header read.

Nothing but the first record is parsed here; every other byte goes to COPY as it came.
"""

from __future__ import annotations

import asyncio
import csv
import re
import zlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headrace_shared.contract import CsvFormat
from headrace_shared.errors import PermanentError
from headrace_shared.reasons import Reason

if TYPE_CHECKING:
    import _csv

MAX_HEADER_BYTES: Final = 1_048_576

_UNPACKED_BLOCK_BYTES: Final = 1_048_576
_GZIP_WINDOW: Final = 31
"""zlib's code for a gzip member: https://docs.python.org/3/library/zlib.html#zlib.decompressobj"""

_LINE_ENDS: Final = (bytearray(b"\r"), bytearray(b"\n"))
_END_MARKER: Final = re.compile(rb"[\r\n]\\\.[\r\n]")

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")

Blocks = AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class CsvStream:
    """A file ready for COPY: `blocks` are all its bytes, the header line among them."""

    header: tuple[str, ...] | None
    blocks: Blocks


async def open_csv(blocks: Blocks, file: str, dialect: CsvFormat) -> CsvStream:
    """Reads as far as the header.

    Args:
        blocks: the object's bytes.
        file: its name, which says whether it is packed.

    Raises:
        PermanentError: the file is empty, is not what its name says, or has no readable header.
    """
    plain = without_mark(unpacked(blocks, file))
    if not dialect.header:
        return CsvStream(None, plain)
    head, first_record = bytearray(), _record_pattern(dialect)
    async for block in plain:
        head += block
        end = _first_record_end(head, first_record)
        if end is not None:
            return CsvStream(parse_record(bytes(head[:end]), dialect), _rejoined(head, plain))
        if len(head) > MAX_HEADER_BYTES:
            raise _refusal(
                "header_unreadable",
                f"The first line does not end within {MAX_HEADER_BYTES:,} bytes.",
            )
    if not head.strip():
        raise _refusal("file_empty", "The file holds no header line.")
    return CsvStream(parse_record(bytes(head), dialect), _rejoined(head, plain))


def unpacked(blocks: Blocks, file: str) -> Blocks:
    """The bytes of the CSV file itself, whatever it is packed in."""
    return _gunzipped(blocks) if file.lower().endswith(".gz") else blocks


async def without_mark(blocks: Blocks) -> Blocks:
    """The bytes without a UTF-8 byte-order mark.

    Raises:
        PermanentError: the mark is that of UTF-16.
    """
    head = b""
    async for block in blocks:
        head += block
        if len(head) >= len(_UTF8_MARK):
            break
    if head.startswith(_UTF16_MARKS):
        raise PermanentError(
            Reason(
                code="encoding_invalid",
                message="The file is UTF-16 (its first two bytes are a UTF-16 byte-order mark).",
                remedy="Save it as UTF-8 and upload it again.",
            )
        )
    head = head.removeprefix(_UTF8_MARK)
    if head:
        yield head
    async for block in blocks:
        yield block


async def without_end_marker(blocks: Blocks) -> Blocks:
    r"""The blocks as they come, for servers before Postgres 18.

    Those take a line `\.` for the end of the data, even in CSV, and would leave the rest of the
    file out without a word: https://www.postgresql.org/docs/18/release-18.html

    Raises:
        PermanentError: the file has such a line.
    """
    tail = b"\n"
    async for block in blocks:
        if _END_MARKER.search(tail + block):
            raise _end_marker()
        tail = (tail + block)[-3:]
        yield block
    if tail[-3:-2] in b"\r\n" and tail.endswith(b"\\."):
        raise _end_marker()


def parse_record(record: bytes, dialect: CsvFormat) -> tuple[str, ...]:
    """The fields of one record.

    Raises:
        PermanentError: the record is not UTF-8, or cannot be read as CSV.
    """
    try:
        fields = next(csv_reader([record.decode("utf-8")], dialect), [])
    except UnicodeDecodeError as error:
        raise PermanentError(
            Reason(
                code="encoding_invalid",
                message=f"The header (line 1) is not UTF-8: byte 0x{record[error.start]:02x} at "
                f"byte position {error.start}.",
                remedy="Save the file as UTF-8 and upload it again.",
            )
        ) from None
    except csv.Error as error:
        raise _refusal("header_unreadable", f"The header (line 1) is not CSV: {error}.") from None
    if not fields:
        raise _refusal("header_unreadable", "The first line, which has to be the header, is empty.")
    return tuple(fields)


def csv_reader(lines: Iterable[str], dialect: CsvFormat) -> _csv.Reader:
    """Python's csv reader, told the dialect in its own words."""
    doubled = dialect.escape_character == dialect.quote
    return csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        doublequote=doubled,
        escapechar=None if doubled else dialect.escape_character,
    )


def _record_pattern(dialect: CsvFormat) -> re.Pattern[bytes]:
    """One record without its line end: quoted parts, in which a line end is text, and others.

    Possessive, so that a megabyte after a quote that is never closed costs one pass.
    """
    quote, escape = (
        re.escape(character.encode()) for character in (dialect.quote, dialect.escape_character)
    )
    quoted = b"[^%b]" % quote
    if dialect.escape_character != dialect.quote:
        quoted = rb"(?:[^%b%b]|%b.)" % (quote, escape, escape)
    return re.compile(rb"(?:[^%b\r\n]++|%b%b*+%b)*+" % (quote, quote, quoted, quote), re.DOTALL)


def _first_record_end(head: bytearray, record: re.Pattern[bytes]) -> int | None:
    """Where the first record ends: at a line end outside quotes; None if it is not there yet."""
    found = record.match(head)
    end = found.end() if found else 0
    return end if head[end : end + 1] in _LINE_ENDS else None


async def _rejoined(head: bytearray, rest: Blocks) -> Blocks:
    yield bytes(head)
    async for block in rest:
        yield block


async def _gunzipped(blocks: Blocks) -> Blocks:
    # Unpacking runs in a thread: in the loop it would hold up every heartbeat.
    member = zlib.decompressobj(_GZIP_WINDOW)
    async for block in blocks:
        packed, more = block, True
        while packed or more:
            if member.eof:
                member = zlib.decompressobj(_GZIP_WINDOW)
            plain = await asyncio.to_thread(_unpack, member, packed)
            packed = member.unconsumed_tail or member.unused_data
            more = len(plain) == _UNPACKED_BLOCK_BYTES and not member.eof
            if plain:
                yield plain
    if not member.eof:
        raise _refusal("file_truncated", "The gzip file ends early: it was cut off on its way.")


def _unpack(member: zlib._Decompress, packed: bytes) -> bytes:
    try:
        return member.decompress(packed, _UNPACKED_BLOCK_BYTES)
    except zlib.error as error:
        raise _refusal(
            "file_not_gzip",
            f"The file's name ends in .gz, but it is not good gzip ({error}).",
        ) from None


def _end_marker() -> PermanentError:
    return PermanentError(
        Reason(
            code="end_marker",
            message="A line of the file is \\. alone, which Postgres before version 18 takes for "
            "the end of the data.",
            remedy="Quote that value and put it beside another column, or load into Postgres 18.",
        )
    )


def _refusal(code: str, message: str) -> PermanentError:
    return PermanentError(
        Reason(
            code=code,
            message=message,
            remedy="Write the file anew and upload it again.",
        )
    )

"""A CSV file as it streams by: unpacked, freed of its byte-order mark, its header read.

Nothing but the first record is parsed here; every other byte goes to COPY as it came.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import charset_normalizer

from headrace_loader.unpacking import rejoined
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import CsvFormat
from headrace_shared.reasons import Reason

if TYPE_CHECKING:
    import _csv

MAX_HEADER_BYTES: Final = 1_048_576

_DETECT_BYTES: Final = 1_048_576

_LINE_ENDS: Final = (bytearray(b"\r"), bytearray(b"\n"))
END_MARKER_GONE: Final = 180_000
"""The first server version that reads `\\.` in CSV as data."""

_END_MARKER: Final = re.compile(rb"[\r\n]\\\.[\r\n]")

Blocks = AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class CsvStream:
    """A file ready for COPY.

    Args:
        blocks: all its bytes, the header line among them.
        width: how many fields the first record of a file without a header has, if that was asked
            for and can be seen.
    """

    header: tuple[str, ...] | None
    blocks: Blocks
    width: int | None = None


async def open_csv(blocks: Blocks, dialect: CsvFormat, *, measured: bool = False) -> CsvStream:
    """Reads as far as the header.

    Args:
        blocks: the file's bytes, unpacked.
        measured: the width of a file without a header is wanted, too.

    Raises:
        PermanentError: the file is empty, or has no readable header.
    """
    plain = in_utf8(blocks, dialect.encoding)
    if not (dialect.header or measured):
        return CsvStream(None, plain)
    head, first_record, comments = bytearray(), _record_pattern(dialect), _comments(dialect)
    async for block in plain:
        head += block
        start = _length_of(comments, head)
        end = _first_record_end(head[start:], first_record)
        if end is not None:
            return _stream(bytes(head[start : start + end]), rejoined(bytes(head), plain), dialect)
        if len(head) > MAX_HEADER_BYTES:
            raise _refusal(
                "header_unreadable",
                f"The first line does not end within {MAX_HEADER_BYTES:,} bytes.",
            )
    if not head.strip() and not dialect.header:
        return CsvStream(None, rejoined(bytes(head), plain))
    if not head.strip():
        raise _refusal("file_empty", "The file holds no header line.")
    start = _length_of(comments, head)
    return _stream(bytes(head[start:]), rejoined(bytes(head), plain), dialect)


def _stream(first: bytes, blocks: Blocks, dialect: CsvFormat) -> CsvStream:
    if dialect.header:
        return CsvStream(parse_record(first, dialect), blocks)
    try:
        fields = next(csv_reader([first.decode(errors="replace")], dialect), [])
    except csv.Error:
        fields = []
    return CsvStream(None, blocks, len(fields) or None)


async def in_utf8(blocks: Blocks, encoding: str) -> Blocks:
    """The file in UTF-8, without a byte-order mark; the mark of UTF-16 or UTF-8 is believed
    whatever the contract says.

    Raises:
        PermanentError: a byte is not of that encoding. UTF-8 is left to the warehouse to check.
    """
    head, enough = b"", _DETECT_BYTES if encoding == "detect" else len(codecs.BOM_UTF8)
    async for block in blocks:
        head += block
        if len(head) >= enough:
            break
    marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    whole = rejoined(head, blocks)
    if marked:
        whole = _recoded(whole, "utf-16")
    elif head.startswith(codecs.BOM_UTF8):
        whole = rejoined(head.removeprefix(codecs.BOM_UTF8), blocks)
    else:
        encoding = detected(head) if encoding == "detect" else encoding
        if encoding != "utf-8":
            whole = _recoded(whole, encoding)
    async for block in whole:
        yield block


def detected(head: bytes) -> str:
    """The encoding of a file by its first megabyte: UTF-8 if it can be, else what its letters
    make most likely, else cp1252, which most files are that are not UTF-8."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        guess = charset_normalizer.from_bytes(head).best()
        return guess.encoding if guess is not None else "cp1252"
    return "utf-8"


async def _recoded(blocks: Blocks, encoding: str) -> Blocks:
    decoder, position = codecs.getincrementaldecoder(encoding)(), 0
    async for block in blocks:
        pending = len(decoder.getstate()[0])
        yield _decoded(decoder, block, encoding, position - pending).encode()
        position += len(block)
    pending = len(decoder.getstate()[0])
    yield _decoded(decoder, b"", encoding, position - pending, final=True).encode()


def _decoded(
    decoder: codecs.IncrementalDecoder,
    block: bytes,
    encoding: str,
    position: int,
    *,
    final: bool = False,
) -> str:
    try:
        return decoder.decode(block, final)
    except UnicodeDecodeError as error:
        place = position + error.start
        raise PermanentError(
            Reason(
                code="encoding_invalid",
                message=f"The file is not {encoding}: byte 0x{error.object[error.start]:02x} at "
                f"byte position {place} ({error.reason}).",
                remedy="Name its encoding in the contract's format, or save it as UTF-8, and "
                "upload it again.",
            )
        ) from None


async def within_lines(blocks: Blocks, most_bytes: int) -> Blocks:
    """The blocks as they come.

    Raises:
        PermanentError: a line is longer, and not only by so much as a block has.
    """
    since = 0
    async for block in blocks:
        end = max(block.rfind(b"\n"), block.rfind(b"\r"))
        since = since + len(block) if end < 0 else len(block) - end
        if since > most_bytes:
            raise line_too_long(most_bytes)
        yield block


def line_too_long(most_bytes: int) -> PermanentError:
    """The rejection of a file with such a line."""
    return PermanentError(
        Reason(
            code="line_too_long",
            message=f"A line of the file, or a record, is longer than {most_bytes:,} bytes.",
            remedy="Mend the file; or, if its lines are meant to be so long, raise "
            "HEADRACE_LINE_BYTES_LIMIT of the loader, and replay the drop.",
        )
    )


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


def refuse_end_marker(lines: bytes) -> None:
    r"""Looks for a line `\.`, for servers before Postgres 18.

    Args:
        lines: whole ones.

    Raises:
        PermanentError: there is one.
    """
    if _END_MARKER.search(b"\n" + lines):
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


def record_of(fields: Iterable[str], dialect: CsvFormat) -> str:
    """A record of these fields, without its line end."""
    # The writer quotes what its own line end has: so a line end within a field is quoted.
    line_end, written = "\r\n", io.StringIO()
    csv.writer(
        written,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        doublequote=dialect.escape_character == dialect.quote,
        escapechar=None if dialect.escape_character == dialect.quote else dialect.escape_character,
        lineterminator=line_end,
    ).writerow(fields)
    return written.getvalue().removesuffix(line_end)


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


def _comments(dialect: CsvFormat) -> re.Pattern[bytes]:
    """The comments and empty lines at the head of a file, if the dialect has comments."""
    if dialect.comment is None:
        return re.compile(b"")
    return re.compile(rb"(?:(?:%b[^\r\n]*)?(?:\r\n|\r|\n))*" % re.escape(dialect.comment.encode()))


def _length_of(pattern: re.Pattern[bytes], head: bytearray) -> int:
    found = pattern.match(head)
    return found.end() if found else 0


def _first_record_end(head: bytearray, record: re.Pattern[bytes]) -> int | None:
    """Where the first record ends: at a line end outside quotes; None if it is not there yet."""
    found = record.match(head)
    end = found.end() if found else 0
    return end if head[end : end + 1] in _LINE_ENDS else None


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

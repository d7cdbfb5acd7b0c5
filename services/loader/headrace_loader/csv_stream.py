"""A CSV file as it streams by: unpacked, freed of its byte-order mark, its header read.

Nothing but the first record is parsed here; every other byte goes to COPY as it came.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from headrace_loader.csv_fields import QuotingError, fields_of
from headrace_loader.csv_head import HeadPattern, HeadPlaces, refuse_other_delimiter
from headrace_loader.text_decoding import UTF_8, Decoded, SourceEncoding, decoded
from headrace_loader.unpacking import rejoined
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import CsvFormat
from headrace_shared.reasons import Reason
from headrace_shared.text_encodings import marked, marks

MAX_HEADER_BYTES: Final = 1_048_576

END_MARKER_GONE: Final = 180_000
"""The first server version that reads `\\.` in CSV as data."""

_END_MARKER: Final = re.compile(rb"[\r\n]\\\.[\r\n]")

Blocks = AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class CsvStream:
    """A file ready for COPY: `blocks` are all its bytes in UTF-8, the header line among them.

    Args:
        leading: how many records at its beginning are no rows: the header, and a line `sep=;`.
        is_bare: nothing comes before the header, or where there is none, the first row.
        source: the encoding that the file is in.
        width: how many fields the first record of a file without a header has, if that was asked
            for and can be seen.
    """

    header: tuple[str, ...] | None
    blocks: Blocks
    leading: int
    is_bare: bool
    source: SourceEncoding
    width: int | None = None


async def open_csv(blocks: Blocks, dialect: CsvFormat, *, measured: bool = False) -> CsvStream:
    """Reads as far as the header.

    Args:
        blocks: the file's bytes, unpacked.
        measured: the width of a file without a header is wanted, too.

    Raises:
        PermanentError: the file is empty, has no readable header, or says that it has another
            delimiter.
    """
    file = await decoded(blocks, dialect.encoding, dialect.delimiter)
    head, pattern = bytearray(), HeadPattern(dialect, has_first=bool(dialect.header) or measured)
    async for block in file.blocks:
        head += block
        found = pattern.find(head, final=False)
        if found is not None:
            return _opened(bytes(head), found, file, dialect)
        if len(head) > MAX_HEADER_BYTES:
            raise _refusal(
                "header_unreadable",
                f"The first line does not end within {MAX_HEADER_BYTES:,} bytes.",
            )
    if dialect.header and not head.strip():
        raise _refusal("file_empty", "The file holds no header line.")
    found = pattern.find(head, final=True)
    assert found is not None
    return _opened(bytes(head), found, file, dialect)


def _opened(head: bytes, found: HeadPlaces, file: Decoded, dialect: CsvFormat) -> CsvStream:
    refuse_other_delimiter(head[: found.separator_end], dialect)
    leading = int(found.separator_end > 0)
    blocks, first = rejoined(head, file.blocks), head[found.start : found.end]
    if not dialect.header:
        width = _width(first, dialect)
        return CsvStream(None, blocks, leading, leading == 0, file.source, width)
    before = head[: found.start]
    header = parse_record(first, dialect, file.source, before)
    return CsvStream(header, blocks, leading + 1, not before, file.source)


def _width(first: bytes, dialect: CsvFormat) -> int | None:
    """How many fields a first row has; None if there is none that can be read."""
    if not first:
        return None
    try:
        fields = fields_of(first.decode(errors="replace").encode(), dialect)
    except QuotingError:
        return None
    trails = dialect.trailing_delimiter and len(fields) > 1 and not fields[-1]
    return len(fields) - trails


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


def parse_record(
    record: bytes, dialect: CsvFormat, source: SourceEncoding = UTF_8, before: bytes = b""
) -> tuple[str, ...]:
    """The fields of a header.

    Args:
        record: without its line end.
        before: what the file has before it.

    Raises:
        PermanentError: it cannot be decoded, or cannot be read as CSV.
    """
    text = marked(record)
    bad = marks(text)
    if bad:
        whole = text[: next(place for place, one in enumerate(text) if marks(one))]
        place = source.start + source.length(before) + source.length(whole.encode())
        raise PermanentError(
            Reason(
                code="encoding_invalid",
                message=f"The header is not {source.name}: byte 0x{bad[0]:02x} at byte position "
                f"{place}.",
                remedy="Name the file's encoding in the contract's format, or save it as UTF-8, "
                "and upload it again.",
            )
        )
    if not record:
        raise _refusal("header_unreadable", "The first line, which has to be the header, is empty.")
    try:
        fields = fields_of(record, dialect)
    except QuotingError:
        raise _refusal(
            "header_unreadable",
            "The header is not CSV: a quote is not closed, or text follows one that closes a name.",
        ) from None
    if dialect.trailing_delimiter and len(fields) > 1 and not fields[-1]:
        fields.pop()
    return tuple(fields)


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

"""Small plain CSV files, made ready to share one COPY: each row told its drop. Without I/O.

A file is plain if a line is a row: no quote character, line ends of one kind. Then the drop id can
be put at each line's end without reading the fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from headrace_loader.csv_stream import parse_record
from headrace_loader.header_lines import HeaderLines
from headrace_loader.unpacking import packing_of
from headrace_shared.file_formats import CsvFormat

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_WIDE_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_SEPARATOR: Final = b"sep="
"""How a line that names the delimiter begins, in any letters."""
_END_MARKER: Final = b"\\."


@dataclass(frozen=True, slots=True)
class PlainFile:
    """A plain file: its header, if it has one, and its rows, each ended by a line feed."""

    header: tuple[str, ...] | None
    body: bytes

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return self.body.count(b"\n")

    def width(self, dialect: CsvFormat) -> int | None:
        """How many fields the header or the first row has; None for an empty file."""
        first = self.body.partition(b"\n")[0]
        return len(self.header) if self.header else first.count(dialect.delimiter.encode()) + 1

    def tagged(self, drop_id: UUID, dialect: CsvFormat) -> bytes:
        """The rows with the drop id as a last field of each."""
        tag = f"{dialect.delimiter}{drop_id}\n".encode()
        return self.body.replace(b"\n", tag)


def plain_file(content: bytes, dialect: CsvFormat) -> PlainFile | None:
    """The file, if it is plain; None if it needs the ordinary road, which also tells its faults.

    Raises:
        PermanentError: the header cannot be read.
    """
    if dialect.encoding != "utf-8" or packing_of(content) is not None:
        return None
    if dialect.trailing_delimiter:
        return None
    content = content.removeprefix(_UTF8_MARK).replace(b"\r\n", b"\n")
    if content.startswith(_WIDE_MARKS) or _has_special(content, dialect):
        return None
    if content and not content.endswith(b"\n"):
        content += b"\n"
    if not dialect.header:
        return PlainFile(None, content)
    header, _, body = content.partition(b"\n")
    if not header:
        return None
    names = parse_record(header, dialect)
    is_repeated = HeaderLines(names, dialect).places(b"\n" + body)
    return None if is_repeated and dialect.repeated_header != "accept" else PlainFile(names, body)


def _has_special(content: bytes, dialect: CsvFormat) -> bool:
    special = (dialect.quote.encode(), b"\r", b"\0", _END_MARKER, b"\n\n")
    if content.startswith(b"\n") or content[:4].lower() == _SEPARATOR:
        return True
    return any(mark in content for mark in special)

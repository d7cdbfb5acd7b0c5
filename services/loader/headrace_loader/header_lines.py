"""Lines of a CSV file that are its header again. Without I/O."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from typing import Final

from headrace_loader.csv_fields import quoted
from headrace_shared.file_formats import CsvFormat

_LINE_ENDS: Final = (b"\n", b"\r")
_MARK: Final = codecs.BOM_UTF8
"""Files put one after the other keep each its byte-order mark."""


class HeaderLines:
    """Finds lines with the fields of a header, each of them quoted or not, after a byte-order mark
    or none."""

    def __init__(self, header: Sequence[str], dialect: CsvFormat) -> None:
        delimiter = dialect.delimiter.encode()
        self._quote = dialect.quote.encode()
        followed = [delimiter] if len(header) > 1 else [*_LINE_ENDS]
        if dialect.trailing_delimiter and len(header) == 1:
            followed.append(delimiter)
        self._beginnings = [form + end for form in _forms(header[0], dialect) for end in followed]
        fields = (
            b"(?:" + b"|".join(map(re.escape, _forms(name, dialect))) + b")" for name in header
        )
        trailing = re.escape(delimiter) + b"?+" if dialect.trailing_delimiter else b""
        line = re.escape(delimiter).join(fields) + trailing + rb"(?=[\r\n])"
        self._line = re.compile(b"(?:%b)?%b" % (_MARK, line))
        longest = sum(len(quoted(name, dialect).encode()) + 1 for name in header)
        self.most_bytes: int = longest + len(_MARK) + 3
        """A line end before such a line, the line, and a line end have no more bytes."""

    def places(self, data: bytes) -> list[int]:
        """Where such lines begin; a line at the head or the end of `data` has to have its line
        ends there to be seen."""
        # Each search costs a pass over the bytes, and most files need but one; that for a single
        # byte is by far the fastest.
        has_quote = self._quote in data
        has_mark = _MARK[:1] in data and _MARK in data
        has_cr = b"\r" in data and data.count(b"\r") != data.count(b"\r\n")
        wanted = [
            end + mark + beginning
            for beginning in self._beginnings
            for end in (_LINE_ENDS if has_cr else _LINE_ENDS[:1])
            for mark in ((b"", _MARK) if has_mark else (b"",))
            if has_quote or self._quote not in beginning
        ]
        found = {
            place + 1
            for one in wanted
            for place in _places(data, one)
            if self._line.match(data, place + 1)
        }
        return sorted(found)


def _forms(name: str, dialect: CsvFormat) -> list[bytes]:
    """A name as a field: as it is, if it can be, and quoted."""
    special = {dialect.delimiter, "\r", "\n"}
    plain = [] if special & set(name) or name.startswith(dialect.quote) else [name]
    return [one.encode() for one in [*plain, quoted(name, dialect)]]


def _places(data: bytes, wanted: bytes) -> Iterator[int]:
    place = data.find(wanted)
    while place >= 0:
        yield place
        place = data.find(wanted, place + 1)

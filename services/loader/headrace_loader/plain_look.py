"""Does COPY read a CSV file as our rules do? Decided from its bytes, before COPY gets them.

COPY lets a quote open and close wherever it stands, takes an empty line of one column for a null,
and a second header for a row. These are looked for as bytes; no value is read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

import numpy as np

from headrace_loader.header_lines import HeaderLines
from headrace_loader.sifting.quoting import LF, QuoteFinder
from headrace_shared.errors import HeadraceError
from headrace_shared.file_formats import CsvFormat

_EMPTY_LINE: Final = re.compile(rb"\n[\r\n]|\r\r")


class NotPlainError(HeadraceError):
    """COPY would not read the file as it is meant: it has to be validated."""


class PlainLook:
    """Looks at the bytes of one file as they stream by.

    Args:
        header: its fields, if the file has a header.
        has_empty_lines: COPY would take an empty line for a row: the file has one column.
    """

    def __init__(
        self, dialect: CsvFormat, header: tuple[str, ...] | None, *, has_empty_lines: bool
    ) -> None:
        is_looked_for = header is not None and dialect.repeated_header != "accept"
        self._quotes = _QuoteLook(dialect)
        self._headers = HeaderLines(header, dialect) if header and is_looked_for else None
        self._has_empty_lines = has_empty_lines
        self._tail = b"" if header else b"\n"

    async def through(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The blocks as they come.

        Raises:
            NotPlainError: before the first block that COPY would read otherwise.
        """
        async for block in blocks:
            self.see(block)
            yield block
        self.finish()

    def see(self, block: bytes) -> None:
        """Looks at the next block.

        Raises:
            NotPlainError: COPY would read it otherwise.
        """
        self._quotes.see(block)
        if self._headers or self._has_empty_lines:
            self._see_lines(self._tail + block)

    def finish(self) -> None:
        """Looks at what can be judged only at the end.

        Raises:
            NotPlainError: COPY would read it otherwise.
        """
        self._quotes.see(b"\n")
        self._see_lines(self._tail + b"\n", is_end=True)

    def _see_lines(self, data: bytes, *, is_end: bool = False) -> None:
        if self._headers and self._headers.places(data):
            raise NotPlainError("a line is the header again")
        if self._has_empty_lines and not is_end and _EMPTY_LINE.search(data):
            raise NotPlainError("a line is empty")
        kept = self._headers.most_bytes if self._headers else 3
        self._tail = data[-kept:]


class _QuoteLook:
    """Looks at how quotes are placed, across the blocks of a file."""

    def __init__(self, dialect: CsvFormat) -> None:
        self._finder = QuoteFinder(dialect)
        self._quote = dialect.quote.encode()
        self._before = LF
        self._held = b""
        self._is_inside = False

    def see(self, block: bytes) -> None:
        if self._quote not in block and not self._held:
            self._before = block[-1] if block else self._before
            return
        # A quote at the end is judged with the byte after it.
        data = self._held + block
        judged = data.rstrip(self._quote)
        self._held = data[len(judged) :]
        if not judged:
            return
        given = np.frombuffer(judged, np.uint8)
        places = np.flatnonzero(given == self._quote[0])
        if not self._finder.are_sound(
            given, places, begins_inside=self._is_inside, before=self._before
        ):
            raise NotPlainError("a quote is not placed soundly")
        self._is_inside ^= bool(len(places) % 2)
        self._before = judged[-1]

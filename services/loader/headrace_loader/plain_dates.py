"""Dates and times on their way to COPY without validation: each has to be in ISO 8601.

COPY by itself takes words whose value is the clock, and drops parts of a text without a word. So a
file with any other form is validated instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

import numpy as np

from headrace_loader.sifting.date_columns import columns_of_times, unclear
from headrace_loader.sifting.structure import Records, RecordScanner
from headrace_shared.contract import Column
from headrace_shared.errors import HeadraceError
from headrace_shared.file_formats import CsvFormat


class UnclearDatesError(HeadraceError):
    """A row has a date or time that validation has to look at."""


class DateLook:
    """Looks at the dates and times of a CSV file as its bytes come.

    Args:
        header: the first record is the header.
        most_bytes: the longest line.
    """

    def __init__(
        self, columns: Sequence[Column], dialect: CsvFormat, *, header: bool, most_bytes: int
    ) -> None:
        self._width = len(columns)
        self._places = columns_of_times(columns)
        self._dialect = dialect
        self._scanner = RecordScanner(dialect, self._width, most_bytes)
        self._header = header

    def feed(self, block: bytes) -> None:
        """Looks at the records that are whole with this block.

        Raises:
            UnclearDatesError: a date or time is not in ISO 8601.
            PermanentError: a line is longer than the limit.
        """
        self._look(self._scanner.feed(block))

    def finish(self) -> None:
        """Looks at what is left at the end of the file; see `feed`."""
        self._look(self._scanner.finish())

    def _look(self, found: Iterable[Records]) -> None:
        for records in found:
            rows = np.flatnonzero(records.fields == self._width)
            if self._header and len(records):
                rows, self._header = rows[rows > 0], False
            for place, column_type in self._places.items():
                if unclear(records, rows, place, column_type, self._dialect).size:
                    raise UnclearDatesError("a date or time is not in ISO 8601")


def have_clear_dates(content: bytes, columns: Sequence[Column], dialect: CsvFormat) -> bool:
    """Whether each date and time in these records, which have no header, is in ISO 8601."""
    if not columns_of_times(columns):
        return True
    look = DateLook(columns, dialect, header=False, most_bytes=len(content) + 1)
    try:
        look.feed(content)
        look.finish()
    except UnclearDatesError:
        return False
    return True


async def with_clear_dates(
    blocks: AsyncIterator[bytes], columns: Sequence[Column], dialect: CsvFormat, most_bytes: int
) -> AsyncIterator[bytes]:
    """The blocks as they come, each looked at in a thread beside the event loop.

    Raises:
        UnclearDatesError: a date or time is not in ISO 8601.
        PermanentError: a line is longer than `most_bytes`.
    """
    if not columns_of_times(columns):
        async for block in blocks:
            yield block
        return
    look = DateLook(columns, dialect, header=bool(dialect.header), most_bytes=most_bytes)
    async for block in blocks:
        await asyncio.to_thread(look.feed, block)
        yield block
    await asyncio.to_thread(look.finish)

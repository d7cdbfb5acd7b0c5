"""How many lines does a quote cost that is not closed, or not soundly? Without I/O.

Either the quote should have been closed in its line: then the next line is a record again. Or it
begins a text of several lines, in which a quote is not escaped: then a line of the text could be
taken for a record. The next quote decides: if it is the first character of a field, it opens
another one. If it stands elsewhere, the lines up to it cannot be trusted.
"""

from __future__ import annotations

import re
from typing import Final

from headrace_loader.csv_stream import line_too_long
from headrace_shared.file_formats import CsvFormat

MOST_LINES: Final = 20
"""A text of more lines, with a quote that is not escaped, is far less likely than a quote that is
never closed."""

_LINE: Final = re.compile(rb"[^\r\n]*+(\r\n|\r|\n)")


class Damage:
    """Judges the lines after a quoted field that is not sound."""

    def __init__(self, dialect: CsvFormat) -> None:
        self._quote = dialect.quote.encode()
        self._delimiter = dialect.delimiter.encode()
        self._comment = dialect.comment.encode() if dialect.comment else None
        escape = dialect.escape_character.encode()
        self._escaped = [escape * 2, escape + self._quote] if escape != self._quote else []

    def lines(self, data: bytes, start: int, most_bytes: int, *, final: bool) -> bytes | None:
        """The lines that are bad, the one at `start` and perhaps some after it; None if more of
        the file has to be known.

        Raises:
            PermanentError: a line is longer than the limit.
        """
        seen = self._seen(data, start, final=final)
        if len(seen[0] if seen else data[start:]) > most_bytes:
            raise line_too_long(most_bytes)
        count = self._count(seen)
        is_enough = final or len(seen) > MOST_LINES or len(data) - start >= most_bytes
        if count is None and not (seen and is_enough):
            return None
        return b"".join(seen[: count or 1])

    def begins_anew(self, record: bytes) -> bool:
        """Whether the first quote after the first line of a record could open another field, or
        the record is a comment, which has no fields."""
        if self._is_comment(record):
            return True
        first = re.search(rb"[\r\n]", record)
        place = record.find(self._quote, first.end() if first else len(record))
        return place >= 0 and self._is_at_start(record, place)

    def _seen(self, data: bytes, start: int, *, final: bool) -> list[bytes]:
        seen = list[bytes]()
        while len(seen) <= MOST_LINES and (found := _LINE.match(data, start)):
            if found.end() == len(data) and found[1] == b"\r" and not final:
                break  # it may be the first half of a line end
            seen.append(found[0])
            start = found.end()
        return seen

    def _count(self, seen: list[bytes]) -> int | None:
        """How many of the lines are bad; None if no quote comes that would decide it."""
        if not seen:
            return None
        first, is_odd = seen[0], self._is_odd(seen[0])
        if self._is_comment(first) or (
            not is_odd and self._is_at_end(first, first.rfind(self._quote))
        ):
            return 1
        for number, line in enumerate(seen[1:], 2):
            place = line.find(self._quote)
            if place < 0:
                continue
            could_close = not self._is_at_start(line, place) and self._is_odd(line)
            # With quotes in pairs the text goes on only if one of them is a character of it.
            return number if could_close and (is_odd or self._is_at_end(line, place)) else 1
        return None

    def _is_at_start(self, data: bytes, place: int) -> bool:
        return place == 0 or data[place - 1 : place] in (self._delimiter, b"\n", b"\r")

    def _is_at_end(self, line: bytes, place: int) -> bool:
        return line[place + 1 : place + 2] in (self._delimiter, b"\n", b"\r")

    def _is_comment(self, line: bytes) -> bool:
        return self._comment is not None and line.startswith(self._comment)

    def _is_odd(self, line: bytes) -> bool:
        for pair in self._escaped:
            line = line.replace(pair, b"")
        return line.count(self._quote) % 2 == 1

"""What comes before the rows of a CSV file: a line `sep=;`, comments and empty lines, the header.
Without I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from headrace_loader.csv_fields import quoted_field
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import CsvFormat
from headrace_shared.reasons import Reason

_SEPARATOR: Final = re.compile(rb"sep=([^\r\n])(?:\r\n|\r|\n)", re.IGNORECASE)
"""The first line by which Excel is given the delimiter."""
_LONGEST_SEPARATOR: Final = len(b"sep=;\r\n")

_LINE_ENDS: Final = (bytearray(b"\r"), bytearray(b"\n"))


@dataclass(frozen=True, slots=True)
class HeadPlaces:
    """Where the first record is.

    Args:
        separator_end: behind a line `sep=;`; 0 if there is none.
        start, end: of the first record, without its line end.
    """

    separator_end: int
    start: int
    end: int


class HeadPattern:
    """Finds the first record of files in a dialect.

    Args:
        has_first: the first record is looked for, not only a line `sep=;`.
    """

    def __init__(self, dialect: CsvFormat, *, has_first: bool) -> None:
        self._has_first = has_first
        self._before = _before(dialect)
        self._record = _record(dialect)

    def find(self, head: bytearray, *, final: bool) -> HeadPlaces | None:
        """The places; None if they are not known yet.

        Args:
            final: the file has no more bytes.
        """
        if len(head) < _LONGEST_SEPARATOR and not final:
            return None
        after = separator_length(head)
        if not self._has_first:
            return HeadPlaces(after, after, after)
        before = self._before.match(head, after)
        start = before.end() if before else after
        found = self._record.match(head, start)
        end = found.end() if found else start
        if head[end : end + 1] in _LINE_ENDS:
            return HeadPlaces(after, start, end)
        return HeadPlaces(after, start, len(head)) if final else None


def separator_length(head: bytes | bytearray) -> int:
    """How many bytes the line `sep=;` at the beginning of a file takes; 0 if there is none."""
    found = _SEPARATOR.match(head)
    return found.end() if found else 0


def refuse_other_delimiter(line: bytes, dialect: CsvFormat) -> None:
    """Compares a line `sep=;` with the contract.

    Args:
        line: with its line end; empty if there is none.

    Raises:
        PermanentError: the contract has another delimiter.
    """
    found = _SEPARATOR.match(line)
    named = found[1].decode(errors="replace") if found else dialect.delimiter
    if named != dialect.delimiter:
        raise PermanentError(
            Reason(
                code="delimiter_mismatch",
                message=f"The first line of the file, sep={named}, names the delimiter {named!r}; "
                f"the contract has {dialect.delimiter!r}.",
                remedy="Name the file's delimiter in the contract's format and replay the drop, or "
                "write the file with the contract's.",
            )
        )


@contextmanager
def trailing_delimiter_explained(header: Sequence[str] | None) -> Iterator[None]:
    """Where a header does not fit the contract and ends with a delimiter, the reason names the
    option that allows it."""
    try:
        yield
    except PermanentError as error:
        if not header or len(header) == 1 or header[-1]:
            raise
        remedy = (
            'The header ends with a delimiter: "trailing_delimiter": true in the format of the '
            f"contract allows it. {error.reason.remedy}"
        )
        raise PermanentError(error.reason.model_copy(update={"remedy": remedy})) from None


def _before(dialect: CsvFormat) -> re.Pattern[bytes]:
    """Comments and empty lines."""
    if dialect.comment is None:
        return re.compile(rb"[\r\n]*+")
    comment = re.escape(dialect.comment.encode())
    return re.compile(rb"(?:(?:%b[^\r\n]*)?(?:\r\n|\r|\n))*+" % comment)


def _record(dialect: CsvFormat) -> re.Pattern[bytes]:
    """One record without its line end; text after a quote that closes a field is let through.

    Possessive, so that a megabyte after a quote that is never closed costs one pass.
    """
    quote, delimiter = re.escape(dialect.quote.encode()), re.escape(dialect.delimiter.encode())
    quoted = quoted_field(dialect.quote, dialect.escape_character).pattern
    other = rb"[^%b\r\n]*+" % delimiter
    field = rb"(?:%b%b|(?!%b)%b)" % (quoted, other, quote, other)
    return re.compile(rb"%b(?:%b%b)*+" % (field, delimiter, field), re.DOTALL)

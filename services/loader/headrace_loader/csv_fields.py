"""The fields of one CSV record, read and written by one rule. Without I/O.

A quote opens a quoted field only as the field's first character. In a quoted field an escape before
a quote or an escape stands for that character; the quote that closes it must be followed by the
delimiter or the record's end. In any other field every character stands for itself; a record in
which a delimiter stands between two such quotes is refused where it is loaded (`csv_batches`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from headrace_shared.file_formats import CsvFormat


class QuotingError(ValueError):
    """A quote is not closed, or text follows the quote that closes a field."""


def fields_of(record: bytes, dialect: CsvFormat) -> list[str]:
    """The texts of a record's fields; the null text is one like any other.

    Args:
        record: UTF-8, without its line end.

    Raises:
        QuotingError: see there.
    """
    return [text_of(field, dialect) for field in _cut(record, dialect)]


def text_of(field: bytes, dialect: CsvFormat) -> str:
    """The text of a sound field."""
    text, quote, escape = field.decode(), dialect.quote, dialect.escape_character
    if not text.startswith(quote):
        return text
    inner = text[1:-1]
    if escape not in inner:
        return inner
    if escape == quote:
        return inner.replace(quote * 2, quote)
    either = f"[{re.escape(quote)}{re.escape(escape)}]"
    return re.sub(f"{re.escape(escape)}({either})", r"\1", inner)


def value_of(field: bytes, dialect: CsvFormat) -> str | None:
    """The value of a sound field, as COPY reads it."""
    text = text_of(field, dialect)
    can_be_null = dialect.null_quoted or not field.startswith(dialect.quote.encode())
    return None if text == dialect.null and can_be_null else text


def record_of(fields: Iterable[str], dialect: CsvFormat) -> str:
    """A record of these texts, without its line end."""
    return dialect.delimiter.join(_written(text, dialect) for text in fields)


def quoted(text: str, dialect: CsvFormat) -> str:
    """A text as a quoted field."""
    quote, escape = dialect.quote, dialect.escape_character
    if escape != quote:
        text = text.replace(escape, escape * 2)
    return f"{quote}{text.replace(quote, escape + quote)}{quote}"


@lru_cache
def quoted_field(quote: str, escape: str) -> re.Pattern[bytes]:
    """A quoted field from its first quote to the one that closes it."""
    q, e = re.escape(quote.encode()), re.escape(escape.encode())
    # Possessive, so that a quote that is never closed costs one pass.
    if quote == escape:
        return re.compile(rb"%b(?:[^%b]++|%b%b)*+%b" % (q, q, q, q, q))
    return re.compile(rb"%b(?:[^%b%b]++|%b[%b%b]?+)*+%b" % (q, q, e, e, q, e, q))


def _cut(record: bytes, dialect: CsvFormat) -> Iterator[bytes]:
    quote, delimiter, at = dialect.quote.encode(), dialect.delimiter.encode(), 0
    pattern = quoted_field(dialect.quote, dialect.escape_character)
    while True:
        if record.startswith(quote, at):
            found = pattern.match(record, at)
            if found is None:
                raise QuotingError
            end = found.end()
        else:
            end = record.find(delimiter, at)
            end = len(record) if end < 0 else end
        if record[end : end + 1] not in (b"", delimiter):
            raise QuotingError
        yield record[at:end]
        if end == len(record):
            return
        at = end + 1


def _written(text: str, dialect: CsvFormat) -> str:
    special = {dialect.delimiter, dialect.quote, "\r", "\n"}
    is_comment = dialect.comment is not None and text.startswith(dialect.comment)
    if special & set(text) or is_comment or not text:
        return quoted(text, dialect)
    return text

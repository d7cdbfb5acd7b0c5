"""Values that Postgres cannot read as they are written: numbers with other marks, dates in other
forms. Without I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import get_month_names

from headrace_loader.sifting.number_texts import boolean_reader, has_marks, number_reader
from headrace_loader.sifting.whole_numbers import is_integer, whole
from headrace_shared.column_types import is_further
from headrace_shared.contract import Column
from headrace_shared.file_formats import CsvFormat, FileFormat, LocalFormat

Converter = Callable[[str], str]
"""The value as Postgres reads it; raises ValueError, which says what it is not."""

_NUMBERS: Final = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double"})
_MANY: Final = 65_536
"""Dates come again and again in a file."""

_ZONE_WORD: Final = re.compile(r"[A-Z]{3}\d[A-Z]{3}|[A-Za-z][A-Za-z_]*(?:[/+-][A-Za-z0-9_+-]+)*")

_Moment = tuple[datetime, str]


def converters_of(columns: Sequence[Column], written: FileFormat) -> Mapping[int, Converter]:
    """The converters of a file's columns, by their place; those that need none are not there."""
    found: dict[int, Converter] = {}
    for place, column in enumerate(columns):
        if column.formats:
            found[place] = _of_times(column)
        elif isinstance(written, CsvFormat) and has_marks(written) and _is_number(column):
            convert = number_reader(written)
            found[place] = _whole_of(convert) if is_integer(column) else convert
        elif isinstance(written, CsvFormat) and _has_words(written) and column.type == "boolean":
            found[place] = boolean_reader(written)
    return found


def needs_converting(columns: Sequence[Column], written: FileFormat) -> bool:
    """Whether any column does."""
    return bool(converters_of(columns, written))


def _has_words(written: CsvFormat) -> bool:
    return bool(written.true or written.false)


def _is_number(column: Column) -> bool:
    return not is_further(column.type) and re.split(r"[ (]", column.type)[0] in _NUMBERS


def _whole_of(convert: Converter) -> Converter:
    return lambda text: whole(convert(text))


def _of_times(column: Column) -> Converter:
    readers = [_reader(form) for form in column.formats]
    forms = " or ".join(repr(_form(form)) for form in column.formats)
    kind = column.type.partition(" ")[0]

    @lru_cache(_MANY)
    def convert(text: str) -> str:
        for read in readers:
            try:
                moment, zone = read(text.strip())
            except ValueError:
                continue
            return _written(moment, zone, kind)
        raise ValueError(f"is not written as {forms}")

    return convert


def _form(form: str | LocalFormat) -> str:
    return form if isinstance(form, str) else f"{form.format} ({form.locale})"


def _reader(form: str | LocalFormat) -> Callable[[str], _Moment]:
    if isinstance(form, str):
        return lambda text: _moment(text, form)
    months, pattern = _months(form.locale), re.sub("%[Bb]", "%m", form.format)
    names = re.compile(
        "|".join(map(re.escape, sorted(months, key=len, reverse=True))), re.IGNORECASE
    )
    return lambda text: _moment(
        names.sub(lambda name: months[name[0].lower()], text, count=1), pattern
    )


def _moment(text: str, form: str) -> _Moment:
    """The moment in a text, and the zone where one is named; Postgres knows what it means."""
    if "%Z" not in form:
        return datetime.strptime(text, form), ""  # noqa: DTZ007 - a zone only where it has one
    for word in reversed(list(_ZONE_WORD.finditer(text))):
        # Python knows UTC, GMT and the machine's own zone alone.
        with suppress(ValueError):
            known = f"{text[: word.start()]}UTC{text[word.end() :]}"
            return datetime.strptime(known, form), word[0]  # noqa: DTZ007 - with its word
    raise ValueError("it names no zone")


def _months(locale: str) -> dict[str, str]:
    """The names of the months, as they stand in a date and by themselves, with their numbers."""
    known = Locale.parse(locale)
    return {
        name.lower(): f"{number:02d}"
        for context in ("stand-alone", "format")
        for width in ("abbreviated", "wide")
        for number, name in get_month_names(width, context, known).items()
    }


def _written(moment: datetime, zone: str, kind: str) -> str:
    """The value as Postgres reads it. An offset or zone stays: whether the type holds it is judged
    as for any other text."""
    if zone or moment.tzinfo is not None:
        whole = moment.timetz().isoformat() if kind == "time" else moment.isoformat(sep=" ")
        return f"{whole} {zone}".rstrip()
    if kind == "date":
        return moment.date().isoformat()
    if kind == "time":
        return moment.time().isoformat()
    return moment.isoformat(sep=" ")


def unknown_locales(columns: Sequence[Column]) -> list[str]:
    """The languages that formats name and nobody knows."""
    named = {
        form.locale
        for column in columns
        for form in column.formats
        if isinstance(form, LocalFormat)
    }
    return sorted(locale for locale in named if not _is_known(locale))


def _is_known(locale: str) -> bool:
    try:
        Locale.parse(locale)
    except (UnknownLocaleError, ValueError):
        return False
    return True

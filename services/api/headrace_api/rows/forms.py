"""The forms of an answer: which one a client takes, and how a line of CSV is written. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from headrace_api.problems import not_acceptable
from headrace_api.rows.access import OpenColumn


class Form(StrEnum):
    """A media type; where a client likes several alike, the first."""

    JSON = "application/json"
    CSV = "text/csv"
    NDJSON = "application/x-ndjson"


_RANGE: Final = re.compile(r"([\w.+-]+|\*)/([\w.+-]+|\*)", re.ASCII)
_QUALITY: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)


def wanted_form(accepted: Sequence[str]) -> Form:
    """The form that the values of Accept like best, by RFC 9110, section 12.5.1.

    Raises:
        ApiError: (406) they take none of ours.
    """
    ranges = [one for value in accepted for one in map(_media_range, value.split(",")) if one]
    if not any(value.strip() for value in accepted):
        return Form.JSON
    best = max(Form, key=lambda form: _quality(form, ranges))
    if _quality(best, ranges) == 0:
        raise not_acceptable(Form)
    return best


def _media_range(text: str) -> tuple[str, float] | None:
    name, *parameters = (part.strip() for part in text.split(";"))
    if not _RANGE.fullmatch(name):
        return None
    qualities = [found for part in parameters if (found := _QUALITY.fullmatch(part))]
    return name.lower(), float(qualities[0][1]) if qualities else 1.0


def _quality(form: Form, ranges: Sequence[tuple[str, float]]) -> float:
    """By the most specific range that covers the form."""
    for name in (form, f"{form.partition('/')[0]}/*", "*/*"):
        found = [quality for covered, quality in ranges if covered == name]
        if found:
            return max(found)
    return 0.0


_RUN_AS_FORMULA: Final = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - full-width ones too
"""How a formula begins: https://owasp.org/www-community/attacks/CSV_Injection"""

_TO_QUOTE: Final = re.compile(r"[\",\r\n\t;|']|^ | $")
"""More than RFC 4180 asks for: what some spreadsheet takes for a separator is quoted too."""


def csv_line(columns: Sequence[OpenColumn], cells: Sequence[str | None]) -> str:
    """One row by RFC 4180: null is nothing, an empty text is quoted, no cell is a formula."""
    written = ",".join(
        _cell(cell, is_number=column.is_number) for column, cell in zip(columns, cells, strict=True)
    )
    # Readers skip an empty line, and with it a row whose only cell is null.
    return (written or '""') + "\r\n"


def csv_head(columns: Sequence[OpenColumn]) -> str:
    """The names of the columns, whose rule lets none begin like a formula."""
    return ",".join(column.name for column in columns) + "\r\n"


def defused(cell: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would run it."""
    return f"'{cell}" if cell[:1] in _RUN_AS_FORMULA else cell


def _cell(cell: str | None, *, is_number: bool) -> str:
    if cell is None:
        return ""
    text = cell if is_number else defused(cell)
    if text and not _TO_QUOTE.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'

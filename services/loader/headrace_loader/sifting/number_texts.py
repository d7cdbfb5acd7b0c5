"""Numbers and booleans as a contract says that they are written. Without I/O."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from headrace_shared.file_formats import CsvFormat

_PARENTHESES: Final = re.compile(r"\((.*)\)")
_MOST_CHARACTERS: Final = 1_000


def has_marks(written: CsvFormat) -> bool:
    """Whether numbers have other marks than Postgres reads."""
    is_marked = written.percent or written.currency or written.accounting
    return written.decimal != "." or written.thousands is not None or bool(is_marked)


def number_reader(written: CsvFormat) -> Callable[[str], str]:
    """Makes the number that Postgres reads; raises ValueError, which says what a text is not."""
    decimal, thousands = re.escape(written.decimal), written.thousands
    digits = r"\d+"
    if thousands is not None:
        digits = rf"(?:\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|\d+)"
    pattern = re.compile(rf"\s*[+-]?{digits}(?:{decimal}\d*)?(?:[eE][+-]?\d+)?\s*")
    example = f"1{thousands or ''}234{written.decimal}5"

    def read(text: str) -> str:
        bare, sign, is_percent = _without_signs(text, written)
        if pattern.fullmatch(bare) is None or (sign and bare.strip()[:1] in ("+", "-")):
            raise ValueError(f"is not a number written as {example}")
        plain = bare.replace(thousands, "") if thousands else bare
        number = sign + (plain.strip() if sign else plain).replace(written.decimal, ".")
        return _hundredth(number) if is_percent else number

    return read


def boolean_reader(written: CsvFormat) -> Callable[[str], str]:
    """Makes the boolean that Postgres reads; its own words stay."""
    words = {word.casefold(): "true" for word in written.true}
    words |= {word.casefold(): "false" for word in written.false}
    return lambda text: words.get(text.strip().casefold(), text)


def _without_signs(text: str, written: CsvFormat) -> tuple[str, str, bool]:
    """The digits of a number, the sign that stood around them, and whether it is in percent."""
    bare, sign = text, ""
    if written.accounting:
        bare = text.strip()
        inner = _PARENTHESES.fullmatch(bare)
        if inner is not None:
            bare, sign = inner[1], "-"
        elif bare.endswith("-"):
            bare, sign = bare[:-1], "-"
    is_percent = written.percent and bare.rstrip().endswith("%")
    if is_percent:
        bare = bare.rstrip()[:-1]
    for one in written.currency:
        found = re.fullmatch(rf"(\s*[+-]?)\s*{re.escape(one)}(.*)|(.*?){re.escape(one)}\s*", bare)
        if found is not None:
            bare = found[3] if found[3] is not None else f"{found[1]}{found[2].lstrip()}"
            break
    return bare, sign, is_percent


def _hundredth(number: str) -> str:
    """The number divided by 100, with every digit."""
    if len(number) > _MOST_CHARACTERS or re.search(r"[eE][+-]?\d{4}", number):
        raise ValueError("is not a number in percent")
    sign, digits, exponent = Decimal(number.strip()).as_tuple()
    assert isinstance(exponent, int)
    return format(Decimal((sign, digits, exponent - 2)), "f")

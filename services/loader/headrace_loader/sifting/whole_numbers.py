"""Whole numbers that are written as fractions or with an exponent: `3.00`, `1e15`. Without I/O."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from headrace_shared.contract import Column

_INTEGERS: Final = frozenset({"smallint", "integer", "bigint"})
_WRITTEN_OTHERWISE: Final = re.compile(
    r"\s*([+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d{1,3})?)\s*", re.ASCII
)
_MOST_CHARACTERS: Final = 400


def is_integer(column: Column) -> bool:
    """Whether a column holds whole numbers."""
    return column.type in _INTEGERS


def whole(text: str) -> str:
    """A whole number in digits alone; every other text as it is, for Postgres to judge."""
    found = _WRITTEN_OTHERWISE.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
    if found is None:
        return text
    number = Decimal(found[1])
    return str(int(number)) if number == number.to_integral_value() else text

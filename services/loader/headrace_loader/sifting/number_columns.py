"""Fields of columns of whole numbers that are not written in digits alone. Without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from headrace_loader.sifting.structure import Records

_MARKS: Final = b".eE"


def has_fractions(records: Records, places: Sequence[int], width: int) -> bool:
    """Whether one of these fields, of records of this width, has a point or an exponent."""
    right = np.flatnonzero(records.fields == width)
    if not places or not right.size or not any(mark in records.data for mark in _MARKS):
        return False
    data = np.frombuffer(records.data, np.uint8)
    marked = np.zeros(len(data), np.uint8)
    for mark in _MARKS:
        marked |= data == mark
    starts = np.concatenate([np.zeros(1, np.intp), records.separators[:-1] + 1])
    of_fields = np.bitwise_or.reduceat(marked, starts)
    first = records.first_separators()[right]
    return any(bool(of_fields[first + place].any()) for place in places)

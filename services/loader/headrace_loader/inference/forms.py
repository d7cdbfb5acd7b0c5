"""How numbers and times may be written, other than Postgres writes them. Without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final


@dataclass(frozen=True)
class Marks:
    """The marks within numbers, as a contract's format names them."""

    decimal: str
    thousands: str | None = None

    @property
    def pattern(self) -> str:
        """What a number looks like, as DuckDB's regular expressions (RE2) have it."""
        point = f"[{self.decimal}]"
        fraction = rf"({point}\d{{1,30}})?"
        if self.thousands is None:
            return rf"[+-]?(\d{{1,38}}{fraction}|{point}\d{{1,30}})"
        mark = f"[{self.thousands}]"
        return rf"[+-]?(\d{{1,3}}({mark}\d{{3}})+|\d{{1,38}}){fraction}"


USUAL_MARKS: Final = Marks(".")
OTHER_MARKS: Final = (
    Marks(",", "."),
    Marks(".", ","),
    Marks(","),
    Marks(",", " "),
    Marks(",", "\u00a0"),
    Marks(",", "\u202f"),
    Marks(".", " "),
    Marks(".", "'"),
)

_DAYS: Final = (
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d %Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%B %d %Y",
)
_ISO_DAY: Final = "%Y-%m-%d"
_CLOCKS: Final = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
_LONGEST: Final = 40
"""Characters: no time is longer."""

_MOST_FORMATS: Final = 3


@dataclass(frozen=True)
class Times:
    """How the times of a column are written. `ambiguous`: formats that read them differently."""

    kind: str
    formats: Sequence[str]
    ambiguous: Sequence[str] = ()


def times(values: Sequence[str]) -> Times | None:
    """How all of these values are written; None if they are no times.

    Args:
        values: different ones, as many as are to be looked at.
    """
    if not values or any(len(one) > _LONGEST for one in values):
        return None
    for kind, candidates in (("date", _DAYS), ("timestamp", tuple(_moments()))):
        fitting = [form for form in candidates if _fits(form, values[0])]
        whole = [form for form in fitting if all(_fits(form, one) for one in values)]
        if whole:
            return Times(kind, whole[:1], whole if _differ(whole, values) else ())
        several = _covering(candidates, values)
        if several:
            return Times(kind, several)
    return None


def _moments() -> Iterator[str]:
    for day in (*_DAYS, _ISO_DAY):
        for clock in _CLOCKS:
            yield f"{day} {clock}"
            yield f"{day}T{clock}"
            yield f"{day}, {clock}"


def _covering(candidates: Iterable[str], values: Sequence[str]) -> list[str]:
    """A few formats of which each value fits exactly one; none if there are no such formats."""
    left, found = list(values), list[str]()
    candidates = list(candidates)
    while left and len(found) < _MOST_FORMATS:
        form = next((one for one in candidates if _fits(one, left[0])), None)
        if form is None:
            return []
        found.append(form)
        left = [one for one in left if not _fits(form, one)]
    fits = [[form for form in candidates if _fits(form, one)] for one in values]
    is_clear = not left and all(len(one) == 1 for one in fits)
    return sorted(found, key=candidates.index) if is_clear else []


def _differ(forms: Sequence[str], values: Sequence[str]) -> bool:
    """Whether two of the formats read a value differently."""
    return any(len({_read(form, one) for form in forms}) > 1 for one in values)


def _fits(form: str, value: str) -> bool:
    return _read(form, value) is not None


def _read(form: str, value: str) -> datetime | None:
    try:
        return datetime.strptime(value, form)  # noqa: DTZ007 - only compared
    except ValueError:
        return None

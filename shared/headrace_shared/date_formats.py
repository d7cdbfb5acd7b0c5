"""The formats of dates and times in a contract, and the parts that their type needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from headrace_shared.file_formats import Loss

CAN_LOSE: Final[Mapping[str, tuple[Loss, ...]]] = {
    "date": ("offset", "time_of_day"),
    "time without time zone": ("offset", "date"),
    "timestamp without time zone": ("offset",),
    "timestamp with time zone": (),
}
"""By type, the parts of a text that a column cannot hold."""

_CODE: Final = re.compile(r"%(.)", re.DOTALL)
_KNOWN: Final = frozenset("aAwdbBmyYHIMSfzZjUWcxXpGuV%")
"""https://docs.python.org/3/library/datetime.html#strftime-and-strptime-format-codes"""

_A_MOMENT: Final = datetime(2004, 11, 23, 22, 30, 15, 123_456, UTC)

_WHOLE_DATES: Final = ("c", "x")
_WEEKDAYS: Final = "aAwu"


def refuse_bad_format(form: str, column_type: str) -> None:
    """Looks whether strptime knows the codes of a format, and whether they make a value of the
    type.

    Raises:
        ValueError: it does not, or they do not; says what is missing.
    """
    codes = frozenset(_CODE.findall(form))
    unknown = sorted(codes - _KNOWN)
    if unknown:
        raise ValueError(f"{form!r} is no format of strptime: it has no code %{unknown[0]}")
    if not codes:
        raise ValueError(f"{form!r} has no code of strptime, such as %Y-%m-%d")
    missing = ", ".join(_missing(codes, column_type))
    if missing:
        raise ValueError(f"{form!r} makes no {column_type.partition(' ')[0]}: it lacks {missing}")
    try:
        datetime.strptime(_A_MOMENT.strftime(form), form)  # noqa: DTZ007 - no moment comes of it
    except (ValueError, re.error) as error:
        raise ValueError(f"{form!r} is no format of strptime: {error}") from None


def _missing(codes: Collection[str], column_type: str) -> Iterator[str]:
    if not column_type.startswith("time without"):
        yield from _missing_of_date(codes)
    has_hour = any(code in codes for code in "HIXc")
    if not has_hour and (column_type.startswith("time ") or any(one in codes for one in "MSf")):
        yield "an hour (%H)"
    if "I" in codes and "p" not in codes:
        yield "%p beside %I"


def _missing_of_date(codes: Collection[str]) -> Iterator[str]:
    has_weekday = any(day in codes for day in _WEEKDAYS)
    # Beside %U or %W, Python counts the week by that one.
    of_iso_week = {"G", "V"} <= set(codes) and has_weekday and not {"U", "W"} & set(codes)
    if any(code in codes for code in _WHOLE_DATES) or of_iso_week:
        return
    of_week = any(one in codes for one in "UW") and has_weekday
    if not any(code in codes for code in "Yy"):
        yield "a year (%Y, or %G with %V and %u)" if "G" in codes else "a year (%Y)"
    if "j" in codes or of_week:
        return
    if not any(code in codes for code in "mbB"):
        yield "a month (%m)"
    if "d" not in codes:
        yield "a day (%d)"

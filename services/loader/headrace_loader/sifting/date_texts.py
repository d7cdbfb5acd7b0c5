"""The texts of dates and times that have one reading only, and lose nothing in their column.

Postgres reads more: words whose value is the clock (`today`), dates whose order is a setting
(`01/02/26`), zones whose sign it turns (`UTC+2`); and it drops what a type does not hold (the
offset in a `timestamp`). Such a text is at fault here. All others are left to Postgres, which knows
whether there is such a day. Without I/O.
https://www.postgresql.org/docs/current/datetime-input-rules.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache, partial
from typing import Final

from headrace_loader.sifting.batches import Fault
from headrace_loader.sqlstate import shortened
from headrace_shared.contract import Column
from headrace_shared.date_formats import CAN_LOSE
from headrace_shared.file_formats import Loss

TextCheck = Callable[[str], Fault | None]
"""What is wrong with a text for a column; None where Postgres is to judge it."""

_MANY: Final = 65_536
"""Dates come again and again in a file."""

_LONGEST: Final = 80
"""Characters of a text that is remembered; no form that is read has more."""

_LOST: Final[dict[Loss, str]] = {
    "time_of_day": "a time of day",
    "date": "a date",
    "offset": "an offset from UTC",
}

_MONTH: Final = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY: Final = "(?:(?:mon|tues?|wed(?:s|nes)?|thur?s?|fri|sat(?:ur)?|sun)(?:day)?[,.]?\\s+)?"
_YEAR: Final = r"\d{3,12}"
_DAY: Final = "|".join(
    (
        rf"{_YEAR}-\d\d?-\d\d?",
        rf"{_YEAR}/\d\d?/\d\d?",
        rf"{_YEAR}\.\d\d?\.\d\d?",
        rf"{_YEAR}[ _]\d\d?[ _]\d\d?",
        rf"{_YEAR}[-/. ]{_MONTH}[-/. ]\d\d?",
        rf"\d\d?[-/. ]{_MONTH}[-/., ]\s*{_YEAR}",
        rf"\d\d?{_MONTH}{_YEAR}",
        rf"{_MONTH}[-/. ]\s*\d\d?[-/, ]\s*{_YEAR}",
        r"\d{8}",
        r"\d{4}[-.]\d{3}",
        r"j\d{1,8}",
    )
)
_ERA: Final = r"(?:\s*(?:bc|ad))?"
_DATE: Final = rf"(?P<date>{_WEEKDAY}(?:{_DAY}){_ERA})"
_CLOCK: Final = r"\d\d?:\d\d?(?::\d\d?(?:\.\d*)?)?(?:\s*[ap]m)?"
_TIME: Final = rf"(?P<time>{_CLOCK}|\d{{6}}(?:\.\d*)?|\d{{4}}|allballs)"
_SIGNED: Final = r"[+-]\d\d?(?::?\d\d(?::?\d\d)?)?"
_NAMED: Final = (
    r"etc/gmt[+-]\d\d?|(?:etc/)?gmt[+-]?0|est5edt|cst6cdt|mst7mdt|pst8pdt|"
    r"(?!(?:now|today|tomorrow|yesterday|localtime|posixrules|bc|ad)\b)"
    r"[a-z][a-z_]*(?:[/-][a-z_]+)*"
    r"(?:\s+dst)?"
)
_ZONE: Final = rf"(?:\s*(?P<zone>{_SIGNED}|{_NAMED}))?"

_OF_DATES: Final = (
    rf"{_DATE}(?:(?:\s*t\s*|\s+){_TIME})?{_ZONE}{_ERA}",
    rf"{_TIME}\s+{_DATE}{_ZONE}",
    rf"(?P<date>{_WEEKDAY}{_MONTH}\s+\d\d?)\s+{_TIME}{_ZONE}\s+{_YEAR}",
    r"epoch|[+-]?infinity",
)
_OF_TIMES: Final = (rf"t?{_TIME}{_ZONE}", *_OF_DATES)


def _patterns(forms: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(form, re.IGNORECASE | re.ASCII) for form in forms)


_FORMS: Final = {
    kind: _patterns(_OF_TIMES if kind.startswith("time ") else _OF_DATES) for kind in CAN_LOSE
}

_ISO_DAY: Final = rb"\d{4}-\d\d-\d\d"
_ISO_TIME: Final = rb"\d\d:\d\d[\d:.]*"
CLEAR_TEXTS: Final[Mapping[str, re.Pattern[bytes]]] = {
    "date": re.compile(_ISO_DAY),
    "time without time zone": re.compile(_ISO_TIME),
    "timestamp without time zone": re.compile(rb"%b(?:[ T]%bZ?)?" % (_ISO_DAY, _ISO_TIME)),
    "timestamp with time zone": re.compile(
        rb"%b(?:[ T]%b(?:Z|[+-]\d\d(?::?\d\d)?)?)?" % (_ISO_DAY, _ISO_TIME)
    ),
}
"""By type, texts that need not be looked at further: in ISO 8601, as most are."""

_OF_THE_CLOCK: Final = re.compile(
    r"(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])", re.IGNORECASE
)
_TURNED: Final = re.compile(r":\d\d.*[a-z]\s*[+-]\s*\d", re.IGNORECASE)
_TWO_READINGS: Final = re.compile(
    rf"\W*{_WEEKDAY}(?:\d{{1,2}}[-/. _]\d{{1,2}}[-/. _]\d{{1,4}}|\d{{6}}|"
    rf"\d{{1,2}}[-/. ]*{_MONTH}[-/., ]*\d{{1,2}}|{_MONTH}[-/. ]*\d{{1,2}}[-/, ]+\d{{1,2}})\b",
    re.IGNORECASE | re.ASCII,
)
_UTC: Final = re.compile(r"z|zulu|utc|gmt|uct|ut|etc/utc|[+-]0+(?::?0+)*", re.IGNORECASE)
_MIDNIGHT: Final = re.compile(r"[0:.]+(?:\s*am)?|12(?::0+)+(?:\.0*)?\s*am|allballs", re.IGNORECASE)


def is_of_times(column: Column) -> bool:
    """Whether a column holds dates or times."""
    return column.type in CAN_LOSE


def text_check(column: Column) -> TextCheck | None:
    """What looks at the texts of a column; None for a column without dates and times.

    A column with `formats` says by them which parts are read, so of dates and times of day none
    is lost without a word.
    """
    if not is_of_times(column):
        return None
    allowed: set[Loss] = set(column.lossy)
    if column.formats:
        allowed |= {"date", "time_of_day"}
    fault = partial(_fault, column, frozenset(allowed))
    remembered = lru_cache(_MANY)(fault)
    return lambda text: (remembered if len(text) <= _LONGEST else fault)(text)


def text_checks(columns: Sequence[Column]) -> Mapping[int, TextCheck]:
    """What looks at the texts of a file's columns, by their place; those that need nothing are not
    there."""
    found = {place: text_check(column) for place, column in enumerate(columns)}
    return {place: check for place, check in found.items() if check is not None}


def _fault(column: Column, allowed: Collection[Loss], text: str) -> Fault | None:
    bare = text.strip()[: _LONGEST + 1]
    forms = _FORMS[column.type] if len(bare) <= _LONGEST else ()
    found = next((match for form in forms if (match := form.fullmatch(bare))), None)
    if found is None:
        return _unread(column, text)
    lost = _lost(found.groupdict())
    for one in CAN_LOSE[column.type]:
        if one in lost and one not in allowed:
            return _lossy(column, text, one)
    return None


def _lost(parts: Mapping[str, str | None]) -> set[Loss]:
    """The parts of a text that count; midnight and UTC count as nothing."""
    date, time, zone = (parts.get(name) for name in ("date", "time", "zone"))
    lost: set[Loss] = set()
    if date is not None:
        lost.add("date")
    if time is not None and _MIDNIGHT.fullmatch(time) is None:
        lost.add("time_of_day")
    if zone is not None and _UTC.fullmatch(zone) is None:
        lost.add("offset")
    return lost


def _lossy(column: Column, text: str, lost: Loss) -> Fault:
    shown = shortened(text)
    kind = column.type.partition(" ")[0]
    reason = (
        f'"{shown}" has {_LOST[lost]}, which {kind} does not hold; give the column another type, '
        f'or "lossy": ["{lost}"]'
    )
    return Fault("lossy", reason, column.name, shown)


def _unread(column: Column, text: str) -> Fault:
    """A text in none of the forms."""
    text = text[: 2 * _LONGEST]
    shown, kind = shortened(text), column.type.partition(" ")[0]
    if _OF_THE_CLOCK.search(text):
        reason = f'"{shown}" is another {kind} each day; write the {kind} itself'
        return Fault("clock", reason, column.name, shown)
    if _TURNED.search(text):
        reason = f'"{shown}" has a zone and an offset, which can be read in two ways; leave one out'
        return Fault("ambiguous_value", reason, column.name, shown)
    if _TWO_READINGS.match(text):
        reason = (
            f'"{shown}" has more than one reading as a {kind}; write the year in four digits and '
            'first, or give the column "formats"'
        )
        return Fault("ambiguous_value", reason, column.name, shown)
    return Fault("type", f'"{shown}" is not a {kind}', column.name, shown)

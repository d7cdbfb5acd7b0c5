"""Numbers, sizes, durations and moments as people read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_SPANS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60))


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: `relative` is read, `machine` and `absolute` are exact."""

    relative: str
    absolute: str
    machine: str


def moment(text: str | None, now: datetime) -> Moment | None:
    """The moment that a text of RFC 3339 names; None for none."""
    if text is None:
        return None
    at = datetime.fromisoformat(text).astimezone(UTC)
    return Moment(ago(at, now), f"{at:%Y-%m-%d %H:%M:%S} UTC", at.isoformat())


def ago(at: datetime, now: datetime) -> str:
    """`3 minutes ago`, `in 5 s`, `just now`."""
    seconds = round((now - at).total_seconds())
    if seconds < 0:
        return f"in {span(-seconds)}"
    return "just now" if seconds < 2 else f"{span(seconds)} ago"


def span(seconds: int) -> str:
    """In the largest unit that fits: `45 s`, `1 minute`, `3 days`."""
    for unit, length in _SPANS:
        if seconds >= length:
            number = seconds // length
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return f"{seconds} s"


def duration(milliseconds: int | None) -> str:
    """`84 ms`, `1.4 s`, `2 min 5 s`, `1 h 2 min`; empty for none."""
    if milliseconds is None:
        return ""
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1_000:.1f} s"
    minutes, seconds = divmod(round(milliseconds / 1_000), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def count(number: int | None) -> str:
    """`336,776`; empty for none."""
    return "" if number is None else f"{number:,}"


def several(number: int, thing: str) -> str:
    """`1 row`, `1,204 rows`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def size(size_bytes: int | None) -> str:
    """`31.1 MB`, in powers of ten; empty for none."""
    if size_bytes is None:
        return ""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f} {unit}"
    return f"{size_bytes} B"


def share(part: int, whole: int) -> str:
    """`0.4 %`; `0 %` only for nothing at all; empty of nothing."""
    if whole <= 0:
        return ""
    percent = part * 100 / whole
    if part == 0:
        return "0 %"
    return "< 0.1 %" if percent < 0.1 else f"{percent:.1f} %"


def visible(text: str | None) -> str:
    """The text with characters that cannot be seen spelled out: a file's name may hold any."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text or ""
    )

"""Numbers, sizes, times and foreign text in the words of the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.cells import cell_len


def plain(text: str) -> str:
    """The text with its control characters spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str, width: int) -> str:
    """The text in at most `width` cells; what is left out is left out of its middle."""
    text = plain(text)
    if cell_len(text) <= width:
        return text
    tail = (width - 1) * 2 // 3
    head = width - 1 - tail
    return f"{text[:head]}…{text[-tail:]}"


def count(number: int) -> str:
    """`336,776`."""
    return f"{number:,}"


def size(size_bytes: int) -> str:
    """`31.1 MB`, in powers of ten, as the rate is."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f} {unit}"
    return f"{size_bytes} B"


def rate(size_bytes: int | None, milliseconds: int | None) -> str:
    """`21.4 MB/s`; of a small file, where it would say nothing, `< 0.1 MB/s`."""
    if not size_bytes or not milliseconds:
        return ""
    per_second = size_bytes / milliseconds / 1000
    return f"{per_second:.1f} MB/s" if per_second >= 0.1 else "< 0.1 MB/s"


def milliseconds(value: int | None) -> str:
    """`1,412 ms`."""
    return "" if value is None else f"{value:,} ms"


def clock(moment: datetime) -> str:
    """`2026-11-20 23:10:04 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(int((now - moment).total_seconds()), 0)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            number = seconds // length
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return f"{seconds} s ago"


def rows_word(number: int) -> str:
    """`1 row`, `2 rows`."""
    return f"{number:,} row" if number == 1 else f"{number:,} rows"


def instant(moment: datetime) -> str:
    """`23:10:04.120`, UTC."""
    at = moment.astimezone(UTC)
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"

"""What a reader of files hands on: rows for COPY, and records that are bad already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

Fields = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a record.

    Args:
        column, value: None where the whole record is at fault.
        code: stable, for programs.
        reason: a phrase for people.
    """

    code: str
    reason: str
    column: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a file and its place.

    Args:
        number: of the data records, counted from 1.
        line: the physical line where it begins, counted from 1; None for files without lines.
        byte_offset: the bytes of the unpacked file before it; None for files without lines.
        raw: the record as it stands in the file, without its line end.
    """

    number: int
    line: int | None
    byte_offset: int | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be loaded, and why.

    Args:
        unjudged: its rows as Postgres would have got them, None for values at fault: Postgres has
            not looked at the others yet.
    """

    record: Record
    faults: tuple[Fault, ...]
    unjudged: tuple[Fields, ...] = ()


def by_number(records: Iterable[BadRecord]) -> list[BadRecord]:
    """Bad records in the order of their file."""
    return sorted(records, key=lambda bad: bad.record.number)


class Batch(Protocol):
    """Some records of a file, in their order."""

    @property
    def payload(self) -> bytes:
        """The rows that look good, as COPY takes them."""

    @property
    def lines(self) -> int:
        """How many lines the payload has, as COPY counts them."""

    @property
    def bad(self) -> Sequence[BadRecord]:
        """The records that are not in the payload."""

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes."""

    @property
    def rows(self) -> int:
        """How many rows the payload has."""

    def place_of(self, line: int) -> int:
        """The place, counted from 0, of the payload's row whose last line is this one, counted
        from 1."""

    def sent(self, place: int) -> tuple[Record, Fields]:
        """The record of a row of the payload, and its values in the order of the columns."""

    def beside(self, places: Sequence[int]) -> Sequence[int]:
        """These places, in order, with those of the other rows of the same records."""

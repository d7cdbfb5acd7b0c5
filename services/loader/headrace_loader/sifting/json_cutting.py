"""The records of a JSON file: where they begin and end. Without I/O."""

from __future__ import annotations

from typing import Protocol

import msgspec

from headrace_loader.csv_stream import line_too_long
from headrace_loader.sifting.batches import Record
from headrace_loader.sifting.json_elements import Elements
from headrace_loader.sifting.json_stream import CLOSING, Marks, RecordStream
from headrace_shared.file_formats import Steps


class Cutter(Protocol):
    """Cuts a file into records."""

    def feed(self, block: bytes) -> list[Record]:
        """The records that are whole with this block.

        Raises:
            PermanentError: a record is longer than the limit, or the file cannot be gone on with.
        """

    def finish(self) -> list[Record]:
        """What is left at the end of the file."""


def cutter_of(head: bytes, steps: Steps | None, most_bytes: int) -> Cutter:
    """What cuts a file.

    Args:
        head: a megabyte of it, or all.
        steps: the path of the array of the records, if the contract names one.
        most_bytes: the longest record.
    """
    stripped = head.lstrip()
    if steps is not None or stripped.startswith(b"["):
        return Elements(steps or (), most_bytes)
    first_line, _, rest = stripped.partition(b"\n")
    if _is_object(first_line) or not stripped.startswith(b"{"):
        return Lines(most_bytes)
    # One that is printed over several lines; or the first line is bad, and others are not.
    goes_on = rest.lstrip()[:1] in (b'"', b"}", b"")
    return Documents(most_bytes) if goes_on else Lines(most_bytes)


def _is_object(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class Lines:
    """Newline-delimited records."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._pending = bytearray()
        self._number, self._line, self._offset = 0, 0, 0

    def feed(self, block: bytes) -> list[Record]:
        """See `Cutter`."""
        self._pending += block
        whole, end, rest = bytes(self._pending).rpartition(b"\n")
        if len(rest) > self._most:
            raise line_too_long(self._most)
        self._pending = bytearray(rest)
        return self._records(whole) if end else []

    def finish(self) -> list[Record]:
        """See `Cutter`."""
        return self._records(bytes(self._pending)) if self._pending else []

    def _records(self, whole: bytes) -> list[Record]:
        found = []
        for line in whole.split(b"\n"):
            self._line += 1
            raw = line.rstrip(b"\r")
            if raw.strip():
                self._number += 1
                found.append(Record(self._number, self._line, self._offset, raw))
            self._offset += len(line) + 1
        return found


class Documents(RecordStream):
    """Objects one after the other, with any spaces between and within them."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(most_bytes)
        self._marks = Marks()

    def feed(self, block: bytes) -> list[Record]:
        """See `Cutter`."""
        block, marks = self._marks.of(block, 0)
        begin, done, found = self._add(block), 0, []
        for place, _ in marks:
            if block[place] in CLOSING:
                record = self._record(done, begin + place + 1)
                found += [record] if record else []
                done = begin + place + 1
        self._forget(done)
        return found

    def finish(self) -> list[Record]:
        """See `Cutter`."""
        record = self._record(0, len(self._kept))
        return [record] if record else []

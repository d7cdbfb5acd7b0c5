"""Where are the records of a JSON file? Without I/O.

Only brackets, commas and quotes are looked at, by numpy; whether what is between them is JSON,
whoever reads the record finds out. So one bad record spoils no other, whatever is nested in it.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

import msgspec
import numpy as np

from headrace_loader.csv_stream import line_too_long
from headrace_loader.sifting.batches import Record
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import Steps
from headrace_shared.reasons import Reason

_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)
_OPEN, _CLOSED = b"{[", b"}]"
_MARKS: Final = np.zeros(256, np.bool_)
_MARKS[list(b"{}[]:,")] = True
_STEP: Final = np.zeros(256, np.int32)
_STEP[list(_OPEN)], _STEP[list(_CLOSED)] = 1, -1


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


class _Marks:
    """The brackets, colons and commas of a stream that are outside texts, each with the depth
    behind it."""

    def __init__(self) -> None:
        self._held = b""
        self._inside = False
        self.depth = 0

    def of(self, block: bytes, deepest: int) -> tuple[bytes, list[tuple[int, int]]]:
        """What is looked at of a block, and the places and depths of its marks.

        Args:
            deepest: what is nested deeper is left out.
        """
        block = self._held + block
        ending = len(block) - len(block.rstrip(b"\\"))
        cut = len(block) - ending % 2  # the first half of an escape waits for the other one
        block, self._held = block[:cut], block[cut:]
        looked = np.frombuffer(_ESCAPE.sub(b"  ", block) if b"\\" in block else block, np.uint8)
        if not looked.size:
            return block, []
        inside = np.logical_xor.accumulate(looked == ord('"')) ^ self._inside
        outside = ~inside
        depths = np.cumsum(_STEP[looked] * outside) + self.depth
        self._inside, self.depth = bool(inside[-1]), int(depths[-1])
        found = np.flatnonzero(_MARKS[looked] & outside & (depths <= deepest))
        return block, list(zip(found.tolist(), depths[found].tolist(), strict=True))


class _Stream:
    """Bytes that are kept until the records in them are known."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._kept = bytearray()
        self._number, self._line, self._offset = 0, 1, 0
        self._counted = 0
        """So far the line feeds in what is kept are counted."""

    def _add(self, block: bytes) -> int:
        """Keeps a block; answers where it begins."""
        start = len(self._kept)
        self._kept += block
        return start

    def _record(self, start: int, end: int) -> Record | None:
        """The record between two places; None where only spaces are."""
        raw = bytes(self._kept[start:end])
        bare = raw.lstrip()
        if not bare:
            return None
        self._number += 1
        first = start + len(raw) - len(bare)
        self._line += self._kept.count(b"\n", self._counted, first)
        self._counted = first
        return Record(self._number, self._line, self._offset + first, bare.rstrip())

    def _forget(self, end: int) -> None:
        self._line += self._kept.count(b"\n", self._counted, end)
        self._counted = 0
        self._offset += end
        del self._kept[:end]
        if len(self._kept) > self._most:
            raise line_too_long(self._most)


class Documents(_Stream):
    """Objects one after the other, with any spaces between and within them."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(most_bytes)
        self._marks = _Marks()

    def feed(self, block: bytes) -> list[Record]:
        """See `Cutter`."""
        block, marks = self._marks.of(block, 0)
        begin, done, found = self._add(block), 0, []
        for place, _ in marks:
            if block[place] in _CLOSED:
                record = self._record(done, begin + place + 1)
                found += [record] if record else []
                done = begin + place + 1
        self._forget(done)
        return found

    def finish(self) -> list[Record]:
        """See `Cutter`."""
        record = self._record(0, len(self._kept))
        return [record] if record else []


class Elements(_Stream):
    """The elements of one array.

    Args:
        steps: the names that lead to it; none for an array that is the whole document.
    """

    def __init__(self, steps: Steps, most_bytes: int) -> None:
        super().__init__(most_bytes)
        self._marks = _Marks()
        self._steps = steps
        self._names: dict[int, str | None] = {}
        self._within: int | None = None
        """The depth in the array, while it is open."""
        self._is_over = False
        self._last_mark = 0

    def feed(self, block: bytes) -> list[Record]:
        """See `Cutter`."""
        block, marks = self._marks.of(block, len(self._steps) + 1)
        begin, found = self._add(block), list[Record]()
        for place, depth in marks:
            at, mark = begin + place, block[place]
            if self._within is None:
                self._seek(mark, at, depth)
            elif depth == self._within and mark == ord(","):
                found += self._cut(at, is_last=False)
            elif depth < self._within:
                found += self._cut(at, is_last=True)
                self._close(mark)
            else:
                continue
            self._last_mark = at + 1
        self._forget(self._last_mark)
        self._last_mark = 0
        return found

    def finish(self) -> list[Record]:
        """See `Cutter`."""
        if self._within is not None or self._marks.depth:
            raise self._broken_off()
        if not self._is_over:
            raise self._missing()
        return []

    def _seek(self, mark: int, at: int, depth: int) -> None:
        """Follows the names that lead to the array."""
        if mark == ord(":"):
            self._names[depth] = self._name(at)
        elif mark == ord("["):
            path = tuple(self._names.get(one) for one in range(1, depth))
            self._names[depth] = None
            if path == self._steps and not self._is_over:
                self._within = depth
        elif mark == ord("{"):
            self._names[depth] = None

    def _name(self, at: int) -> str | None:
        try:
            return msgspec.json.decode(bytes(self._kept[self._last_mark : at]), type=str)
        except msgspec.DecodeError:
            return None

    def _cut(self, at: int, *, is_last: bool) -> list[Record]:
        record = self._record(self._last_mark, at)
        if record is not None:
            return [record]
        if is_last and not self._number:
            return []
        self._number += 1
        return [Record(self._number, None, None, b"")]

    def _close(self, mark: int) -> None:
        if mark != ord("]"):
            raise self._broken_off()
        self._within, self._is_over = None, True

    def _broken_off(self) -> PermanentError:
        return PermanentError(
            Reason(
                code="json_malformed",
                message=f"The file breaks off, or its brackets do not match: after record "
                f"{self._number:,}, near line {self._line:,}.",
                remedy="Mend the file and upload it again.",
            )
        )

    def _missing(self) -> PermanentError:
        told = "$" + "".join(f".{step}" for step in self._steps)
        return PermanentError(
            Reason(
                code="records_missing",
                message=f"The file has no array at {told}, where its records should be.",
                remedy="Mend the file, or `records` in the contract's format, and replay the drop.",
            )
        )

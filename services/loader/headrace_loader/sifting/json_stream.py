"""The brackets, colons and commas of a JSON file, and the bytes between them. Without I/O.

Only these are looked at, by numpy; whether what is between them is JSON, the reader of a record
finds out. So one bad record spoils no other, whatever is nested in it.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from headrace_loader.csv_stream import line_too_long
from headrace_loader.sifting.batches import Record

_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)
OPENING, CLOSING = b"{[", b"}]"
_MARKS: Final = np.zeros(256, np.bool_)
_MARKS[list(b"{}[]:,")] = True
_STEP: Final = np.zeros(256, np.int32)
_STEP[list(OPENING)], _STEP[list(CLOSING)] = 1, -1


class Marks:
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


class RecordStream:
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

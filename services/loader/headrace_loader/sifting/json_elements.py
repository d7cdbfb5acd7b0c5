"""The records of JSON documents with an array in each: its elements. Without I/O."""

from __future__ import annotations

import msgspec

from headrace_loader.sifting.batches import Record
from headrace_loader.sifting.json_stream import OPENING, Marks, RecordStream
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import Steps
from headrace_shared.reasons import Reason


class Elements(RecordStream):
    """The elements of an array, or of several: each value of the file is a document with one.

    Args:
        steps: the names that lead to it; none for an array that is the whole document. A document
            that is one object is then one record.
    """

    def __init__(self, steps: Steps, most_bytes: int) -> None:
        super().__init__(most_bytes)
        self._marks = Marks()
        self._steps = steps
        self._names: dict[int, str | None] = {}
        self._is_between = True
        """No document is open."""
        self._is_record = False
        """The document is one record."""
        self._within: int | None = None
        """The depth in the array, while it is open."""
        self._is_over = False
        self._documents = 0
        self._last_mark = 0

    def feed(self, block: bytes) -> list[Record]:
        """See `Cutter`."""
        block, marks = self._marks.of(block, len(self._steps) + 1)
        begin, found = self._add(block), list[Record]()
        for place, depth in marks:
            found += self._read(block[place], begin + place, depth)
        self._forget(self._last_mark)
        self._last_mark = 0
        return found

    def finish(self) -> list[Record]:
        """See `Cutter`."""
        if self._within is not None or self._marks.depth:
            raise self._broken_off()
        if self._kept.strip():
            raise self._stray()
        if not self._documents:
            raise self._missing()
        return []

    def _read(self, mark: int, at: int, depth: int) -> list[Record]:
        """The records that end at a mark."""
        found = list[Record]()
        if self._is_between:
            self._begin(mark, at)
        if self._is_record:
            if depth:
                return []
            record = self._record(self._last_mark, at + 1)
            found += [record] if record else []
        elif self._within is None:
            self._seek(mark, at, depth)
        elif depth == self._within and mark == ord(","):
            found += self._cut(at, is_last=False)
        elif depth < self._within:
            found += self._cut(at, is_last=True)
            self._close(mark)
        else:
            return []
        self._last_mark = at + 1
        if depth == 0:
            self._end()
        return found

    def _begin(self, mark: int, at: int) -> None:
        if mark not in OPENING or self._kept[self._last_mark : at].strip():
            raise self._stray()
        self._is_between = False
        self._is_record = not self._steps and mark == ord("{")

    def _end(self) -> None:
        """The end of a document."""
        if not (self._is_over or self._is_record):
            raise self._missing()
        self._documents += 1
        self._names.clear()
        self._is_between, self._is_record, self._is_over = True, False, False

    def _seek(self, mark: int, at: int, depth: int) -> None:
        """Follows the names that lead to the array."""
        if mark == ord(":"):
            self._names[depth] = self._name(at)
        elif mark == ord("["):
            path = tuple(self._names.get(one) for one in range(1, depth))
            self._names[depth] = None
            if path == self._steps:
                if self._is_over:
                    raise self._repeated()
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
        return self._malformed("breaks off, or its brackets do not match")

    def _stray(self) -> PermanentError:
        return self._malformed("has text that is no JSON before, between or after its documents")

    def _repeated(self) -> PermanentError:
        return self._malformed(f"has the array {self._path()}, which has its records, twice")

    def _malformed(self, what: str) -> PermanentError:
        return PermanentError(
            Reason(
                code="json_malformed",
                message=f"The file {what}: after record {self._number:,}, near line "
                f"{self._line:,}.",
                remedy="Correct the file and upload it again.",
            )
        )

    def _missing(self) -> PermanentError:
        which = "The file" if not self._documents else f"Document {self._documents + 1} of the file"
        return PermanentError(
            Reason(
                code="records_missing",
                message=f"{which} has no array at {self._path()}, where its records should be.",
                remedy="Correct the file, or `records` in the contract's format, and replay the "
                "drop.",
            )
        )

    def _path(self) -> str:
        return "$" + "".join(f".{step}" for step in self._steps)

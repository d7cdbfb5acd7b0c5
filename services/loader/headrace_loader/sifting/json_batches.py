"""Batches of a JSON file: newline-delimited records, or those of one array or document."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from headrace_loader.sifting.batches import BadRecord, Fields, Record
from headrace_loader.sifting.json_cutting import cutter_of
from headrace_loader.sifting.json_fields import FaultyError
from headrace_loader.sifting.json_rows import TEXT, JsonRows
from headrace_shared.file_formats import JsonFormat, json_path

_HEAD_BYTES: Final = 1_048_576

_RECORD_BYTES: Final = 300
"""What Python's objects for one record take beside its bytes."""


@dataclass(slots=True)
class JsonBatch:
    """Some records of a JSON file."""

    make: JsonRows
    payload: bytes = b""
    bad: Sequence[BadRecord] = ()
    sources: list[tuple[Record, int]] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """How many lines the payload has: a row has one."""
        return len(self.sources)

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes."""
        raw = sum(len(record.raw) for record, _ in self.sources)
        return len(self.payload) + raw + _RECORD_BYTES * len(self.sources)

    @property
    def rows(self) -> int:
        """How many rows the payload has."""
        return len(self.sources)

    def place_of(self, line: int) -> int:
        """The place of the row in this line."""
        return line - 1

    def sent(self, place: int) -> tuple[Record, Fields]:
        """The record of a row, and the row's values."""
        record, which = self.sources[place]
        return record, self.make.rows(record.raw)[which]

    def beside(self, places: Sequence[int]) -> Sequence[int]:
        """These places, in order, with those of the other rows of the same records."""
        numbers = {self.sources[place][0].number for place in places}
        return [place for place, (one, _) in enumerate(self.sources) if one.number in numbers]


def json_batch(
    make: JsonRows, records: Iterable[Record], left_out: Collection[int] = ()
) -> JsonBatch:
    """The batch of some records.

    Args:
        left_out: the numbers of records that are bad whatever is found here: Postgres did not take
            one of their rows, and is asked about each.
    """
    rows, bad, sent = list[bytes](), [], []
    for record in records:
        if record.number in left_out:
            bad.append(BadRecord(record, (), tuple(make.rows(record.raw))))
            continue
        plain = make.line(record.raw)
        if plain is not None:
            rows.append(plain)
            sent.append((record, 0))
            continue
        try:
            found = make.rows(record.raw)
        except FaultyError as error:
            bad.append(BadRecord(record, error.faults, error.rows))
            continue
        for which, row in enumerate(found):
            rows.append(_line(row).encode())
            sent.append((record, which))
    return JsonBatch(make, b"\n".join([*rows, b""]), bad, sent)


async def json_batches(
    blocks: AsyncIterator[bytes],
    make: JsonRows,
    written: JsonFormat,
    most_bytes: int,
    left_out: Collection[int] = (),
) -> AsyncIterator[JsonBatch]:
    """The batches of a file, cut in a thread beside the event loop.

    Args:
        most_bytes: the longest record.
        left_out: the numbers of records that are bad in any case.

    Raises:
        PermanentError: the file is no JSON, or a record is longer.
    """
    head = b""
    async for block in blocks:
        head += block
        if len(head) >= _HEAD_BYTES:
            break
    steps = None if written.records is None else json_path(written.records)
    cutter = cutter_of(head, steps, most_bytes)

    def batch(records: list[Record]) -> JsonBatch:
        return json_batch(make, records, left_out)

    yield await asyncio.to_thread(lambda: batch(cutter.feed(head)))
    async for block in blocks:
        yield await asyncio.to_thread(lambda more=block: batch(cutter.feed(more)))  # type: ignore[misc]
    yield await asyncio.to_thread(lambda: batch(cutter.finish()))


def _line(row: Sequence[str | None]) -> str:
    return "\t".join(["\\N" if one is None else one.translate(TEXT) for one in row])

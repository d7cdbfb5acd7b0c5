"""Parquet and Arrow files as CSV: `python -m headrace_loader.columnar parquet|arrow FILE`, with the
contract on its standard input.

It is a process of its own, with a limit on its memory: what is read in it comes from anybody, in
formats whose readers are C++, and a file that lies about itself may end it but not the loader.
Exits with 3, and says why on its standard error, if the file cannot be read.
"""

from __future__ import annotations

import csv
import io
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from headrace_loader.columnar_file import UNREADABLE
from headrace_loader.columnar_values import moments_of, plain

_MOST_MEMORY: Final = 3 * 2**30
"""Of address space, which is more than the memory that is used."""

_BATCH_ROWS: Final = 8_192
_ARROW_FILE: Final = b"ARROW1"
_THRIFT_LIMIT: Final = 64 * 2**20
"""What a footer may say of itself: https://arrow.apache.org/docs/python/generated/pyarrow.parquet.ParquetFile.html"""


class LyingFileError(Exception):
    """The file says of itself what is not so."""


def main(arguments: list[str]) -> int:
    """Writes the file as CSV, with a header, to the standard output."""
    kind, path = arguments
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    pa.set_cpu_count(1)
    try:
        write(_READERS[kind](path), sys.stdout.buffer, sys.stdin.buffer.read())
    except BrokenPipeError:
        return 1  # nobody reads any more
    except (pa.ArrowException, LyingFileError, OSError, MemoryError, ValueError) as error:
        sys.stderr.write(f"{str(error).splitlines()[0] if str(error) else 'too large'}\n")
        return UNREADABLE
    return 0


def write(opened: Opened, out: BinaryIO, contract: bytes) -> None:
    """Writes a file as CSV; null is nothing, and every text is quoted."""
    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
    names = opened.schema.names
    uuids = _uuids(opened.schema, contract)
    out.write(_header(opened.schema))
    for batch in opened.batches:
        columns = [
            plain(column, as_uuid=place in uuids) for place, column in enumerate(batch.columns)
        ]
        pa.csv.write_csv(pa.RecordBatch.from_arrays(columns, names=names), out, options)
    out.flush()


def _uuids(schema: pa.Schema, contract: bytes) -> frozenset[int]:
    """The places of the fields of 16 bytes that go into columns for UUIDs."""
    places = [place for place, one in enumerate(schema) if one.type == pa.binary(16)]
    if not places:
        return frozenset()
    # They take a while to import, and few files need them.
    from headrace_loader.columns import columns_of_file  # noqa: PLC0415
    from headrace_shared.contract import Contract  # noqa: PLC0415
    from headrace_shared.errors import PermanentError  # noqa: PLC0415

    try:
        found = columns_of_file(schema.names, Contract.model_validate_json(contract))
    except PermanentError:
        return frozenset()  # the header is refused where it is read
    return frozenset(place for place in places if found.fields[place].type == "uuid")


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose footer or head is read."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def _parquet(path: str) -> Opened:
    file = _parquet_file(path, "us")
    return Opened(file.schema_arrow, _parquet_batches(file, _int96(file, path)))


def _parquet_file(path: str, int96_unit: str) -> pa.parquet.ParquetFile:
    return pa.parquet.ParquetFile(
        path,
        pre_buffer=False,
        buffer_size=2**20,
        coerce_int96_timestamp_unit=int96_unit,
        thrift_string_size_limit=_THRIFT_LIMIT,
        thrift_container_size_limit=_THRIFT_LIMIT,
    )


def _int96(file: pa.parquet.ParquetFile, path: str) -> dict[int, _Int96]:
    """The columns of INT96, by their places. No unit of Arrow holds each of their values."""
    physical = {
        one.path: one.physical_type for one in map(file.schema.column, range(len(file.schema)))
    }
    names = file.schema_arrow.names
    return {
        place: _Int96(path, name)
        for place, name in enumerate(names)
        if physical.get(name) == "INT96" and names.count(name) == 1
    }


class _Int96:
    """One column of INT96, read in two units: the seconds are right in any year, and of the
    nanoseconds the lowest bits."""

    def __init__(self, path: str, name: str) -> None:
        self._units = [self._values(path, name, unit) for unit in ("s", "ns")]
        self._held = [pa.chunked_array([], pa.timestamp(unit)) for unit in ("s", "ns")]

    def take(self, rows: int) -> pa.Array:
        """The values of the next rows."""
        parts = []
        for place, values in enumerate(self._units):
            while len(self._held[place]) < rows:
                chunks = [*self._held[place].chunks, next(values)]
                self._held[place] = pa.chunked_array(chunks)
            parts.append(self._held[place][:rows].combine_chunks())
            self._held[place] = self._held[place][rows:]
        seconds, nanoseconds = (
            one.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False) for one in parts
        )
        return moments_of(seconds, nanoseconds, parts[0].is_null().to_numpy(zero_copy_only=False))

    def _values(self, path: str, name: str, unit: str) -> Iterator[pa.Array]:
        file = _parquet_file(path, unit)
        for batch in file.iter_batches(_BATCH_ROWS, columns=[name], use_threads=False):
            yield batch.column(0)


def _parquet_batches(
    file: pa.parquet.ParquetFile, int96: dict[int, _Int96]
) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
        rows += batch.num_rows
        yield _with_int96(batch, int96) if int96 else batch
    if rows != file.metadata.num_rows:
        raise LyingFileError(f"it says that it has {file.metadata.num_rows} rows, and has {rows}")


def _with_int96(batch: pa.RecordBatch, int96: dict[int, _Int96]) -> pa.RecordBatch:
    columns = [
        int96[place].take(batch.num_rows) if place in int96 else column
        for place, column in enumerate(batch.columns)
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _arrow(path: str) -> Opened:
    source = pa.memory_map(path)
    if source.read(len(_ARROW_FILE)) == _ARROW_FILE:
        file = pa.ipc.open_file(source)
        batches = (file.get_batch(place) for place in range(file.num_record_batches))
        return Opened(file.schema, chain.from_iterable(map(_cut, batches)))
    source.seek(0)
    stream = pa.ipc.open_stream(source)
    return Opened(stream.schema, chain.from_iterable(map(_cut, stream)))


_READERS: Final = {"parquet": _parquet, "arrow": _arrow}


def _cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    # A text that is not UTF-8 is a bad row, and no damage.
    batch = pa.RecordBatch.from_arrays(list(map(_as_bytes, batch.columns)), batch.schema.names)
    batch.validate(full=True)
    for start in range(0, batch.num_rows, _BATCH_ROWS):
        yield batch.slice(start, _BATCH_ROWS)


def _header(schema: pa.Schema) -> bytes:
    if not schema.names:
        raise LyingFileError("it has no columns")
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(schema.names)
    return written.getvalue().encode()


def _as_bytes(column: pa.Array) -> pa.Array:
    return column.view(pa.binary()) if pa.types.is_string(column.type) else column


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

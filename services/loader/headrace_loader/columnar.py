"""Parquet and Arrow files as CSV: `python -m headrace_loader.columnar parquet|arrow FILE`.

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

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from headrace_loader.columnar_file import UNREADABLE

_MOST_MEMORY: Final = 3 * 2**30
"""Of address space, which is more than the memory that is used."""

_BATCH_ROWS: Final = 8_192
_ARROW_FILE: Final = b"ARROW1"
_THRIFT_LIMIT: Final = 64 * 2**20
"""What a footer may say of itself: https://arrow.apache.org/docs/python/generated/pyarrow.parquet.ParquetFile.html"""

_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class LyingFileError(Exception):
    """The file says of itself what is not so."""


def main(arguments: list[str]) -> int:
    """Writes the file as CSV, with a header, to the standard output."""
    kind, path = arguments
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    pa.set_cpu_count(1)
    try:
        write(_READERS[kind](path), sys.stdout.buffer)
    except BrokenPipeError:
        return 1  # nobody reads any more
    except (pa.ArrowException, LyingFileError, OSError, MemoryError, ValueError) as error:
        sys.stderr.write(f"{str(error).splitlines()[0] if str(error) else 'too large'}\n")
        return UNREADABLE
    return 0


def write(opened: Opened, out: BinaryIO) -> None:
    """Writes a file as CSV; null is nothing, and every text is quoted."""
    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
    out.write(_header(opened.schema))
    for batch in opened.batches:
        plain = pa.RecordBatch.from_arrays(
            [
                _plain(column, name)
                for column, name in zip(batch.columns, batch.schema.names, strict=True)
            ],
            names=batch.schema.names,
        )
        pa.csv.write_csv(plain, out, options)
    out.flush()


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose footer or head is read."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def _parquet(path: str) -> Opened:
    file = pa.parquet.ParquetFile(
        path,
        pre_buffer=False,
        buffer_size=2**20,
        thrift_string_size_limit=_THRIFT_LIMIT,
        thrift_container_size_limit=_THRIFT_LIMIT,
    )
    return Opened(file.schema_arrow, _parquet_batches(file))


def _parquet_batches(file: pa.parquet.ParquetFile) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
        rows += batch.num_rows
        yield batch
    if rows != file.metadata.num_rows:
        raise LyingFileError(f"it says that it has {file.metadata.num_rows} rows, and has {rows}")


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
    batch.validate(full=True)
    for start in range(0, batch.num_rows, _BATCH_ROWS):
        yield batch.slice(start, _BATCH_ROWS)


def _header(schema: pa.Schema) -> bytes:
    if not schema.names:
        raise LyingFileError("it has no columns")
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(schema.names)
    return written.getvalue().encode()


def _plain(column: pa.Array, name: str) -> pa.Array:
    """The column as one that CSV can hold: nested values as JSON."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_nested(kind):
        values = column.to_pylist(maps_as_pydicts="strict")
        return pa.array([None if one is None else _encoder.encode(one).decode() for one in values])
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        try:
            return column.cast(pa.large_string())
        except pa.ArrowInvalid:
            raise LyingFileError(f"the column {name!r} is binary, and no text") from None
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    return column


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

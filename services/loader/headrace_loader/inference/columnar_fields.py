"""The fields of a Parquet or Arrow file, by the file's own schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet

from headrace_loader.inference.errors import InferenceError
from headrace_loader.inference.fields import Fields, SourceField
from headrace_loader.inference.sampling import Sample
from headrace_loader.kinds import Kind

_MICROSECONDS: Final = ("s", "ms", "us")
_UUID_BYTES: Final = 16

_TYPES: Final[tuple[tuple[Callable[[pa.DataType], bool], str], ...]] = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_int8, "smallint"),
    (pa.types.is_uint8, "smallint"),
    (pa.types.is_int16, "smallint"),
    (pa.types.is_uint16, "integer"),
    (pa.types.is_int32, "integer"),
    (pa.types.is_uint32, "bigint"),
    (pa.types.is_int64, "bigint"),
    (pa.types.is_uint64, "numeric(20,0)"),
    (pa.types.is_float16, "real"),
    (pa.types.is_float32, "real"),
    (pa.types.is_float64, "double precision"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (pa.types.is_string, "text"),
    (pa.types.is_large_string, "text"),
    (pa.types.is_string_view, "text"),
    (pa.types.is_nested, "jsonb"),
)


def columnar_fields(sample: Sample) -> Fields:
    """The fields of a file.

    Raises:
        InferenceError: it cannot be read, or has no fields.
    """
    schema, rows = _opened(sample)
    unsure: list[str] = []
    fields = []
    names = list(schema.names)
    for place, one in enumerate(schema, 1):
        kind, doubt = _type(one.type)
        unsure += [f"{one.name}: {doubt}"] if doubt else []
        origin = one.name if one.name and names.count(one.name) == 1 else place
        fields.append(SourceField(one.name, origin, kind, nullable=one.nullable))
    if not fields:
        raise InferenceError("The file has no columns.", "Name a file that has some.")
    return Fields(fields, {"type": str(sample.kind)}, rows, unsure)


def _opened(sample: Sample) -> tuple[pa.Schema, int]:
    try:
        if sample.kind is Kind.PARQUET:
            parquet = pyarrow.parquet.ParquetFile(sample.path)
            return parquet.schema_arrow, parquet.metadata.num_rows
        return _arrow(sample.path)
    except (pa.ArrowException, OSError) as error:
        words = str(error).splitlines()[0]
        raise InferenceError(
            f"The file is not readable as {sample.kind}: {words}.", "Write the file anew."
        ) from None


def _arrow(path: Path) -> tuple[pa.Schema, int]:
    with pa.memory_map(str(path)) as source:
        try:
            file = pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            source.seek(0)
            stream = pa.ipc.open_stream(source)
            return stream.schema, sum(batch.num_rows for batch in stream)
        return file.schema, sum(
            file.get_batch(number).num_rows for number in range(file.num_record_batches)
        )


def _type(found: Any) -> tuple[str, str | None]:
    """The type of a column, and what is to be doubted about it."""
    if pa.types.is_dictionary(found):
        return _type(found.value_type)
    if isinstance(found, pa.BaseExtensionType):
        name = found.extension_name
        return ("uuid", None) if name == "arrow.uuid" else _type(found.storage_type)
    if pa.types.is_decimal(found):
        return _decimal(found), None
    if pa.types.is_timestamp(found):
        lost = None if found.unit in _MICROSECONDS else "nanoseconds are rounded to microseconds"
        return ("timestamptz" if found.tz else "timestamp"), lost
    return _plain(found)


def _plain(found: Any) -> tuple[str, str | None]:
    if pa.types.is_fixed_size_binary(found) and found.byte_width == _UUID_BYTES:
        return "uuid", "16 bytes are taken for a UUID"
    known = next((kind for is_one, kind in _TYPES if is_one(found)), None)
    if known is not None:
        return known, None
    return "text", f"{found} has no type of its own in Postgres; its values are read as text"


def _decimal(found: Any) -> str:
    if found.scale < 0:
        return f"numeric({found.precision - found.scale},0)"
    return f"numeric({max(found.precision, found.scale)},{found.scale})"

"""The values of Arrow arrays as CSV can hold them: each as the text that Postgres reads."""

from __future__ import annotations

import math
import uuid
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_encoder: Final = msgspec.json.Encoder(decimal_format="number")

_MOST_WHOLE: Final = 2.0**63
_LEAST_SHOWN_SHORT: Final = 1e10
"""From here on pyarrow writes a whole double with an exponent."""

_UNITS: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""How many make a second."""

_DAY_SECONDS: Final = 86_400
_MOST_SECONDS: Final = 9_200_000_000_000
"""More seconds do not fit into 64 bits as microseconds."""
_FIRST_DAY: Final = -719_162
"""0001-01-01, in days since 1970-01-01; before it Postgres wants another way to write a year."""
_LAST_DAY: Final = 2_932_896
"""9999-12-31."""


def plain(column: pa.Array, *, as_uuid: bool = False) -> pa.Array:
    """A column that pyarrow writes to CSV as Postgres reads it; nested values become JSON.

    Args:
        as_uuid: values of 16 bytes are UUIDs.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        as_uuid = as_uuid or kind.extension_name == "arrow.uuid"
        column, kind = column.storage, kind.storage_type
    if as_uuid and kind == pa.binary(16):
        return _uuids(column)
    if pa.types.is_nested(kind):
        values = _pythonic(column).to_pylist(maps_as_pydicts="strict")
        return pa.array(list(map(_json, values)), pa.string())
    if pa.types.is_floating(kind):
        return _floats(column)
    return _moments(column) if pa.types.is_temporal(kind) else _texts(column)


def _texts(column: pa.Array) -> pa.Array:
    """Bytes as text: those that are not UTF-8 are named by their row."""
    if pa.types.is_fixed_size_binary(column.type):
        column = column.cast(pa.binary())
    if pa.types.is_binary(column.type):
        return column.view(pa.string())
    return column.view(pa.large_string()) if pa.types.is_large_binary(column.type) else column


def _uuids(column: pa.Array) -> pa.Array:
    values = column.to_pylist()
    return pa.array([None if one is None else str(uuid.UUID(bytes=one)) for one in values])


def _json(value: Any) -> str | None:
    return None if value is None else _encoder.encode(_with_not_finite(value)).decode()


def _with_not_finite(value: Any) -> Any:
    """The value with NaN and infinities as words, which are no JSON: so the row is named."""
    if isinstance(value, float) and not math.isfinite(value):
        return msgspec.Raw(str(value).encode())
    if isinstance(value, dict):
        return {name: _with_not_finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_with_not_finite(one) for one in value]
    return value


def _pythonic(column: pa.Array) -> pa.Array:
    """Nested values whose times are of microseconds, as Python's are."""
    kind = _in_microseconds(column.type)
    return column if kind == column.type else column.cast(kind, safe=False)


def _in_microseconds(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_time64(kind):
        return pa.time64("us")
    if pa.types.is_struct(kind):
        return pa.struct(list(map(_field_in_microseconds, kind)))
    if pa.types.is_map(kind):
        return pa.map_(_in_microseconds(kind.key_type), _in_microseconds(kind.item_type))
    for is_one, make in ((pa.types.is_list, pa.list_), (pa.types.is_large_list, pa.large_list)):
        if is_one(kind):
            return make(_field_in_microseconds(kind.value_field))
    return kind


def _field_in_microseconds(field: pa.Field) -> pa.Field:
    return field.with_type(_in_microseconds(field.type))


def _floats(column: pa.Array) -> pa.Array:
    """Whole numbers with all their digits, the others in the fewest that make the same number."""
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    values: npt.NDArray[np.floating[Any]] = column.to_numpy(zero_copy_only=False)
    size = np.abs(values)
    whole = (size >= _LEAST_SHOWN_SHORT) & (size < _MOST_WHOLE) & (np.floor(values) == values)
    if not whole.any():
        return column
    numbers = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string())
    return pc.if_else(pa.array(whole), numbers, column.cast(pa.string()))


def _moments(column: pa.Array) -> pa.Array:
    """Dates and timestamps; those beside the years 1 to 9999 as Postgres writes them."""
    kind = column.type
    if pa.types.is_date64(kind):
        column, kind = column.cast(pa.date32()), pa.date32()
    if pa.types.is_date32(kind):
        return _with_far_ones(column, _numbers(column.cast(pa.int32())), None)
    if pa.types.is_timestamp(kind):
        return _with_far_ones(column, _numbers(column), _UNITS[kind.unit])
    return column


def _numbers(column: pa.Array) -> Numbers:
    """The values as numbers, nulls as 0."""
    found: Numbers = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return found


def _with_far_ones(column: pa.Array, numbers: Numbers, a_second: int | None) -> pa.Array:
    """The column, as texts if it has a year that pyarrow does not write as Postgres reads it.

    Args:
        numbers: days, or such parts of a second.
        a_second: how many of these parts make one second; None for days.
    """
    days = numbers if a_second is None else numbers // (a_second * _DAY_SECONDS)
    far = (days < _FIRST_DAY) | (days > _LAST_DAY)
    if not far.any():
        return column
    near = pc.if_else(pa.array(far), pa.scalar(None, column.type), column)
    texts = near.cast(pa.string()).to_pylist()
    zone = "+00" if pa.types.is_timestamp(column.type) and column.type.tz else ""
    for place in np.flatnonzero(far).tolist():
        texts[place] = _far_text(int(numbers[place]), a_second, zone)
    return pa.array(texts, pa.string())


def moments_of(seconds: Numbers, nanoseconds: Numbers, nulls: Mask) -> pa.Array:
    """Timestamps in microseconds of any year.

    Args:
        seconds: since 1970.
        nanoseconds: since 1970, of which the lowest 64 bits count.
    """
    fraction = nanoseconds.view(np.uint64) - seconds.view(np.uint64) * np.uint64(_UNITS["ns"])
    micros = (fraction.astype(np.int64) + 500) // 1000
    too_far = np.abs(seconds) > _MOST_SECONDS
    held = np.where(too_far, 0, seconds) * _UNITS["us"] + micros
    column = pa.array(held, pa.timestamp("us"), mask=nulls)
    if not (too_far & ~nulls).any():
        return column
    texts = _moments(column).cast(pa.string()).to_pylist()
    for place in np.flatnonzero(too_far & ~nulls).tolist():
        texts[place] = _far_text(int(seconds[place]), 1, "")
    return pa.array(texts, pa.string())


def _far_text(number: int, a_second: int | None, zone: str) -> str:
    seconds, fraction = divmod(number, a_second) if a_second else (number * _DAY_SECONDS, 0)
    days, second = divmod(seconds, _DAY_SECONDS)
    day = np.datetime64(days, "D")
    month = day.astype("datetime64[M]")
    year = int(month.astype("datetime64[Y]").astype(np.int64)) + 1970
    month_of_year = int(month.astype(np.int64)) % 12 + 1
    day_of_month = int((day - month.astype("datetime64[D]")).astype(np.int64)) + 1
    shown = year if year > 0 else 1 - year
    era = "" if year > 0 else " BC"
    date = f"{shown:04d}-{month_of_year:02d}-{day_of_month:02d}"
    if a_second is None:
        return f"{date}{era}"
    time = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    digits = f".{fraction:0{len(str(a_second)) - 1}d}" if fraction else ""
    return f"{date} {time}{digits}{zone}{era}"

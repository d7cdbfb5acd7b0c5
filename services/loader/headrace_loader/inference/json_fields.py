"""The fields of a JSON file: one for each path that leads to a value or an array."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import pyarrow as pa

from headrace_loader.inference.encodings import decoded
from headrace_loader.inference.errors import InferenceError
from headrace_loader.inference.fields import Fields, SourceField
from headrace_loader.inference.sampling import SAMPLE_BYTES, Sample
from headrace_loader.sifting.batches import Record
from headrace_loader.sifting.json_cutting import cutter_of
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import json_path

_MOST_RECORDS: Final = 100_000
_MOST_RECORD_BYTES: Final = SAMPLE_BYTES
_DEEPEST: Final = 4
"""Objects within objects become columns up to here, and below it jsonb."""

_PLAIN_NAME: Final = re.compile(r"[^.\[\]\"'$]+\Z")
Path = tuple[str, ...]


@dataclass
class _Seen:
    """What stands at a path in the records."""

    kinds: Counter[str] = field(default_factory=Counter)
    of_objects: int = 0


def json_fields(connection: duckdb.DuckDBPyConnection, sample: Sample, table: str) -> Fields:
    """The fields of a file; their values are in the columns c1, c2, ... of a new table.

    Raises:
        InferenceError: there is no record in it.
    """
    found = decoded(sample.path.read_bytes()[:SAMPLE_BYTES], whole=sample.whole)
    content = found.text.encode()
    records, at = _records(content, whole=sample.whole)
    seen = _seen(records)
    leaves = [path for path in seen if not _is_expanded(seen, path) and _is_reached(seen, path)]
    if not leaves:
        raise InferenceError("No record of the file has a field.", "Write the contract by hand.")
    rows = [[_text(_value(record, path)) for path in leaves] for record in records]
    _keep(connection, table, leaves, rows)
    fields = [SourceField("_".join(path), _origin(path), _kind(seen[path])) for path in leaves]
    document: dict[str, Any] = {"type": "json"} | ({"records": at} if at else {})
    return Fields(fields, document, len(records), [*_doubts(seen, leaves)])


def _records(content: bytes, *, whole: bool) -> tuple[list[Mapping[str, Any]], str | None]:
    """The records, and the path of their array if they are within one document."""
    at = _array_within(content) if whole else None
    try:
        cutter = cutter_of(content, json_path(at) if at else None, _MOST_RECORD_BYTES)
        cut = [*cutter.feed(content), *(cutter.finish() if whole else [])]
    except PermanentError as error:
        raise InferenceError(error.reason.message, error.reason.remedy) from None
    records = [one for record in cut[:_MOST_RECORDS] for one in _object(record)]
    if not records:
        raise InferenceError("The file has no record that is a JSON object.", "Look at its text.")
    return records, at


def _object(record: Record) -> Iterator[Mapping[str, Any]]:
    try:
        value = json.loads(record.raw, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        yield value


class _Number(str):
    """A number as it is written: no digit is lost."""

    __slots__ = ()


def _array_within(content: bytes) -> str | None:
    """The path of the one array of objects in a file that is one object."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    arrays = [
        name
        for name, value in document.items()
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
    ]
    others = [value for value in document.values() if isinstance(value, (dict, list))]
    is_envelope = len(arrays) == 1 and (len(others) == 1 or len(document) <= 3)
    return _json_path((arrays[0],)) if is_envelope else None


def _seen(records: Sequence[Mapping[str, Any]]) -> dict[Path, _Seen]:
    seen: dict[Path, _Seen] = {}
    for record in records:
        for path, value in _walk(record, ()):
            one = seen.setdefault(path, _Seen())
            one.kinds[_kind_of(value)] += 1
            one.of_objects += isinstance(value, list) and _are_objects(value)
    return seen


def _walk(record: Mapping[str, Any], above: Path) -> Iterator[tuple[Path, Any]]:
    for name, value in record.items():
        path = (*above, name)
        yield path, value
        if isinstance(value, dict) and len(path) < _DEEPEST:
            yield from _walk(value, path)


def _kind_of(value: object) -> str:
    if isinstance(value, dict):
        return "object" if value else "empty object"
    if isinstance(value, list):
        return "array"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, _Number):
        return "number"
    return "null" if value is None else "string"


def _are_objects(value: Sequence[object]) -> bool:
    return bool(value) and all(isinstance(one, dict) for one in value)


def _is_expanded(seen: Mapping[Path, _Seen], path: Path) -> bool:
    """Whether the fields of the objects at a path become columns of their own."""
    kinds = {kind for kind in seen[path].kinds if kind not in ("null", "empty object")}
    return kinds == {"object"} and len(path) < _DEEPEST


def _is_reached(seen: Mapping[Path, _Seen], path: Path) -> bool:
    return all(_is_expanded(seen, path[:length]) for length in range(1, len(path)))


def _kind(seen: _Seen) -> str | None:
    kinds = {kind for kind in seen.kinds if kind != "null"}
    if kinds == {"boolean"}:
        return "boolean"
    if kinds & {"object", "empty object", "array"} or len(kinds) > 1:
        return "jsonb"
    return "text or time" if kinds == {"string"} else None


def _value(record: Mapping[str, Any], path: Path) -> Any:
    value: Any = record
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    return json.dumps(value)


def _keep(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    leaves: Sequence[Path],
    rows: Sequence[Sequence[str | None]],
) -> None:
    columns = [pa.array([row[place] for row in rows], pa.string()) for place in range(len(leaves))]
    values = pa.table(columns, names=[f"c{place}" for place in range(1, len(leaves) + 1)])
    connection.register("json_values", values)
    connection.execute(f"create temporary table {table} as select * from json_values")  # noqa: S608 - a name of ours
    connection.unregister("json_values")


def _origin(path: Path) -> str:
    """What a column's `from` has to be: a name alone, or a path."""
    return path[0] if len(path) == 1 and not path[0].startswith("$") else _json_path(path)


def _json_path(path: Path) -> str:
    return "$" + "".join(
        f".{name}" if _PLAIN_NAME.match(name) else f"[{json.dumps(name, ensure_ascii=False)}]"
        for name in path
    )


def _doubts(seen: Mapping[Path, _Seen], leaves: Sequence[Path]) -> Iterator[str]:
    for path in leaves:
        if seen[path].of_objects:
            at = _json_path(path)
            yield (
                f"{at} holds arrays of objects, and is jsonb here: with "
                f'"explode": ["{at}"] in the format each element makes a row'
            )

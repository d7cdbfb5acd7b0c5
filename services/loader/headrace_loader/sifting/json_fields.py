"""The fields of a JSON record, and what a path leads to among them. Without I/O.

A record is taken apart without being read: what is not picked stays the bytes that it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from headrace_loader.sifting.batches import Fault, Fields
from headrace_loader.sifting.json_keys import repeated, repeated_keys
from headrace_loader.sqlstate import shortened
from headrace_shared.file_formats import Steps

Object = dict[str, msgspec.Raw]
Names = dict[str, list[str]]

_object: Final = msgspec.json.Decoder(Object)
_array: Final = msgspec.json.Decoder(list[msgspec.Raw])

_OBJECT, _ARRAY = b"{["


class FaultyError(Exception):
    """A record that is no row.

    Args:
        faults: what is wrong with it, as far as it shows without Postgres.
        rows: its rows without the values at fault, where the others can be judged.
    """

    def __init__(self, *faults: Fault, rows: Sequence[Fields] = ()) -> None:
        super().__init__(faults)
        self.faults = faults
        self.rows = tuple(rows)


@dataclass(frozen=True, slots=True)
class Scope:
    """An object that values are looked for in.

    Args:
        names: its fields, by the columns that they name.
        is_doubtful: an object of the record has a key twice.
    """

    fields: Object
    names: Names
    is_doubtful: bool = False


def read_object(record: bytes) -> Object:
    """The fields of a record.

    Raises:
        FaultyError: it is no JSON object in UTF-8.
    """
    try:
        record.decode()
        return _object.decode(record)
    except UnicodeDecodeError as error:
        byte = record[error.start]
        raise FaultyError(
            Fault(
                "bad_encoding",
                f"byte 0x{byte:02x}, {error.start} bytes into the record, is not UTF-8",
                value=f"0x{byte:02x}",
            )
        ) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise FaultyError(Fault("bad_json", f"not a JSON object: {error}")) from None


def found(scopes: Sequence[Scope], steps: Steps) -> msgspec.Raw | None:
    """What a path leads to, from the innermost scope that has its first name.

    Raises:
        FaultyError: an object on the path has its next key twice.
    """
    first = steps[0] if steps else None
    for scope in scopes:
        if first in scope.fields:
            return _walked(scope.fields[str(first)], steps[1:], is_doubtful=scope.is_doubtful)
    return None


def _walked(value: msgspec.Raw, steps: Steps, *, is_doubtful: bool) -> msgspec.Raw | None:
    for step in steps:
        content = bytes(value)
        if is_doubtful and content[0] == _OBJECT and step in repeated_keys(content):
            raise FaultyError(repeated(str(step)))
        if isinstance(step, str) and content[0] == _OBJECT:
            inner = _object.decode(content)
            if step not in inner:
                return None
            value = inner[step]
        elif isinstance(step, int) and content[0] == _ARRAY:
            elements = _array.decode(content)
            if step >= len(elements):
                return None
            value = elements[step]
        else:
            return None
    return value


def elements(found: msgspec.Raw | None, steps: Steps) -> list[tuple[bytes, Object]]:
    """The objects of an array, each with its text; one object counts as an array of one.

    Raises:
        FaultyError: there is no array, or an element is no object.
    """
    content = b"null" if found is None else bytes(found)
    path = "".join(f".{step}" if isinstance(step, str) else f"[{step}]" for step in steps)
    if content[0] not in (_OBJECT, _ARRAY):
        lacks = "is missing" if found is None else f"is no array: {shortened(content.decode())}"
        raise FaultyError(Fault("missing_array", f"${path} {lacks}; an empty array makes no row"))
    parts = _array.decode(content) if content[0] == _ARRAY else [content]
    try:
        return [(bytes(part), _object.decode(part)) for part in parts]
    except msgspec.DecodeError:
        shown = shortened(content.decode())
        raise FaultyError(
            Fault("type", f"${path} is no array of objects: {shown}", value=shown)
        ) from None

"""The rows in a JSON record: which value goes into which column. Without I/O.

A record is taken apart without being read: what is not picked stays the bytes that it is, and
numbers keep every digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from headrace_loader.sifting.batches import Fault
from headrace_loader.sifting.converting import Converter
from headrace_loader.sifting.rewriting import unconverted
from headrace_loader.sqlstate import shortened
from headrace_shared.contract import Column
from headrace_shared.file_formats import JsonFormat, Steps, json_path

_Object = dict[str, msgspec.Raw]

_object: Final = msgspec.json.Decoder(_Object)
_array: Final = msgspec.json.Decoder(list[msgspec.Raw])
_string: Final = msgspec.json.Decoder(str)

_SPECIAL: Final = (b"\\", b"\n", b"\t", b"\r")
"""What stands for something else in COPY's text format."""

_OBJECT, _ARRAY, _STRING, _NULL = b'{["n'


class FaultyError(Exception):
    """A record that is no row."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults)
        self.faults = faults


class JsonRows:
    """Makes rows of records.

    Args:
        columns: those of the contract.
        converters: of columns whose texts Postgres cannot read as they are written.
    """

    def __init__(
        self, columns: Sequence[Column], written: JsonFormat, converters: Mapping[int, Converter]
    ) -> None:
        self._columns = columns
        self._paths = [json_path(one.path) if one.path else (one.name,) for one in columns]
        self._explode = [json_path(path) for path in written.explode]
        self._converters = converters
        first_steps = [steps[0] for steps in (*self._paths, *self._explode) if steps]
        self._known = None if written.unknown == "ignore" else frozenset(first_steps)
        self._is_json = [one.type in ("json", "jsonb") for one in columns]
        self._required = [place for place, one in enumerate(columns) if not one.nullable]
        plain = not self._explode and not converters and all(len(one) == 1 for one in self._paths)
        self._plan = (
            [
                (str(steps[0]), one.nullable, is_json)
                for steps, one, is_json in zip(self._paths, columns, self._is_json, strict=True)
            ]
            if plain
            else None
        )

    def rows(self, record: bytes) -> list[list[str | None]]:
        """The rows of a record, their values in the order of the columns.

        Raises:
            FaultyError: it is none.
        """
        root = _read(record)
        if self._known is not None and not self._explode and not root.keys() <= self._known:
            raise FaultyError(_unknown(root, self._known))
        return [self._row(scopes) for scopes in self._scopes([root], 0)]

    def line(self, record: bytes) -> bytes | None:
        """The one row of a record in COPY's text format, without its line end; None if it takes
        `rows` to say what it is.

        It is for the many: a text without escapes is in that format what it is in JSON.
        """
        if self._plan is None or any(map(record.__contains__, _SPECIAL)):
            return None
        try:
            record.decode()
            root = _object.decode(record)
        except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
            return None
        found, fields = 0, list[bytes]()
        for name, nullable, is_json in self._plan:
            raw = root.get(name)
            content = b"null" if raw is None else bytes(raw)
            found += raw is not None
            if content[0] == _NULL:
                if not nullable:
                    return None
                content = b"\\N"
            elif content[0] == _STRING and not is_json:
                content = content[1:-1]
            fields.append(content)
        return b"\t".join(fields) if self._known is None or found == len(root) else None

    def _scopes(self, scopes: list[_Object], depth: int) -> Iterator[list[_Object]]:
        """The objects that a row is looked for in, the innermost first."""
        if depth == len(self._explode):
            yield scopes
            return
        for element in _elements(_found(scopes, self._explode[depth]), self._explode[depth]):
            yield from self._scopes([element, *scopes], depth + 1)

    def _row(self, scopes: list[_Object]) -> list[str | None]:
        faults: list[Fault] = []
        row = [
            self._value(place, _found(scopes, steps), faults)
            for place, steps in enumerate(self._paths)
        ]
        faults += [_null(self._columns[place]) for place in self._required if row[place] is None]
        if faults:
            raise FaultyError(*faults)
        return row

    def _value(self, place: int, raw: msgspec.Raw | None, faults: list[Fault]) -> str | None:
        if raw is None:
            return None
        content = bytes(raw)
        if content[0] == _NULL:
            return None
        if self._is_json[place] or content[0] != _STRING:
            return content.decode()
        text = _string.decode(content)
        if "\0" in text:
            faults.append(_nul(self._columns[place]))
        if place in self._converters:
            try:
                return self._converters[place](text)
            except ValueError as error:
                faults.append(unconverted(self._columns[place], text, error))
        return text


def _read(record: bytes) -> _Object:
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


def _found(scopes: Sequence[_Object], steps: Steps) -> msgspec.Raw | None:
    """What a path leads to, from the innermost scope that has its first name."""
    first = steps[0] if steps else None
    for scope in scopes:
        if first in scope:
            return _walked(scope[str(first)], steps[1:])
    return None


def _walked(value: msgspec.Raw, steps: Steps) -> msgspec.Raw | None:
    for step in steps:
        content = bytes(value)
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


def _elements(found: msgspec.Raw | None, steps: Steps) -> list[_Object]:
    """The objects of an array; one object counts as an array of one."""
    content = b"null" if found is None else bytes(found)
    if content[0] == _NULL:
        return []
    parts = _array.decode(content) if content[0] == _ARRAY else [content]
    try:
        return [_object.decode(part) for part in parts]
    except msgspec.DecodeError:
        path = ".".join(map(str, steps))
        shown = shortened(content.decode())
        raise FaultyError(
            Fault("type", f"$.{path} is no array of objects: {shown}", value=shown)
        ) from None


def _unknown(root: _Object, known: frozenset[str | int]) -> Fault:
    names = sorted(name for name in root if name not in known)
    told = ", ".join(repr(shortened(name)) for name in names[:5])
    return Fault("unknown_field", f"no column takes {told}")


def _null(column: Column) -> Fault:
    return Fault("null", "null, where the contract allows none", column=column.name)


def _nul(column: Column) -> Fault:
    return Fault(
        "bad_encoding", "a NUL, which no text in Postgres can hold", column.name, value="\\u0000"
    )

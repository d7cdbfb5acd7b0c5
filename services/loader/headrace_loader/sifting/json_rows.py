"""The rows in a JSON record: which value goes into which column. Without I/O.

A record is taken apart without being read: what is not picked stays the bytes that it is, and
numbers keep every digit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from headrace_loader.column_names import ColumnNames
from headrace_loader.sifting.batches import Fault
from headrace_loader.sifting.converting import Converter
from headrace_loader.sifting.date_texts import CLEAR_TEXTS, TextCheck
from headrace_loader.sifting.json_fields import (
    FaultyError,
    Names,
    Object,
    Scope,
    elements,
    found,
    read_object,
)
from headrace_loader.sifting.json_keys import repeated, repeated_keys, repeats
from headrace_loader.sifting.rewriting import unconverted
from headrace_loader.sifting.whole_numbers import is_integer, whole
from headrace_loader.sqlstate import shortened
from headrace_shared.contract import Column
from headrace_shared.file_formats import JsonFormat, Steps, json_path

_string: Final = msgspec.json.Decoder(str)

_SPECIAL: Final = (b"\\", b"\n", b"\t", b"\r")
"""What stands for something else in COPY's text format."""

_NULL_FIELD: Final = b"\\N"
_DIGITS: Final = re.compile(rb"-?\d+")
_MOST_KEYS: Final = 10_000
"""Names of fields whose columns are remembered; a file may have any number of them."""

_STRING, _NULL = b'"n'

NO_VALUES: Final[Mapping[str, str | None]] = {}

TEXT: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
"""https://www.postgresql.org/docs/current/sql-copy.html (Text Format)"""


class JsonRows:
    """Makes rows of records.

    A field goes into the column that `ColumnNames` finds; a field that a path of `from` names is
    left to that path, unless it has exactly the column's name.

    Args:
        columns: those of the contract.
        converters: of columns whose texts Postgres cannot read as they are written.
        checks: of columns whose texts Postgres could read as something else.
        filled: the places of the columns that some record has a field for are added here.
        in_key: the values that columns take from the file's key where a record has no field for
            them, by the columns' names, as Postgres reads them.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        written: JsonFormat,
        converters: Mapping[int, Converter],
        checks: Mapping[int, TextCheck],
        filled: set[int],
        in_key: Mapping[str, str | None] = NO_VALUES,
    ) -> None:
        self._columns = columns
        self._paths = _paths(columns)
        self._explode = [json_path(path) for path in written.explode]
        self._converters = converters
        self._checks = checks
        self._filled = filled
        self._place = {one.name: place for place, one in enumerate(columns)}
        self._names = ColumnNames(
            [one for one, path in zip(columns, self._paths, strict=True) if path is None]
        )
        self._in_key = {self._place[name]: value for name, value in in_key.items()}
        self._filled.update(self._in_key)
        self._without_field = [_field_of(self._in_key.get(place)) for place in range(len(columns))]
        steps = [path for path in (*self._paths, *self._explode) if path]
        self._claimed = frozenset(str(path[0]) for path in steps)
        self._takes_unknown = written.unknown == "ignore" or bool(self._explode)
        self._refuses_repeated = written.duplicate_keys == "refuse"
        self._is_integer = list(map(is_integer, columns))
        self._clear = [_DIGITS if is_integer(one) else CLEAR_TEXTS.get(one.type) for one in columns]
        self._is_json = [one.type in ("json", "jsonb") for one in columns]
        self._required = [place for place, one in enumerate(columns) if not one.nullable]
        self._is_plain = (
            not self._explode
            and not converters
            and all(path is None or len(path) == 1 for path in self._paths)
        )
        self._places: dict[str, tuple[int, ...]] = {}

    def rows(self, record: bytes) -> list[list[str | None]]:
        """The rows of a record, their values in the order of the columns.

        Raises:
            FaultyError: it is none.
        """
        fields = read_object(record)
        is_doubtful = self._refuses_repeated and repeats(record, len(fields))
        faults = list[Fault]()
        root = self._scope(record, fields, faults, is_doubtful=is_doubtful)
        faults += [] if self._takes_unknown else self._unknown(root)
        made = [self._row(scopes, faults) for scopes in self._scopes([root], 0, faults)]
        if faults:
            raise FaultyError(*dict.fromkeys(faults), rows=made)
        return made

    def line(self, record: bytes) -> bytes | None:
        """The one row of a record in COPY's text format, without its line end; None if it takes
        `rows` to say what it is.

        It is for the many: a text without escapes is in that format what it is in JSON.
        """
        fields = self._plain_fields(record)
        if fields is None:
            return None
        row: list[bytes | None] = [None] * len(self._columns)
        for key, raw in fields.items():
            places = self._places.get(key)
            if places is None:
                places = self._places_of(key)
            taken = any(row[place] is not None for place in places)
            if taken or not (places or self._takes_unknown):
                return None
            for place in places:
                field, clear = self._field(place, bytes(raw)), self._clear[place]
                if clear is not None and field != _NULL_FIELD and not clear.fullmatch(field):
                    return None
                row[place] = field
        whole = [
            other if field is None else field
            for field, other in zip(row, self._without_field, strict=True)
        ]
        if any(whole[place] == _NULL_FIELD for place in self._required):
            return None
        return b"\t".join(whole)

    def _plain_fields(self, record: bytes) -> Object | None:
        """The fields of a record of which COPY takes every text as it is."""
        if not self._is_plain or any(map(record.__contains__, _SPECIAL)):
            return None
        try:
            fields = read_object(record)
        except FaultyError:
            return None
        is_doubtful = self._refuses_repeated and repeats(record, len(fields))
        return None if is_doubtful else fields

    def _field(self, place: int, content: bytes) -> bytes:
        if content[0] == _NULL:
            return _NULL_FIELD
        return content if content[0] != _STRING or self._is_json[place] else content[1:-1]

    def _places_of(self, key: str) -> tuple[int, ...]:
        """The columns that a field of a plain record fills."""
        filled = [place for place, path in enumerate(self._paths) if path and path[0] == key]
        name = self._name_of(key)
        if name is not None:
            filled.append(self._place[name])
        self._filled.update(filled)
        if len(self._places) < _MOST_KEYS:
            self._places[key] = tuple(filled)
        return tuple(filled)

    def _name_of(self, key: str) -> str | None:
        """The column without a path that a field names."""
        column = self._names.column_of(key)
        if column is None or (key in self._claimed and key not in (column.name, column.field)):
            return None
        return column.name

    def _scope(
        self, content: bytes, fields: Object, faults: list[Fault], *, is_doubtful: bool
    ) -> Scope:
        names: Names = {}
        for key in fields:
            name = self._name_of(key)
            if name is not None:
                names.setdefault(name, []).append(key)
        for key in sorted(repeated_keys(content)) if is_doubtful else ():
            name = self._name_of(key)
            if name is not None or key in self._claimed or not self._takes_unknown:
                faults.append(repeated(key, name))
        return Scope(fields, names, is_doubtful)

    def _scopes(
        self, scopes: list[Scope], depth: int, faults: list[Fault]
    ) -> Iterator[list[Scope]]:
        """The objects that a row is looked for in, the innermost first."""
        if depth == len(self._explode):
            yield scopes
            return
        path, is_doubtful = self._explode[depth], scopes[0].is_doubtful
        for content, element in elements(found(scopes, path), path):
            inner = self._scope(content, element, faults, is_doubtful=is_doubtful)
            yield from self._scopes([inner, *scopes], depth + 1, faults)

    def _row(self, scopes: list[Scope], faults: list[Fault]) -> list[str | None]:
        """One row; a value at fault is None in it."""
        row: list[str | None] = []
        for place in range(len(self._paths)):
            before = len(faults)
            raw = self._found(place, scopes, faults)
            if raw is not None:
                self._filled.add(place)
            value = (
                self._in_key[place]
                if raw is None and place in self._in_key
                else self._value(place, raw, faults)
            )
            if value is None and len(faults) == before and not self._columns[place].nullable:
                faults.append(_null(self._columns[place]))
            row.append(value)
        return row

    def _found(
        self, place: int, scopes: Sequence[Scope], faults: list[Fault]
    ) -> msgspec.Raw | None:
        path = self._paths[place]
        if path is None:
            return self._named(place, scopes, faults)
        try:
            raw = found(scopes, path)
        except FaultyError as error:
            faults += (replace(one, column=self._columns[place].name) for one in error.faults)
            return None
        if raw is not None and scopes[0].is_doubtful and repeats(bytes(raw)):
            faults.append(_repeated_within(self._columns[place]))
            return None
        return raw

    def _named(
        self, place: int, scopes: Sequence[Scope], faults: list[Fault]
    ) -> msgspec.Raw | None:
        """The field with the column's name, from the innermost scope that has one."""
        name = self._columns[place].name
        for scope in scopes:
            keys = self._chosen(place, scope)
            if len(keys) > 1:
                self._filled.add(place)
                faults.append(_ambiguous(name, keys))
                return None
            if keys:
                raw = scope.fields[keys[0]]
                if scope.is_doubtful and repeats(bytes(raw)):
                    faults.append(_repeated_within(self._columns[place]))
                    return None
                return raw
        return None

    def _chosen(self, place: int, scope: Scope) -> Sequence[str]:
        """The fields that name a column; where `from` names one of several exactly, that one."""
        column = self._columns[place]
        keys = scope.names.get(column.name, [])
        return [column.field] if column.field is not None and column.field in keys else keys

    def _value(self, place: int, raw: msgspec.Raw | None, faults: list[Fault]) -> str | None:
        content = b"null" if raw is None else bytes(raw)
        if content[0] == _NULL:
            return None
        if self._is_json[place]:
            return content.decode()
        if content[0] == _STRING:
            return self._text(place, _string.decode(content), faults)
        return self._checked(place, content.decode(), faults)

    def _text(self, place: int, text: str, faults: list[Fault]) -> str | None:
        if "\0" in text:
            faults.append(_nul(self._columns[place]))
            return None
        try:
            value = self._converters.get(place, str)(text)
        except ValueError as error:
            faults.append(unconverted(self._columns[place], text, error))
            return None
        return self._checked(place, value, faults)

    def _checked(self, place: int, text: str, faults: list[Fault]) -> str | None:
        if self._is_integer[place]:
            return whole(text)
        fault = self._checks[place](text) if place in self._checks else None
        if fault is not None:
            faults.append(fault)
            return None
        return text

    def _unknown(self, root: Scope) -> list[Fault]:
        taken = {key for name in root.names for key in self._chosen(self._place[name], root)}
        names = sorted(key for key in root.fields if key not in self._claimed | taken)
        if not names:
            return []
        told = ", ".join(repr(shortened(name)) for name in names[:5])
        return [Fault("unknown_field", f"no column takes {told}")]


def _paths(columns: Sequence[Column]) -> list[Steps | None]:
    """The paths that lead to the columns' values; None where the name of the field does."""
    fields = [one.field for one in columns]
    shared = {field for field in fields if fields.count(field) > 1}
    return [
        one.steps if one.field is None else ((one.field,) if one.field in shared else None)
        for one in columns
    ]


def _field_of(value: str | None) -> bytes:
    return _NULL_FIELD if value is None else value.translate(TEXT).encode()


def _ambiguous(name: str, keys: Sequence[str]) -> Fault:
    listed = ", ".join(repr(shortened(key)) for key in sorted(keys))
    return Fault(
        "ambiguous_field",
        f"the fields {listed} all name this column; `from` in the contract chooses one",
        column=name,
    )


def _null(column: Column) -> Fault:
    return Fault("null", "null, where the contract allows none", column=column.name)


def _repeated_within(column: Column) -> Fault:
    reason = "an object in the value has a key twice: one value would be lost"
    return Fault("duplicate_key", reason, column.name)


def _nul(column: Column) -> Fault:
    return Fault(
        "bad_encoding", "a NUL, which no text in Postgres can hold", column.name, value="\\u0000"
    )

"""The fields of a CSV file: DuckDB finds its dialect and reads its values, each of them as text."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import duckdb

from headrace_loader.csv_head import separator_length
from headrace_loader.csv_stream import parse_record
from headrace_loader.inference.encodings import decoded
from headrace_loader.inference.errors import InferenceError
from headrace_loader.inference.fields import Fields, SourceField
from headrace_loader.inference.sampling import SAMPLE_BYTES, Sample
from headrace_shared.errors import PermanentError
from headrace_shared.field_names import folded, similar_name
from headrace_shared.file_formats import CsvFormat

NULL_MARKERS: Final = ("\\N", "NULL", "null", "NA", "N/A", "None")
_DELIMITERS: Final = ",;\t|"
_LINES_COMPARED: Final = 1_000
_MOST_BEFORE: Final = 10_000
"""Lines before the header."""

_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_MOST_LINES: Final = 0.5


@dataclass(frozen=True)
class _Dialect:
    """What DuckDB finds, and what it does not look for."""

    delimiter: str
    quote: str
    escape: str
    comment: str | None
    header: bool
    lines_before: int


def csv_fields(connection: duckdb.DuckDBPyConnection, sample: Sample, table: str) -> Fields:
    """The fields of a file; their values are in the columns c1, c2, ... of a new table.

    Raises:
        InferenceError: DuckDB finds no CSV in it, or its header is not the first line.
    """
    content = sample.path.read_bytes()
    found = decoded(content[:SAMPLE_BYTES], whole=sample.whole)
    text = found.text if sample.whole else found.text[: found.text.rfind("\n") + 1]
    plain = text.encode()
    text = plain[separator_length(plain) :].decode()
    sample.path.write_text(text, newline="", encoding="utf-8")
    dialect = _dialect(connection, sample.path, _regular_delimiter(text))
    names = _names(text, dialect, connection, sample.path)
    _read(connection, sample.path, dialect, len(names), table)
    if dialect.header and _repeats(connection, table, names) > 1:
        # A second time is where two files were joined; more often it is a value.
        dialect, names = replace(dialect, header=False), [""] * len(names)
        connection.execute(f"drop table {table}")
        _read(connection, sample.path, dialect, len(names), table)
    trailing = len(names) > 1 and dialect.header and not names[-1]
    trailing = trailing and _is_empty(connection, table, len(names))
    alike = [similar_name(name) or folded(name) for name in names]
    fields = [
        SourceField(name, name if name.strip() and alike.count(alike[place - 1]) == 1 else place)
        for place, name in enumerate(names[:-1] if trailing else names, 1)
    ]
    null = _null_marker(connection, table, len(fields))
    document = _format(dialect, found.encoding, null, trailing=trailing)
    rows = _number(connection, f"select count(*) from {table}")  # noqa: S608 - a name of ours
    unsure = [*filter(None, [found.unsure]), *_doubts(dialect, null)]
    return Fields(fields, document, rows, unsure)


def _regular_delimiter(text: str) -> str | None:
    """The delimiter that gives most lines as many fields as the first one has.

    DuckDB takes a file for one column as soon as a line has too many fields.
    """
    lines = _LINE_END.split(text, _LINES_COMPARED)[:_LINES_COMPARED]
    shares: dict[str, float] = {}
    for delimiter in _DELIMITERS:
        widths = _widths(lines, delimiter)
        if widths and widths[0] > 1:
            shares[delimiter] = widths.count(widths[0]) / len(widths)
    best = max(shares, key=lambda one: shares[one], default=None)
    return best if best is not None and shares[best] > _MOST_LINES else None


def _widths(lines: Sequence[str], delimiter: str) -> list[int]:
    try:
        return [len(fields) for fields in csv.reader(lines, delimiter=delimiter) if fields]
    except csv.Error:  # a field beyond the module's limit
        return []


def _dialect(connection: duckdb.DuckDBPyConnection, path: Path, regular: str | None) -> _Dialect:
    columns = "Delimiter, Quote, Escape, Comment, HasHeader, SkipRows, len(Columns)"
    row = connection.execute(f"select {columns} from sniff_csv(?)", [str(path)]).fetchone()  # noqa: S608 - names of ours
    if row is not None and row[-1] == 1 and regular is not None:
        query = (
            f"select {columns} from sniff_csv(?, delim=?, ignore_errors=true, null_padding=true)"  # noqa: S608
        )
        row = connection.execute(query, [str(path), regular]).fetchone()
    assert row is not None
    delimiter, quote, escape, comment = (None if one == "(empty)" else one for one in row[:4])
    header, skipped = bool(row[4]), int(row[5])
    quote = quote or '"'
    before = _lines(path, skipped)
    if comment is None and before and all(line[:1] in ("#", "") for line in before):
        comment = "#"
    found = _Dialect(delimiter or ",", quote, escape or quote, comment, header, skipped)
    if before and not (comment and all(line[:1] in (comment, "") for line in before)):
        raise InferenceError(
            f"The table begins in line {skipped + 1}; before it stands {before[0][:60]!r}.",
            "Remove the lines before the header, for a contract cannot leave them out.",
        )
    return found


def _lines(path: Path, count: int) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [line.rstrip("\r\n") for line, _ in zip(file, range(count), strict=False)]


def _names(
    text: str, dialect: _Dialect, connection: duckdb.DuckDBPyConnection, path: Path
) -> Sequence[str]:
    """The fields of the header as they stand in the file; without one, empty names."""
    if not dialect.header:
        row = connection.execute("select len(Columns) from sniff_csv(?)", [str(path)]).fetchone()
        assert row is not None
        return [""] * int(row[0])
    lines = _LINE_END.split(text, _MOST_BEFORE)[dialect.lines_before :]
    first = next((line for line in lines if line.strip() and not _is_comment(line, dialect)), "")
    try:
        return parse_record(first.encode(), _csv_format(dialect))
    except PermanentError as error:
        raise InferenceError(error.reason.message, "Write the contract by hand.") from None


def _is_comment(line: str, dialect: _Dialect) -> bool:
    return dialect.comment is not None and line.startswith(dialect.comment)


def _csv_format(dialect: _Dialect) -> CsvFormat:
    return CsvFormat(
        delimiter=dialect.delimiter,
        quote=dialect.quote,
        escape=None if dialect.escape == dialect.quote else dialect.escape,
    )


def _read(
    connection: duckdb.DuckDBPyConnection, path: Path, dialect: _Dialect, width: int, table: str
) -> None:
    columns = {f"c{place}": "VARCHAR" for place in range(1, width + 1)}
    connection.execute(
        f"create temporary table {table} as select * from read_csv(?, auto_detect=false, "  # noqa: S608 - a name of ours
        "delim=?, quote=?, escape=?, header=?, skip=?, comment=?, columns=?, nullstr='', "
        "allow_quoted_nulls=false, all_varchar=true, null_padding=true, ignore_errors=true, "
        "strict_mode=false, max_line_size=16777216, parallel=false)",
        [
            str(path),
            dialect.delimiter,
            dialect.quote,
            dialect.escape,
            dialect.header,
            dialect.lines_before,
            dialect.comment or "",
            columns,
        ],
    )


def _repeats(connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str]) -> int:
    """How many rows have the fields of the first line."""
    same = " and ".join(f"coalesce(c{place}, '') = ?" for place in range(1, len(names) + 1))
    query = f"select count(*) from {table} where {same}"  # noqa: S608 - names of ours
    return _number(connection, query, list(names))


def _is_empty(connection: duckdb.DuckDBPyConnection, table: str, place: int) -> bool:
    query = f"select count(*) from {table} where coalesce(c{place}, '') <> ''"  # noqa: S608 - names of ours
    return _number(connection, query) == 0


def _null_marker(connection: duckdb.DuckDBPyConnection, table: str, width: int) -> str:
    """One that stands in the file where nothing is empty; else emptiness itself."""
    places = range(1, width + 1)
    empty = " or ".join(f"c{place} is null" for place in places)
    if _number(connection, f"select count(*) from {table} where {empty}"):  # noqa: S608 - names of ours
        return ""
    for marker in NULL_MARKERS:
        marked = " or ".join(f"c{place} = $marker" for place in places)
        query = f"select count(*) from {table} where {marked}"  # noqa: S608 - names of ours
        if _number(connection, query, {"marker": marker}):
            return marker
    return ""


def _format(dialect: _Dialect, encoding: str, null: str, *, trailing: bool) -> dict[str, Any]:
    """What differs from the contract's own defaults."""
    values = {
        "delimiter": (dialect.delimiter, ","),
        "quote": (dialect.quote, '"'),
        "escape": (dialect.escape, dialect.quote),
        "comment": (dialect.comment, None),
        "header": (dialect.header, True),
        "null": (null, ""),
        "encoding": (encoding, "utf-8"),
        "trailing_delimiter": (trailing, False),
    }
    return {name: found for name, (found, usual) in values.items() if found != usual}


def _doubts(dialect: _Dialect, null: str) -> Iterator[str]:
    if not dialect.header:
        yield "no header was found: the columns are named by their places"
    if null:
        yield f"{null!r} is taken for null"


def _number(connection: duckdb.DuckDBPyConnection, query: str, values: object = ()) -> int:
    row = connection.execute(query, values).fetchone()
    return int(row[0]) if row else 0

"""What a sample of a CSV file holds: its dialect, and of each column what all of its values are.

DuckDB sniffs the dialect and looks at the values; every value is text to it, for its own types are
not those of the warehouse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from headrace_loader.inference.errors import InferenceError
from headrace_loader.inference.sampling import Sample

NULL_MARKERS: Final = ("\\N", "NULL", "null", "NA", "N/A", "None")

_TIME: Final = r"\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?"
_DAY: Final = r"\d{4}-\d{2}-\d{2}"
_ZONE: Final = r"(Z|UTC|[+-]\d{2}(:?\d{2})?)"

# Of all values `v` that are not null. Where a pattern alone lets impossible days through, a cast
# looks.
_QUESTIONS: Final[Mapping[str, str]] = {
    "is_boolean": "lower(v) in ('t', 'f', 'true', 'false', 'y', 'n', 'yes', 'no', 'on', 'off')",
    "is_integer": r"regexp_full_match(v, '[+-]?\d{1,38}')",
    "is_decimal": r"regexp_full_match(v, '[+-]?(\d{1,38}(\.\d{0,30})?|\.\d{1,30})')",
    "is_float": r"try_cast(v as double) is not null and regexp_matches(v, '\d')",
    "is_date": f"regexp_full_match(v, '{_DAY}') and try_cast(v as date) is not null",
    "is_timestamp": f"regexp_full_match(v, '{_DAY}[ T]{_TIME}') "
    "and try_cast(v as timestamp) is not null",
    "is_timestamptz": f"regexp_full_match(v, '{_DAY}[ T]{_TIME} ?{_ZONE}') "
    "and try_cast(left(v, 10) as date) is not null",
    "is_time": f"regexp_full_match(v, '{_TIME}') and try_cast(v as time) is not null",
    "is_uuid": "length(v) = 36 and try_cast(v as uuid) is not null",
    "is_json": "left(v, 1) in ('{', '[') and json_valid(v)",
}


@dataclass(frozen=True)
class ColumnProfile:
    """One column. What `is_...` says holds for all values that are not null.

    Args:
        values: how many are not null.
        nulls: how many are.
        distinct: how many different values there are.
        leading_zero: a value that begins with a zero where a number would not.
        least, most: of an integer column.
        digits, scale: the most digits before and behind the point.
    """

    name: str
    values: int
    nulls: int
    distinct: int
    leading_zero: str | None
    least: int | None
    most: int | None
    digits: int
    scale: int
    answers: Mapping[str, bool]


@dataclass(frozen=True)
class Profile:
    """A file.

    Args:
        null: what stands for null.
    """

    delimiter: str
    quote: str
    escape: str
    header: bool
    null: str
    rows: int
    columns: tuple[ColumnProfile, ...]


def profile_of(sample: Sample) -> Profile:
    """Looks at every value of the sample.

    Raises:
        InferenceError: DuckDB finds no CSV in it.
    """
    with duckdb.connect(config={"memory_limit": "500MB", "threads": 2}) as connection:
        try:
            return _profile(connection, sample)
        except duckdb.Error as error:
            raise InferenceError(
                f"No CSV can be made out in the file: {str(error).splitlines()[0]}",
                "Look at its first lines; or write the contract by hand: docs/contracts.md.",
            ) from None


def _profile(connection: duckdb.DuckDBPyConnection, sample: Sample) -> Profile:
    found = connection.execute(
        "select Delimiter, Quote, Escape, HasHeader, Columns from sniff_csv(?)", [str(sample.path)]
    ).fetchone()
    assert found is not None
    delimiter, quote, escape, header, columns = found
    quote, escape = ("" if one == "(empty)" else one for one in (quote, escape))
    names = [column["name"] for column in columns]
    connection.execute(
        "create temporary table sample as select * from read_csv(?, auto_detect=false, "
        "delim=?, quote=?, escape=?, header=?, columns=?, nullstr='', all_varchar=true, "
        "null_padding=false, strict_mode=false)",
        [
            str(sample.path),
            delimiter,
            quote or '"',
            escape or quote or '"',
            header,
            dict.fromkeys(names, "VARCHAR"),
        ],
    )
    rows = connection.execute("select count(*) from sample").fetchone()
    assert rows is not None
    null = _null_marker(connection, names)
    return Profile(
        delimiter,
        quote or '"',
        escape or quote or '"',
        header,
        null,
        rows[0],
        tuple(_column(connection, name, null) for name in names),
    )


def _null_marker(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> str:
    """One that stands in the file where nothing is empty; else emptiness itself."""
    empty = " or ".join(f"{_quoted(name)} is null" for name in names)
    if _one(connection, f"select exists (from sample where {empty})", []):
        return ""
    for marker in NULL_MARKERS:
        marked = " or ".join(f"{_quoted(name)} = $marker" for name in names)
        query = f"select exists (from sample where {marked})"
        if _one(connection, query, {"marker": marker}):
            return marker
    return ""


def _column(connection: duckdb.DuckDBPyConnection, name: str, null: str) -> ColumnProfile:
    parts = ", ".join(
        f"coalesce(bool_and({question}) filter (v is not null), false) as {key}"
        for key, question in _QUESTIONS.items()
    )
    query = (
        r"select coalesce(sum(n) filter (v is not null), 0)::bigint, "  # noqa: S608 - names are quoted
        r"coalesce(sum(n) filter (v is null), 0)::bigint, count(v), "
        r"min(v) filter (regexp_full_match(v, '[+-]?0\d+')), "
        r"min(try_cast(v as hugeint)), max(try_cast(v as hugeint)), "
        r"coalesce(max(length(regexp_extract(v, '^[+-]?0*(\d*)', 1))), 0), "
        r"coalesce(max(length(regexp_extract(v, '\.(\d*)$', 1))), 0), "
        f"{parts} from (select nullif({_quoted(name)}, $null) as v, count(*) as n "
        "from sample group by 1)"
    )
    row = connection.execute(query, {"null": null}).fetchone()
    assert row is not None
    answers = dict(zip(_QUESTIONS, row[8:], strict=True))
    values, nulls, distinct, zero, least, most, digits, scale = row[:8]
    return ColumnProfile(name, values, nulls, distinct, zero, least, most, digits, scale, answers)


def _one(connection: duckdb.DuckDBPyConnection, query: str, values: Any) -> bool:
    row = connection.execute(query, values).fetchone()
    return bool(row and row[0])


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'

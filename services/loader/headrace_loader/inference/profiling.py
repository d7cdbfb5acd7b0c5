"""What the values of fields are, by DuckDB: every value is text to it, for its own types are not
those of the warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb

from headrace_loader.inference.forms import OTHER_MARKS, USUAL_MARKS, Marks, Times, times

_TIME: Final = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
_DAY: Final = r"\d{4}-\d{2}-\d{2}"
_ZONE: Final = r"(Z|[+-]\d{2}(:?\d{2})?)"
_MOST_TIMES_LOOKED_AT: Final = 20_000

# Of all values `v` that are not null. Where a pattern alone lets impossible days through, a cast
# looks.
_QUESTIONS: Final[Mapping[str, str]] = {
    "boolean": "lower(v) in ('t', 'f', 'true', 'false', 'y', 'n', 'yes', 'no', 'on', 'off')",
    "integer": r"regexp_full_match(v, '[+-]?\d{1,38}')",
    "number": f"regexp_full_match(v, '{USUAL_MARKS.pattern}')",
    "float": r"regexp_full_match(v, '[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?') "
    "and isfinite(try_cast(v as double))",
    "date": f"regexp_full_match(v, '{_DAY}') and try_cast(v as date) is not null",
    "timestamp": f"regexp_full_match(v, '{_DAY}[ T]{_TIME}') "
    "and try_cast(left(v, 10) as date) is not null",
    "timestamptz": f"regexp_full_match(v, '{_DAY}[ T]{_TIME} ?{_ZONE}') "
    "and try_cast(left(v, 10) as date) is not null",
    "time": f"regexp_full_match(v, '{_TIME}')",
    "uuid": "length(v) = 36 and try_cast(v as uuid) is not null",
    "jsonb": "left(v, 1) in ('{', '[') and json_valid(v)",
}


@dataclass(frozen=True)
class Profile:
    """The values of one field. What `answers` says holds for all values that are not null.

    Args:
        values: how many are neither null nor empty.
        nulls, empties: how many are; empty is a quoted nothing.
        distinct: how many different values there are.
        leading_zero: a value that begins with a zero where a number would not.
        least, most: of integers.
        digits, scale: the most digits before and behind the point.
        marks: those among `OTHER_MARKS` under which every value is a number.
        times: how its times are written, if they are not written as ISO 8601.
    """

    values: int
    nulls: int
    empties: int
    distinct: int
    leading_zero: str | None
    least: int | None
    most: int | None
    digits: int
    scale: int
    answers: Mapping[str, bool]
    marks: Sequence[Marks] = field(default=())
    times: Times | None = None


def profile(connection: duckdb.DuckDBPyConnection, table: str, place: int, null: str) -> Profile:
    """Looks at every value of a field.

    Args:
        table: holds the values of the n-th field, from 1, in the column c<n>.
        null: the text that stands for null, beside nothing at all.
    """
    source = (
        f"from (select nullif(nullif(c{place}, $null), '') as v, "  # noqa: S608 - names of ours
        f"count(*) filter (coalesce(c{place}, '') <> '' and c{place} <> $null) as n, "
        f"count(*) filter (c{place} is null or (c{place} = $null and $null <> '')) as nulls, "
        f"count(*) filter (c{place} = '') as empties from {table} group by 1)"
    )
    row = _row(connection, f"select {_COUNTS}, {_ANSWERS} {source}", null)
    answers = dict(zip(_QUESTIONS, row[9:], strict=True))
    values, nulls, empties, distinct, zero, least, most, digits, scale = row[:9]
    marks, written = [], None
    if values and not any(answers.values()):
        marks = [one for one in OTHER_MARKS if _all_match(connection, source, one, null)]
        written = None if marks else times(_sample_of(connection, source, null))
    return Profile(
        values, nulls, empties, distinct, zero, least, most, digits, scale, answers, marks, written
    )


_COUNTS: Final = (
    "coalesce(sum(n), 0)::bigint, coalesce(sum(nulls), 0)::bigint, "
    "coalesce(sum(empties), 0)::bigint, count(v), "
    r"min(v) filter (regexp_full_match(v, '[+-]?0\d+')), "
    "min(try_cast(v as hugeint)), max(try_cast(v as hugeint)), "
    r"coalesce(max(length(regexp_extract(v, '^[+-]?0*(\d*)', 1))), 0), "
    r"coalesce(max(length(regexp_extract(v, '\.(\d*)$', 1))), 0)"
)
_ANSWERS: Final = ", ".join(
    f"coalesce(bool_and({question}) filter (v is not null), false)"
    for question in _QUESTIONS.values()
)


def _all_match(connection: duckdb.DuckDBPyConnection, source: str, marks: Marks, null: str) -> bool:
    pattern = marks.pattern.replace("'", "''")
    question = f"bool_and(regexp_full_match(v, '{pattern}')) filter (v is not null)"
    return bool(_row(connection, f"select {question} {source}", null)[0])


def _sample_of(connection: duckdb.DuckDBPyConnection, source: str, null: str) -> list[str]:
    """Values of all lengths: those that differ from the others would be the ones left out."""
    query = f"select v {source} where v is not null order by hash(v) limit {_MOST_TIMES_LOOKED_AT}"
    return [one for (one,) in connection.execute(query, {"null": null}).fetchall()]


def _row(connection: duckdb.DuckDBPyConnection, query: str, null: str) -> tuple[Any, ...]:
    row = connection.execute(query, {"null": null}).fetchone()
    assert row is not None
    return tuple(row)

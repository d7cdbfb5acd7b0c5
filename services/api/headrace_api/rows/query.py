"""The SQL of a question. Values are parameters; identifiers come from the contract, quoted.

Rows are ordered by the key of the contract, then by what tells rows of one key apart: their drop,
and where in the table they stand. So a page can begin right after any row, duplicates included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

from psycopg import sql

from headrace_api.rows.access import LINEAGE, OpenColumn, OpenTable
from headrace_api.rows.question import Filter, Operator, RowQuestion

Place = tuple[str | None, ...]
"""Where a row stands in the order, as texts that Postgres reads back exactly."""

IN_FORCE: Final = sql.SQL("""
    select drop_id from headrace.contracts
    where db_name = %(db)s and table_name = %(table)s and accepted and not refused_by_rows
    order by drop_id desc limit 1
    """)
"""The id of a table's contract in force."""

_TIE_BREAKS: Final = (
    LINEAGE,
    # The parts of a partitioned table number their rows each for itself.
    OpenColumn("tableoid", "oid", nullable=False),
    OpenColumn("ctid", "tid", nullable=False),
)
_CASTS: Final = {
    "smallint": sql.SQL("smallint"),
    "integer": sql.SQL("integer"),
    "bigint": sql.SQL("bigint"),
    "numeric": sql.SQL("numeric"),
    "real": sql.SQL("real"),
    "double precision": sql.SQL("double precision"),
    "boolean": sql.SQL("boolean"),
    "text": sql.SQL("text"),
    "character varying": sql.SQL("text"),
    "character": sql.SQL("bpchar"),
    "date": sql.SQL("date"),
    "time without time zone": sql.SQL("time"),
    "timestamp without time zone": sql.SQL("timestamp"),
    "timestamp with time zone": sql.SQL("timestamptz"),
    "uuid": sql.SQL("uuid"),
    "jsonb": sql.SQL("jsonb"),
    "oid": sql.SQL("oid"),
    "tid": sql.SQL("tid"),
}
_SIGNS: Final = {
    Operator.EQ: sql.SQL("="),
    Operator.GT: sql.SQL(">"),
    Operator.GTE: sql.SQL(">="),
    Operator.LT: sql.SQL("<"),
    Operator.LTE: sql.SQL("<="),
}

_ZULU: Final = sql.SQL("replace(to_json({0}) #>> '{{}}', '+00:00', 'Z')")
_OBJECT: Final = sql.SQL("row_to_json(shown)::text")
_AS_IT_IS: Final = sql.SQL("{0}")
_AS_TEXT: Final = sql.SQL("{0}::text")
_IN_JSON: Final[Mapping[str, sql.SQL]] = {
    # Beyond 2^53, or with more digits than a double has, a number would not arrive as it is.
    "bigint": _AS_TEXT,
    "numeric": _AS_TEXT,
    "character": _AS_TEXT,
    "timestamp with time zone": _ZULU,
    # Line ends can only stand between its tokens, and would end a line of newline JSON.
    "json": sql.SQL("translate({0}::text, E'\\r\\n', '  ')::json"),
}
_IN_TEXT: Final[Mapping[str, sql.SQL]] = {
    "timestamp with time zone": _ZULU,
    "timestamp without time zone": sql.SQL("to_json({0}) #>> '{{}}'"),
}


Values = dict[str, str | int | UUID]
Shape = tuple[tuple[OpenColumn, Operator, bool], ...]
"""Filters without their values; the bool is true where null is asked for."""
Gaps = tuple[bool, ...]
"""Which parts of a place are null."""

_MOST_STATEMENTS: Final = 500


@dataclass(frozen=True, slots=True)
class Query:
    """A statement and its values."""

    statement: sql.SQL | sql.Composed
    values: Values


def order(table: OpenTable) -> tuple[OpenColumn, ...]:
    """What the rows of a table are ordered by."""
    return (*table.key, *_TIE_BREAKS)


def json_rows(question: RowQuestion, after: Place | None, limit: int) -> Query:
    """Each row as one JSON object in one line, then its place; no rows where the contract that
    the question was made by is not in force any more: what it opens may be closed."""
    gaps = None if after is None else tuple(value is None for value in after)
    table = question.table
    in_force: Values = {
        "contract": table.contract_id,
        "db": table.db_name,
        "table": table.table_name,
    }
    return Query(
        _json_rows(table, question.columns, _shape(question), gaps),
        {**_values(question, after), **in_force, "limit": limit},
    )


def json_lines(question: RowQuestion, limit: int) -> Query:
    """Each row as one JSON object in one line."""
    return _whole(question, _OBJECT, _shown(question.columns), limit)


def text_rows(question: RowQuestion, limit: int) -> Query:
    """Each row as the texts of its cells."""
    cells = [_cell(column, _IN_TEXT, _AS_TEXT) for column in question.columns]
    return _whole(question, sql.SQL(", ").join(cells), sql.SQL(""), limit)


def beyond(question: RowQuestion, limit: int) -> Query:
    """One row if the question has more than so many."""
    statement = sql.SQL("select 1 from {} as t{} offset %(limit)s limit 1").format(
        _table(question.table), _where(_conditions(_shape(question)))
    )
    return Query(statement, {**_values(question, None), "limit": limit})


def value_of(one: Filter) -> Query:
    """Nothing but the value of a filter, read as its column's type."""
    statement = sql.SQL("select %(value)s::{}").format(_CASTS[one.column.kind])
    return Query(statement, {"value": one.value})


def _shape(question: RowQuestion) -> Shape:
    return tuple(
        (one.column, one.operator, one.operator is Operator.NULL and one.value == "true")
        for one in question.filters
    )


def _values(question: RowQuestion, after: Place | None) -> Values:
    values: Values = {
        f"f{number}": one.value
        for number, one in enumerate(question.filters)
        if one.operator is not Operator.NULL
    }
    for number, value in enumerate(after or ()):
        if value is not None:
            values[f"a{number}"] = value
    return values


@lru_cache(maxsize=_MOST_STATEMENTS)
def _json_rows(
    table: OpenTable, columns: tuple[OpenColumn, ...], shape: Shape, gaps: Gaps | None
) -> sql.SQL:
    """Made once for each kind of question, for it takes as long as all else of a page."""
    places = [_AS_TEXT.format(_name(column)) for column in order(table)]
    conditions = _conditions(shape)
    if gaps is not None:
        conditions.append(_after(list(zip(order(table), gaps, strict=True)), 0))
    conditions.append(sql.SQL("%(contract)s = ({})").format(IN_FORCE))
    wanted = sql.SQL(", ").join([_OBJECT, *places])
    made = _select(table, wanted, _shown(columns), _where(conditions))
    return sql.SQL(made.as_string())


def _whole(
    question: RowQuestion, wanted: sql.Composable, lateral: sql.Composable, limit: int
) -> Query:
    where = _where(_conditions(_shape(question)))
    statement = _select(question.table, wanted, lateral, where)
    return Query(statement, {**_values(question, None), "limit": limit})


def _select(
    table: OpenTable, wanted: sql.Composable, lateral: sql.Composable, where: sql.Composable
) -> sql.Composed:
    return sql.SQL("select {} from {} as t{}{} order by {} limit %(limit)s").format(
        wanted,
        _table(table),
        lateral,
        where,
        sql.SQL(", ").join(_name(column) for column in order(table)),
    )


def _shown(columns: Sequence[OpenColumn]) -> sql.Composed:
    cells = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(_cell(column, _IN_JSON, _AS_IT_IS), _quoted(column.name))
        for column in columns
    )
    return sql.SQL(" cross join lateral (select {}) as shown").format(cells)


def _where(conditions: Sequence[sql.Composable]) -> sql.Composable:
    if not conditions:
        return sql.SQL("")
    return sql.SQL(" where {}").format(sql.SQL(" and ").join(conditions))


def _conditions(shape: Shape) -> list[sql.Composable]:
    return [
        _condition(column, operator, f"f{number}", is_null=is_null)
        for number, (column, operator, is_null) in enumerate(shape)
    ]


def _condition(
    column: OpenColumn, operator: Operator, value: str, *, is_null: bool
) -> sql.Composable:
    if operator is Operator.NULL:
        test = sql.SQL("{} is null") if is_null else sql.SQL("{} is not null")
        return test.format(_name(column))
    return _compared(column, _SIGNS[operator], value)


def _after(places: Sequence[tuple[OpenColumn, bool]], number: int) -> sql.Composable:
    """What stands after a row, nulls last. The limit of the first column stands by itself, so
    that an index of that column is entered there.

    Args:
        places: each with whether the row has a null there.
        number: of the first of them.
    """
    (column, has_null), rest = places[0], places[1:]
    null = sql.SQL("{} is null").format(_name(column))
    if has_null:
        return _all(null, _after(rest, number + 1)) if rest else sql.SQL("false")
    greater = _compared(column, sql.SQL(">"), f"a{number}")
    later = _any(greater, null) if column.nullable else greater
    if not rest:
        return later
    equal = _compared(column, sql.SQL("="), f"a{number}")
    same = _all(equal, _after(rest, number + 1))
    if column.nullable:
        return _any(later, same)
    return _all(_compared(column, sql.SQL(">="), f"a{number}"), _any(later, same))


def _all(*conditions: sql.Composable) -> sql.Composed:
    return sql.SQL("({})").format(sql.SQL(" and ").join(conditions))


def _any(*conditions: sql.Composable) -> sql.Composed:
    return sql.SQL("({})").format(sql.SQL(" or ").join(conditions))


def _compared(column: OpenColumn, sign: sql.SQL, value: str) -> sql.Composed:
    return sql.SQL("{} {} {}::{}").format(
        _name(column), sign, sql.Placeholder(value), _CASTS[column.kind]
    )


def _cell(column: OpenColumn, ways: Mapping[str, sql.SQL], otherwise: sql.SQL) -> sql.Composed:
    return ways.get(column.kind, otherwise).format(_name(column))


def _name(column: OpenColumn) -> sql.SQL:
    return _quoted("t", column.name)


def _quoted(*names: str) -> sql.SQL:
    """A name in a statement with parameters, where a percent sign begins a placeholder."""
    return sql.SQL(sql.Identifier(*names).as_string().replace("%", "%%"))


def _table(table: OpenTable) -> sql.Identifier:
    return sql.Identifier(table.db_name, table.table_name)

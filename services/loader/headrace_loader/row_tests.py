"""The SQL of the data tests: one statement for each, over rows that are staged.

Nothing here runs. Users' values and patterns are literals, never text of the statement; the text
of a `sql` test is the user's own, so whoever runs it sees first that it is one whole select.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from headrace_loader.sqlstate import MAX_VALUE_CHARACTERS
from headrace_shared.data_tests import (
    AcceptedValues,
    DataTest,
    Freshness,
    Length,
    Matches,
    NotNull,
    Range,
    References,
    RowCount,
    Sql,
    Unique,
)
from headrace_shared.drop import Drop
from headrace_shared.identifiers import LINE_COLUMN, LINEAGE_COLUMN

RowTest = NotNull | Unique | AcceptedValues | Range | Length | Matches | References | Sql
"""The tests that single rows fail."""

_EXACT_BITS: Final = 53
"""Whole numbers below two to this are exact in a double."""

_LINE: Final = sql.Identifier("staged", LINE_COLUMN)
_LINEAGE: Final = sql.Identifier("present", LINEAGE_COLUMN)
_AND: Final = sql.SQL(" and ")

_FAILING_ROWS: Final = sql.SQL(
    "with failing (line) as materialized ({failing}) select (select count(*) from failing), "
    "array(select line from failing order by line limit {limit})"
)

# A line end before the bracket: the user's text may end with a comment. A row that a join repeats
# counts once. The row's alias is a name that no column has, or it would be taken for that column.
_OFFENDING_ROWS: Final = sql.SQL(
    "with failing (line) as materialized ("
    "select (to_jsonb({row}) ->> {key})::bigint from (\n{select}\n) as {row}), "
    "counted as (select count(*) as rows, count(line) as lines, count(distinct line) as different "
    "from failing) "
    "select case when rows = lines then different else rows end, "
    "case when rows = lines then array("
    "select distinct line from failing order by line limit {limit}) else '{{}}' end from counted"
)


@dataclass(frozen=True, slots=True)
class StagedRows:
    """The rows that are tested, and what they are held against.

    Args:
        staged: their table, with their columns and `line number`.
        target: the table that they go into.
        replaces: the key by which they replace rows of the target, which are not held against
            them then; empty for none.
        referenced: where the rows are that a `references` test looks into; None: in the table
            that the test names.
    """

    staged: sql.Identifier
    target: sql.Identifier
    drop: Drop
    replaces: Sequence[str] = ()
    referenced: sql.Identifier | None = None


def row_statement(test: RowTest, tested: StagedRows, limit: int) -> sql.Composed:
    """Answers with one row: how many rows fail, and the line numbers of the first of them.

    The line numbers of a `sql` test are none unless every row that its select gives has one.
    """
    if isinstance(test, Sql):
        return _OFFENDING_ROWS.format(
            select=user_select(test, tested.staged),
            row=sql.Identifier("offending row"),
            key=sql.Literal(LINE_COLUMN),
            limit=sql.Literal(limit),
        )
    return _FAILING_ROWS.format(failing=_failing(test, tested), limit=sql.Literal(limit))


def measure_statement(test: RowCount | Freshness, tested: StagedRows) -> sql.Composed:
    """Answers with one row: whether the drop passes, and what was measured, as text.

    A drop without a value passes `freshness`; what was measured is null then.
    """
    if isinstance(test, RowCount):
        return sql.SQL("select {passes}, count(*)::text from {staged}").format(
            passes=_within(sql.SQL("count(*)"), test.row_count.min, test.row_count.max),
            staged=tested.staged,
        )
    return sql.SQL(
        "select coalesce(max({column})::timestamptz >= {oldest}, true), max({column})::text "
        "from {staged} as staged"
    ).format(
        column=sql.Identifier("staged", test.freshness.column),
        oldest=sql.Literal(tested.drop.landed_at - test.within),
        staged=tested.staged,
    )


def sample_statement(
    columns: Sequence[str], lines: Sequence[int], tested: StagedRows
) -> sql.Composed:
    """Answers with the rows of these lines: the line number, and the columns' values as text, cut
    at a length that is a little more than anybody is told."""
    values = [
        sql.SQL("left({}::text, {})").format(
            sql.Identifier("staged", name), MAX_VALUE_CHARACTERS + 1
        )
        for name in columns
    ]
    return sql.SQL(
        "select {values} from {staged} as staged where {line} = any({lines}) order by {line}"
    ).format(
        values=sql.SQL(", ").join([_LINE, *values]),
        staged=tested.staged,
        line=_LINE,
        lines=sql.Literal(list(lines)),
    )


def user_select(test: Sql, staged: sql.Identifier) -> sql.Composed:
    """The user's own select, over the staged rows."""
    first, *others = map(sql.SQL, test.parts)
    return sql.Composed([first, *(part for other in others for part in (staged, other))])


def referenced_table(test: References) -> sql.Identifier:
    """The table that a `references` test names."""
    return sql.Identifier(*test.references.table.split("."))


def _failing(test: RowTest, tested: StagedRows) -> sql.Composed:
    match test:
        case Unique(within="table"):
            # A join of its own: Postgres makes none of a condition with an or.
            return sql.SQL("{} union {}").format(
                _lines(tested, _repeated(test, tested)), _lines_present(test, tested)
            )
        case Unique():
            return _lines(tested, _repeated(test, tested))
        case References():
            return _lines(tested, _missing(test, tested))
    return _lines(tested, _wrong(test))


def _lines(tested: StagedRows, wrong: sql.Composable) -> sql.Composed:
    return sql.SQL("select {} from {} as staged where {}").format(_LINE, tested.staged, wrong)


def _lines_present(test: Unique, tested: StagedRows) -> sql.Composed:
    """The lines whose values other rows of the target have."""
    return sql.SQL(
        "select {line} from {staged} as staged join {target} as present on {equal} "
        "where {lineage} is distinct from {drop_id} and {stays}"
    ).format(
        line=_LINE,
        staged=tested.staged,
        target=tested.target,
        equal=_equal("present", test.unique, test.unique),
        lineage=_LINEAGE,
        drop_id=sql.Literal(tested.drop.drop_id),
        stays=_stays(tested),
    )


def _stays(tested: StagedRows) -> sql.Composable:
    """The condition that no staged row replaces this row of the target; keys with nulls in them
    are compared too, as an upsert does."""
    if not tested.replaces:
        return sql.SQL("true")
    return sql.SQL(
        "not exists (select from {staged} as replacing where {replacing} = {present})"
    ).format(
        staged=tested.staged,
        replacing=_key("replacing", tested.replaces),
        present=_key("present", tested.replaces),
    )


def _key(alias: str, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("jsonb_build_array({})").format(_columns(alias, columns))


def _wrong(test: DataTest) -> sql.Composed:
    """The condition that a row by itself fails; for a null it is not true, but in `not_null`."""
    match test:
        case Matches(matches=wants):
            return sql.SQL("{}::text !~ {}").format(
                _column(wants.column), sql.Literal(wants.pattern)
            )
        case Length(length=wants):
            characters = sql.SQL("char_length({}::text)").format(_column(wants.column))
            return sql.SQL("not ({})").format(_within(characters, wants.min, wants.max))
        case Range(range=wants):
            return sql.SQL("not ({})").format(_within(_column(wants.column), wants.min, wants.max))
        case AcceptedValues(accepted_values=wants):
            return sql.SQL("{} not in ({})").format(
                _column(wants.column), sql.SQL(", ").join(map(_as_text, wants.values))
            )
        case NotNull():
            return sql.SQL("{} is null").format(_column(test.not_null))
    raise AssertionError(f"{test.kind} is no test of single rows")


def _repeated(test: Unique, tested: StagedRows) -> sql.Composed:
    return sql.SQL(
        "({columns}) in (select {again} from {staged} as again group by {again} "
        "having count(*) > 1)"
    ).format(
        columns=_columns("staged", test.unique),
        again=_columns("again", test.unique),
        staged=tested.staged,
    )


def _missing(test: References, tested: StagedRows) -> sql.Composed:
    """That no row of the other table, nor of the drop where it is the drop's own table, has the
    values."""
    wants = test.references
    table = referenced_table(test)
    places = [tested.referenced or table]
    if table == tested.target:
        places.append(tested.staged)
    absent = [
        sql.SQL("not exists (select from {} as other where {})").format(
            place, _equal("other", wants.to, wants.column)
        )
        for place in places
    ]
    given = [sql.SQL("{} is not null").format(_column(name)) for name in wants.column]
    return _AND.join([*given, *absent])


def _within(
    measure: sql.Composable, least: float | str | None, most: float | str | None
) -> sql.Composed:
    sides = [
        sql.SQL("{} {} {}").format(measure, sql.SQL(sign), _limit(limit))
        for sign, limit in ((">=", least), ("<=", most))
        if limit is not None
    ]
    return _AND.join(sides)


def _limit(value: float | str) -> sql.Literal:
    # A whole number beside a column of a smaller type is still a limit of it. Any other value
    # takes the column's own type: 0.1 is not the same number in real and in double precision.
    return sql.Literal(value) if isinstance(value, int) else _as_text(value)


def _as_text(value: float | str) -> sql.Literal:
    """A literal that takes the type of the column beside it."""
    match value:
        case bool():
            return sql.Literal(str(value).lower())
        case float() if value.is_integer() and abs(value) < 2**_EXACT_BITS:
            return sql.Literal(str(int(value)))
    return sql.Literal(str(value))


def _equal(alias: str, theirs: Sequence[str], ours: Sequence[str]) -> sql.Composed:
    return _AND.join(
        sql.SQL("{} = {}").format(sql.Identifier(alias, their), _column(our))
        for their, our in zip(theirs, ours, strict=True)
    )


def _columns(alias: str, names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, name) for name in names)


def _column(name: str) -> sql.Identifier:
    return sql.Identifier("staged", name)

"""The COPY statement of a CSV file."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from headrace_shared.file_formats import CsvFormat


def copy_text_statement(target: sql.Identifier, columns: Iterable[str]) -> sql.Composed:
    """COPY of rows in COPY's own text format; rows with a value that is not of its column's type
    are left out and told of."""
    return sql.SQL(
        "copy {table} ({columns}) from stdin with (format text, header true, encoding 'UTF8', "
        "on_error ignore, log_verbosity verbose)"
    ).format(table=target, columns=sql.SQL(", ").join(map(sql.Identifier, columns)))


def copy_statement(
    target: sql.Identifier,
    columns: Iterable[str],
    dialect: CsvFormat,
    *,
    passing_over: bool = False,
) -> sql.Composed:
    """COPY of a CSV file in this dialect, its columns in this order.

    Args:
        passing_over: rows with a value that is not of its column's type are left out and told of.
    """
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    forced = sql.SQL(", force_null ({})").format(listed) if dialect.null_quoted else sql.SQL("")
    return sql.SQL(
        "copy {table} ({columns}) from stdin with (format csv, header {header}, "
        "delimiter {delimiter}, quote {quote}, escape {escape}, null {null}, encoding 'UTF8'"
        "{forced}{passing_over})"
    ).format(
        table=target,
        columns=listed,
        forced=forced,
        header=sql.Literal(dialect.header is not False),
        delimiter=sql.Literal(dialect.delimiter),
        quote=sql.Literal(dialect.quote),
        escape=sql.Literal(dialect.escape_character),
        null=sql.Literal(dialect.null),
        passing_over=sql.SQL(", on_error ignore, log_verbosity verbose" if passing_over else ""),
    )

"""Statements that are run with parameters, and have names with a percent sign in them."""

from __future__ import annotations

from psycopg import sql


def with_parameters(statement: sql.Composable) -> sql.Composed:
    """The statement for an execution with parameters: psycopg then takes a percent sign for the
    beginning of a placeholder, in a quoted name, too."""
    if isinstance(statement, sql.Composed):
        return sql.Composed([with_parameters(part) for part in statement])
    if isinstance(statement, sql.Identifier):
        statement = sql.SQL(statement.as_string().replace("%", "%%"))
    return sql.Composed([statement])

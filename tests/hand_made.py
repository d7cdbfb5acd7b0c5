"""Tables that a person makes in the warehouse, and what a load has made of them."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

from headrace_loader.outcomes import Outcome, Rejected
from tests.road import Road

COLUMNS = [{"name": "id", "type": "integer"}, {"name": "t", "type": "text"}]
QUARANTINE = {"mode": "quarantine"}


def by_hand(road: Road, *statements: LiteralString) -> None:
    """What a person does to the warehouse."""
    with psycopg.connect(road.dsn, autocommit=True) as connection:
        connection.execute("create schema if not exists dev")
        for statement in statements:
            connection.execute(statement)


def rows(road: Road, columns: str = "id, t", table: str = "dev.users") -> list[tuple[Any, ...]]:
    with psycopg.connect(road.dsn) as connection:
        return connection.execute(
            f"select {columns} from {table} order by 1, 2".encode()
        ).fetchall()


def bad_rows(outcome: Outcome) -> list[tuple[int | None, str | None]]:
    """Line and code of each bad row."""
    bad = outcome.reason.bad_rows if isinstance(outcome, Rejected) else outcome.aside.first  # type: ignore[union-attr]
    return [(row.line, row.code) for row in bad]

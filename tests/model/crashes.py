"""Cuts the connection of a load at a statement, as the server sees a process that is killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import AsyncCursor, sql


@dataclass
class _Countdown:
    number: int
    passed: int = 0


_COUNTDOWN: ContextVar[_Countdown | None] = ContextVar("countdown", default=None)


class Crashes:
    """Every statement of the process passes through here; most pass on at once.

    `at` counts the crashes by the number of the statement before which they came, `hit` by its
    first word.
    """

    def __init__(self, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: Counter[int] = Counter()
        self.hit: Counter[str] = Counter()
        self._killer = psycopg.connect(dsn, autocommit=True)
        execute, copy = AsyncCursor.execute, AsyncCursor.copy

        async def execute_or_crash(cursor: AsyncCursor[Any], *asked: Any, **options: Any) -> Any:
            self._count(cursor, asked[0])
            return await execute(cursor, *asked, **options)

        def copy_or_crash(cursor: AsyncCursor[Any], *asked: Any, **options: Any) -> Any:
            self._count(cursor, asked[0])
            return copy(cursor, *asked, **options)

        monkeypatch.setattr(AsyncCursor, "execute", execute_or_crash)
        monkeypatch.setattr(AsyncCursor, "copy", copy_or_crash)

    def close(self) -> None:
        """No connection is left."""
        self._killer.close()

    @contextmanager
    def before_statement(self, number: int) -> Iterator[None]:
        """What runs in this block loses its connection before its statement of that number, from
        0."""
        token = _COUNTDOWN.set(_Countdown(number))
        try:
            yield
        finally:
            _COUNTDOWN.reset(token)

    def _count(self, cursor: AsyncCursor[Any], statement: str | sql.Composable) -> None:
        countdown, text = _COUNTDOWN.get(), as_text(statement, cursor)
        # Without a word: how the pool looks whether a connection lives.
        if countdown is None or not text:
            return
        if countdown.passed == countdown.number:
            self.at[countdown.number] += 1
            self.hit[text.split(maxsplit=1)[0].lower()] += 1
            self._kill(cursor.connection.info.backend_pid)
        countdown.passed += 1

    def _kill(self, pid: int) -> None:
        # Without a time to wait: with one, Postgres looks again only after a tenth of a second.
        self._killer.execute("select pg_terminate_backend(%s)", [pid])


def as_text(statement: str | sql.Composable, cursor: AsyncCursor[Any]) -> str:
    """The statement as the server gets it."""
    if isinstance(statement, sql.Composable):
        statement = statement.as_string(cursor)
    return statement.strip()

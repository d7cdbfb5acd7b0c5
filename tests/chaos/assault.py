"""Kills services, restarts Postgres and cuts its connections, at random moments, by pid alone."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import psycopg

from tests.running_platform import RunningPlatform

_SERVICES: Final = ("router", "loader", "loader", "loader", "logger")
_CONNECT_SECONDS: Final = 2


@dataclass
class Assault:
    """Runs in a thread of its own from `start` to `stop`.

    Args:
        pause_seconds: the longest pause between two blows.
        postgres_restarts: at most so many.
    """

    platform: RunningPlatform
    seed: int
    pause_seconds: float
    postgres_restarts: int
    blows: Counter[str] = field(default_factory=Counter)
    longest_recovery_seconds: float = 0.0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._over = threading.Event()
        self._threads = ThreadPoolExecutor(max_workers=2)
        self._work: list[Future[None]] = []

    def start(self) -> None:
        """Begins."""
        self._work = [self._threads.submit(work) for work in (self._strike, self._watch)]

    def stop(self) -> None:
        """No further blow falls; raises what broke the assault itself, for then it was none."""
        self._over.set()
        self._threads.shutdown()
        for work in self._work:
            work.result()

    def _strike(self) -> None:
        while not self._over.wait(self._random.uniform(0.3, 1) * self.pause_seconds):
            blow = self._random.choices(
                [self._kill, self._cut_connections, self._restart_postgres], [10, 5, 2]
            )[0]
            with suppress(ProcessLookupError, psycopg.Error):
                blow()

    def _kill(self) -> None:
        pids = self.platform.pids(self._random.choice(_SERVICES))
        if pids:
            number = self._random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
            os.kill(self._random.choice(pids), number)
            self.blows[number.name] += 1

    def _cut_connections(self) -> None:
        with self._connected() as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'headrace-loader'"
            )
        self.blows["connections cut"] += 1

    def _restart_postgres(self) -> None:
        if self.blows["Postgres restarted"] >= self.postgres_restarts:
            return
        # SIGINT: fast shutdown; SIGQUIT: immediate, with crash recovery at the next start.
        number = self._random.choice([signal.SIGINT, signal.SIGQUIT])
        for pid in self.platform.pids("postgres"):
            os.kill(pid, number)
            self.blows["Postgres restarted"] += 1

    def _watch(self) -> None:
        """The longest time in which no drop came to an end in the ledger while files landed."""
        last_change, known = time.monotonic(), -1
        while not self._over.wait(0.2):
            with suppress(psycopg.Error), self._connected() as connection:
                row = connection.execute("select count(*) from headrace.ledger").fetchone()
                if row is not None and row[0] != known:
                    known, last_change = row[0], time.monotonic()
            self.longest_recovery_seconds = max(
                self.longest_recovery_seconds, time.monotonic() - last_change
            )

    def _connected(self) -> psycopg.Connection[tuple[int]]:
        return psycopg.connect(
            self.platform.stack.warehouse_dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS
        )

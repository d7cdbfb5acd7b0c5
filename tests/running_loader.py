"""A loader within the test's own process, on a real inbox, and a Postgres that comes and goes."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import sql

from headrace_loader.__main__ import build
from headrace_loader.files import Files
from headrace_loader.loading import Loading
from headrace_loader.settings import LoaderSettings
from headrace_local import postgres
from headrace_local.ports import free_port
from headrace_shared.facts import DropRouted
from headrace_shared.service import serve
from headrace_shared.testing.builders import an_envelope
from tests.real_parts import AwsStack, serving
from tests.road import Road

WITHIN_SECONDS = 90.0


class Server:
    """A Postgres that is started, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._cluster = postgres.prepare(folder, fsync=False)
        self._running = ExitStack()
        self.dsn = self._cluster.dsn(self._port)

    async def start(self) -> None:
        program = postgres.postgres(self._cluster, self._port, fsync=False)
        # SIGQUIT: every process of the server ends at once, as in a crash.
        abrupt = replace(program, stop_signal=signal.SIGQUIT)
        await asyncio.to_thread(self._running.enter_context, serving(abrupt, self._folder))

    async def kill(self) -> None:
        await asyncio.to_thread(self._running.close)


@dataclass
class RunningLoader:
    """What a test does to a loader, and sees of it."""

    aws: AwsStack
    road: Road
    inbox: str
    dead_letters: str
    task: asyncio.Task[None]

    def land(self, key: str, body: str) -> None:
        """A file lands, and the router's event is in the inbox."""
        self._send(self.road.land(key, body))

    async def contract(self, table: str, **changes: Any) -> None:
        """Applied when it returns."""
        self._send(self.road.land_contract(table, **changes))
        await until(lambda: self.count(table) == 0, f"{table} is made")

    def count(self, table: str) -> int | None:
        """The rows of a table; None where it is not there, or where the server is away."""
        query = sql.SQL("select count(*) from {}").format(sql.Identifier(*table.split(".")))
        with (
            suppress(psycopg.OperationalError, psycopg.errors.UndefinedTable),
            psycopg.connect(self.road.dsn, connect_timeout=5) as connection,
        ):
            row = connection.execute(query).fetchone()
            return int(row[0]) if row else None
        return None

    def messages(self, queue: str) -> int:
        answer = self.aws.clients.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
        counts = answer["Attributes"]
        waiting = int(counts["ApproximateNumberOfMessages"])
        return waiting + int(counts["ApproximateNumberOfMessagesNotVisible"])

    def _send(self, drop: Any) -> None:
        body = an_envelope(DropRouted(drop=drop))
        self.aws.clients.sqs.send_message(QueueUrl=self.inbox, MessageBody=body)


@asynccontextmanager
async def running_loader(
    aws: AwsStack, dsn: str, *, max_receives: int, **settings: Any
) -> AsyncIterator[RunningLoader]:
    """A loader that runs to the end of the block.

    Args:
        max_receives: after so many deliveries a message is a dead letter.
    """
    inbox, dead = aws.queue_url("loader"), aws.provisioned.dead_letter_queues["loader"]
    arn = aws.clients.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    redrive = {
        "deadLetterTargetArn": arn["Attributes"]["QueueArn"],
        "maxReceiveCount": max_receives,
    }
    aws.clients.sqs.set_queue_attributes(
        QueueUrl=inbox, Attributes={"RedrivePolicy": json.dumps(redrive)}
    )
    made = LoaderSettings(
        inbox_url=inbox,
        bus_name=aws.resources.bus,
        lake_bucket=aws.resources.bucket.name,
        quarantine_bucket=aws.resources.quarantine.name,
        warehouse_dsn=dsn,
        poll_seconds=1,
        grace_seconds=0,
        **settings,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(serve(made, partial(build, made), stop))
    road = Road(aws, cast("Files", None), cast("Loading", None), dsn)
    try:
        yield RunningLoader(aws, road, inbox, dead, task)
    finally:
        stop.set()
        await task


async def until(check: Callable[[], bool], what: str) -> None:
    """Returns when it is so; asks in a thread, so that the loader goes on."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while not await asyncio.to_thread(check):
        assert time.monotonic() < deadline, f"not within {WITHIN_SECONDS:g} s: {what}"
        await asyncio.sleep(0.1)

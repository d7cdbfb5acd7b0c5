"""How a service lives: signals, the loop's lag, protection, and an orderly end."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from itertools import count
from typing import Final

from headrace_shared import backoff
from headrace_shared.aws import AwsClients
from headrace_shared.bus import EventBridgeBus
from headrace_shared.errors import HeadraceError, TransientError
from headrace_shared.gate import Gate
from headrace_shared.inbox import Handler, InboxLoop, Limits, Publisher
from headrace_shared.liveness import Liveness
from headrace_shared.logging import configure, get_logger
from headrace_shared.settings import InboxSettings, ServiceSettings
from headrace_shared.sqs import SqsQueue
from headrace_shared.task_protection import protection

_log = get_logger(__name__)

_LAG_CHECK_SECONDS: Final = 1.0
_LAG_WARNING_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service builds its handler from; what it opens on the stack is closed at the end.

    `gate` is for a handler that may have more messages in hand than it can work on; `queue` is the
    inbox, for a handler that has to know whether something waits in it.
    """

    stack: AsyncExitStack
    clients: AwsClients
    bus: Publisher
    gate: Gate
    queue: SqsQueue


BuildHandler = Callable[[Parts], Awaitable[Handler]]


def run_service(name: str, settings: InboxSettings, build: BuildHandler) -> None:
    """Runs a service with an inbox until a signal ends it; its `__main__` is this call.

    Exit status 0 after SIGTERM or SIGINT, 1 when the service had to give its place up.
    """
    run_process(name, settings, lambda stop: serve(settings, build, stop))


def run_process(
    name: str, settings: ServiceSettings, work: Callable[[asyncio.Event], Awaitable[None]]
) -> None:
    """Runs a service's work until a signal ends it; the work is told by an event, and returns."""
    configure(name, settings)
    try:
        asyncio.run(_until_signal(work))
    except HeadraceError as error:
        sys.stderr.write(f"{name}: {error}\n")
        raise SystemExit(1) from error


async def _until_signal(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    await work(stop_on_signals())


async def serve(settings: InboxSettings, build: BuildHandler, stop: asyncio.Event) -> None:
    """Builds the handler and runs the loop until `stop` is set."""
    async with AsyncExitStack() as stack:
        # Every message under way may hold one connection, and its heartbeat another.
        clients = AwsClients(stack, connections=2 * settings.concurrency + 2)
        queue = SqsQueue(
            await clients.open("sqs", poll_seconds=settings.poll_seconds),
            settings.inbox_url,
            visibility_seconds=settings.visibility_seconds,
            poll_seconds=settings.poll_seconds,
        )
        bus = EventBridgeBus(await clients.open("events"), settings.bus_name)
        limits = Limits(
            concurrency=settings.concurrency,
            visibility_seconds=settings.visibility_seconds,
            grace_seconds=settings.grace_seconds,
            max_receives=await queue.max_receives(),
        )
        gate, liveness = Gate(), Liveness(settings.liveness_file)

        async def built(attempt: AsyncExitStack) -> Handler:
            own = AwsClients(attempt, connections=clients.connections)
            return await build(Parts(attempt, own, bus, gate, queue))

        handler = await patiently(built, stack, stop, liveness)
        if handler is None:
            return
        loop = InboxLoop(queue, bus, handler, limits, gate=gate, on_turn=liveness.touch)
        watch = asyncio.create_task(warn_of_lag())
        _log.info("service.started", pid=os.getpid(), concurrency=settings.concurrency)
        agent_uri = settings.ecs_agent_uri if settings.protect_tasks else None
        try:
            async with protection(agent_uri, lambda: loop.oldest_taken_at, stop):
                await loop.run(stop)
        finally:
            watch.cancel()
    _log.info("service.stopped")


async def patiently(
    build: Callable[[AsyncExitStack], Awaitable[Handler]],
    stack: AsyncExitStack,
    stop: asyncio.Event,
    liveness: Liveness,
) -> Handler | None:
    """Builds the handler, as often as it takes: what it needs may be away at the start.

    The process looks alive meanwhile, and each failed attempt closes what it had opened.

    Args:
        stack: closes what the attempt that succeeded has opened.

    Returns:
        None if `stop` was set first.
    """
    alive = asyncio.create_task(liveness.keep_touching())
    stopped = asyncio.create_task(stop.wait())
    attempts = count(1)
    try:
        while not stop.is_set():
            building = asyncio.create_task(_attempt(build, stack))
            await asyncio.wait({building, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not building.done():
                building.cancel()
                await asyncio.wait({building})
                break
            try:
                return building.result()
            except TransientError as error:
                await _pause_before_next(next(attempts), error, stopped)
        return None
    finally:
        alive.cancel()
        stopped.cancel()


async def _attempt(
    build: Callable[[AsyncExitStack], Awaitable[Handler]], stack: AsyncExitStack
) -> Handler:
    async with AsyncExitStack() as opened:
        handler = await build(opened)
        stack.push_async_exit(opened.pop_all())
    return handler


async def _pause_before_next(
    attempt: int, error: TransientError, stopped: asyncio.Task[bool]
) -> None:
    pause = backoff.probe(attempt, random.random())  # noqa: S311 - spreads the processes
    _log.warning(
        "service.start_postponed",
        error=str(error),
        attempt=attempt,
        retry_in_seconds=round(pause, 1),
    )
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(stopped), pause)


def stop_on_signals() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; the second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        _log.info("service.stopping", signal=signal.Signals(number).name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


async def warn_of_lag() -> None:
    """Says when something blocked the event loop: heartbeats come late then."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(_LAG_CHECK_SECONDS)
        lag = time.monotonic() - before - _LAG_CHECK_SECONDS
        if lag > _LAG_WARNING_SECONDS:
            _log.warning("loop.lagged", lag_ms=round(lag * 1000))

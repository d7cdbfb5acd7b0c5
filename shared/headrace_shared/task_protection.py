"""Keeps ECS from scaling this task in while a message is long in hand.

Scaling in, and a deployment, end a task that is not protected: its work has the grace period, and
a longer load begins anew elsewhere. A protected task is left alone until it says that it is free.
It counts how long a single message is in hand, not whether there are any: a task that short
messages keep busy all day drains in a second, and must not hold a deployment up.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, Protocol

import aiohttp

from headrace_shared.errors import TransientError
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

PROTECT_AFTER_SECONDS: Final = 5.0
RELEASE_AFTER_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 1.0

EXPIRES_MINUTES: Final = 30
"""A task that dies without a word is free after this."""

RENEW_AFTER_SECONDS: Final = EXPIRES_MINUTES * 60 / 3

_PATH: Final = "task-protection/v1/state"
_ANSWER_SECONDS: Final = 6.0


class Ask(Enum):
    """What the agent is to be asked for."""

    PROTECT = "protect"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the agent was asked for; moments of a monotonic clock, in seconds.

    `asked_at`: when protection was last asked for, whether the agent took it or not, unless it was
    given back since; `taken_at`: when the agent last took it; `refused_at`: when it did not do
    what it was asked last; `needed_at`: when protection was last needed.
    """

    asked_at: float | None = None
    taken_at: float | None = None
    refused_at: float | None = None
    needed_at: float = float("-inf")


def is_needed(now: float, oldest_taken_at: float | None) -> bool:
    """Whether a message has been in hand for so long that its work should not be lost."""
    return oldest_taken_at is not None and now - oldest_taken_at >= PROTECT_AFTER_SECONDS


def seen(now: float, oldest_taken_at: float | None, standing: Standing) -> Standing:
    """How things stand with what is in hand now."""
    return replace(standing, needed_at=now) if is_needed(now, oldest_taken_at) else standing


def decide(now: float, oldest_taken_at: float | None, standing: Standing) -> Ask | None:
    """What to ask for now; None: nothing."""
    if standing.refused_at is not None and now - standing.refused_at < RETRY_SECONDS:
        return None
    if is_needed(now, oldest_taken_at):
        due = standing.taken_at is None or now - standing.taken_at >= RENEW_AFTER_SECONDS
        return Ask.PROTECT if due else None
    idle = now - standing.needed_at >= RELEASE_AFTER_SECONDS
    held = standing.asked_at is not None and now - standing.asked_at < EXPIRES_MINUTES * 60
    return Ask.RELEASE if held and idle else None


def after(ask: Ask, now: float, standing: Standing, *, taken: bool) -> Standing:
    """How things stand after the agent was asked; `taken`: it said that it did so."""
    refused_at = None if taken else now
    if ask is Ask.PROTECT:
        taken_at = now if taken else standing.taken_at
        return replace(standing, asked_at=now, taken_at=taken_at, refused_at=refused_at)
    # A release that seems refused may have been heard: what was protected is so no longer.
    asked_at = None if taken else standing.asked_at
    return replace(standing, asked_at=asked_at, taken_at=None, refused_at=refused_at)


class Agent(Protocol):
    """Who can protect this task."""

    async def ask(self, ask: Ask) -> None:
        """Returns when it is so; raises TransientError where the agent does not say so."""


class EcsAgent:
    """The task's own ECS agent, over HTTP.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
    """

    def __init__(self, session: aiohttp.ClientSession, uri: str) -> None:
        self._session = session
        self._url = f"{uri.rstrip('/')}/{_PATH}"

    async def ask(self, ask: Ask) -> None:
        """Returns when it is so; raises TransientError where the agent does not say so."""
        asked: dict[str, Any] = {"ProtectionEnabled": ask is Ask.PROTECT}
        if ask is Ask.PROTECT:
            asked["ExpiresInMinutes"] = EXPIRES_MINUTES
        try:
            async with self._session.put(self._url, json=asked) as answer:
                status, text = answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"the ECS agent: {type(error).__name__} {error}") from error
        refusal = _refusal(status, text)
        if refusal is not None:
            raise TransientError(f"the ECS agent: {refusal}")


def _refusal(status: int, text: str) -> str | None:
    """Why an answer is no consent; None if it is. A failure comes with status 200, too."""
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return f"HTTP {status}, and no answer that can be read"
    match told:
        case {"failure": {"Reason": reason, **more}}:
            return f"{reason} {more.get('Detail') or ''}".strip()
        case {"error": {"Code": code, **more}}:
            return f"{code} {more.get('Message') or ''}".strip()
        case {"protection": dict()} if status == 200:
            return None
    return f"HTTP {status}, and no word about the protection"


class Guard:
    """Watches the work and asks the agent; what the agent says never bears on the work.

    Args:
        oldest_taken_at: when the message longest in hand was taken, by the same clock; None: no
            work.
        clock, sleep: for tests, which bring their own time.
    """

    def __init__(
        self,
        agent: Agent,
        oldest_taken_at: Callable[[], float | None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._agent = agent
        self._oldest_taken_at = oldest_taken_at
        self._clock = clock
        self._sleep = sleep
        self._standing = Standing()
        self._fails = False

    async def run(self, stop: asyncio.Event) -> None:
        """Looks again and again until `stop` is set, and then gives the protection back."""
        stopped = asyncio.create_task(stop.wait())
        while not stop.is_set():
            await self._look()
            nap = asyncio.ensure_future(self._sleep(LOOK_SECONDS))
            await asyncio.wait({nap, stopped}, return_when=asyncio.FIRST_COMPLETED)
            nap.cancel()
        if self._standing.asked_at is not None:
            await self._ask(Ask.RELEASE)

    async def _look(self) -> None:
        now, oldest = self._clock(), self._oldest_taken_at()
        self._standing = seen(now, oldest, self._standing)
        ask = decide(now, oldest, self._standing)
        if ask is not None:
            await self._ask(ask)

    async def _ask(self, ask: Ask) -> None:
        taken = True
        try:
            await self._agent.ask(ask)
        except Exception as error:  # noqa: BLE001 - whatever it is, the work goes on unprotected
            taken = False
            if not self._fails:
                _log.warning("protection.failed", asked=ask.value, error=str(error))
        self._fails = not taken
        self._standing = after(ask, self._clock(), self._standing, taken=taken)


@asynccontextmanager
async def protection(
    agent_uri: str | None, oldest_taken_at: Callable[[], float | None], stop: asyncio.Event
) -> AsyncIterator[None]:
    """Guards the work that goes on within; does nothing where there is no agent."""
    if agent_uri is None:
        yield
        return
    limit = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=limit) as session:
        guard = asyncio.create_task(Guard(EcsAgent(session, agent_uri), oldest_taken_at).run(stop))
        try:
            yield
        finally:
            if not stop.is_set():
                guard.cancel()
            with suppress(asyncio.CancelledError):
                await guard

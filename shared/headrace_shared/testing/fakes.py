"""In-memory parts that keep the promises of the real ones: an inbox and a bus."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace_shared.errors import TransientError
from headrace_shared.facts import Fact
from headrace_shared.inbox import Message
from headrace_shared.testing.clock import FakeClock

_NO_TIME_SECONDS = 1e-6


@dataclass
class Stored:
    """A message in the fake queue."""

    body: str
    visible_at: float = 0.0
    receives: int = 0


@dataclass
class FakeQueue:
    """An `inbox.Queue` with SQS's rules: visibility, receive counts, a dead-letter queue.

    `record` holds every call in its order; `failing` names the calls that raise TransientError.
    """

    clock: FakeClock
    visibility_seconds: float = 30.0
    poll_seconds: float = 20.0
    max_receives: int | None = None
    messages: dict[str, Stored] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    record: list[tuple[str, str, float | None]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)

    def send(self, *bodies: str) -> None:
        """Puts messages into the queue; each is named by its body."""
        for body in bodies:
            self.messages[body] = Stored(body)

    async def receive(self, limit: int) -> Sequence[Message]:
        """One long poll on the fake clock."""
        self.asked.append(limit)
        self._fail("receive")
        deadline = self.clock.now + self.poll_seconds
        while not self._visible() and (left := deadline - self.clock.now) > _NO_TIME_SECONDS:
            await self.clock.sleep(min(1.0, left))
        return [self._deliver(name) for name in self._visible()[:limit]]

    async def delete(self, message: Message) -> None:
        """The message is gone."""
        await asyncio.sleep(0)
        self._fail("delete")
        self.record.append(("delete", message.message_id, None))
        self.messages.pop(message.message_id, None)

    async def hide(self, message: Message, seconds: float) -> None:
        """The message is away for so long."""
        await asyncio.sleep(0)
        self._fail("hide")
        self.record.append(("hide", message.message_id, seconds))
        if message.message_id in self.messages:
            self.messages[message.message_id].visible_at = self.clock.now + seconds

    def _visible(self) -> list[str]:
        for name, stored in list(self.messages.items()):
            spent = self.max_receives is not None and stored.receives >= self.max_receives
            if spent and stored.visible_at <= self.clock.now:
                del self.messages[name]
                self.dead.append(name)
        return [name for name, one in self.messages.items() if one.visible_at <= self.clock.now]

    def _deliver(self, name: str) -> Message:
        stored = self.messages[name]
        stored.receives += 1
        stored.visible_at = self.clock.now + self.visibility_seconds
        return Message(name, stored.body, f"{name}-{stored.receives}", stored.receives)

    def _fail(self, call: str) -> None:
        if call in self.failing:
            raise TransientError(f"{call} fails")


@dataclass
class FakeBus:
    """An `inbox.Publisher` that remembers; `failing` makes it refuse."""

    published: list[Fact] = field(default_factory=list)
    failing: bool = False

    async def publish(self, facts: Sequence[Fact]) -> None:
        """Remembers the facts."""
        await asyncio.sleep(0)
        if self.failing:
            raise TransientError("the bus fails")
        self.published.extend(facts)

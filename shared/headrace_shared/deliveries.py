"""What the inbox loop works with: messages, a queue, a bus, a handler, and the loop's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from headrace_shared.facts import Fact, now


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery. `receive_count` counts deliveries of the message from 1, this one included;
    `sent_at` is when the message came into the queue."""

    message_id: str
    body: str
    receipt: str
    receive_count: int
    sent_at: datetime = field(default_factory=now, compare=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """A try that did not end well. `final`: the next delivery goes to the dead-letter queue."""

    error: Exception
    attempt: int
    final: bool
    retry_in_seconds: float


class Queue(Protocol):
    """The inbox. Its methods raise TransientError when the queue cannot be reached."""

    async def receive(self, limit: int) -> Sequence[Message]:
        """Waits for messages, one long poll at most; `limit`: the most that it answers with."""

    async def delete(self, message: Message) -> None:
        """The message is done."""

    async def hide(self, message: Message, seconds: float) -> None:
        """No consumer sees the message for so long; 0 hands it back at once."""


class Publisher(Protocol):
    """The bus."""

    async def publish(self, facts: Sequence[Fact]) -> None:
        """Returns when the bus has accepted every fact; raises TransientError otherwise."""


class Handler(Protocol):
    """What a service does with one message."""

    async def handle(self, message: Message) -> Sequence[Fact]:
        """Does the work and returns what happened. Must bear repeated and reordered messages."""

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:
        """The facts about a failed try, if the log has to know of it.

        With a `PermanentError` there is no further try: the facts hold the final state.
        """


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of the loop, in seconds where not said otherwise.

    `max_receives` is the queue's own redrive limit; None where the queue has no dead-letter queue.
    """

    concurrency: int
    visibility_seconds: float
    grace_seconds: float
    max_receives: int | None

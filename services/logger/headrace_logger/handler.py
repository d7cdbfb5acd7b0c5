"""Joins the logger's parts: a fact in, the log brought up to date."""

from __future__ import annotations

from collections.abc import Sequence

from headrace_logger.gathering import GatheredUpdates, Log
from headrace_logger.measures import measures
from headrace_logger.progress import InHand
from headrace_logger.states import update_for
from headrace_shared.facts import Fact, LoadSucceeded, decode, now
from headrace_shared.inbox import Failure, Message
from headrace_shared.logging import bind_drop, get_logger

_log = get_logger(__name__)


class LoggerHandler:
    """Writes one fact; repeats and late ones are harmless. It publishes nothing itself."""

    def __init__(self, log: Log, *, expiry_days: int, writes: int = 16) -> None:
        self._table = log
        self._updates = GatheredUpdates(log, writes=writes)
        self._expiry_days = expiry_days
        self.in_hand = InHand()

    async def handle(self, message: Message) -> Sequence[Fact]:
        """One event, one conditional update at most; and one of the drop that this one corrects."""
        with self.in_hand.holding(message.sent_at):
            return await self._handle(message)

    async def _handle(self, message: Message) -> Sequence[Fact]:
        fact = decode(message.body)
        bind_drop(fact.drop)
        update = update_for(fact, expiry_days=self._expiry_days)
        written = await self._updates.write(update)
        corrected = fact.drop.corrects
        if corrected is not None and isinstance(fact, LoadSucceeded):
            await self._table.link(corrected, fact.drop.drop_id)
        _log.info(
            "log.updated" if written.moved else "log.unchanged",
            fact=fact.detail_type,
            state=update.attributes["state"],
            lag_ms=max(0, round((now() - message.sent_at).total_seconds() * 1000)),
            **(measures(fact, update, written.before) if written.moved else {}),
        )
        return []

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:  # noqa: ARG002
        """Nothing to tell: the fact itself stays in the queue, and at last in its dead letters."""
        return []

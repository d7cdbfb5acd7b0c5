"""Reads keys in DynamoDB, and remembers them for a moment: a revoked key stops within 30 s.

Who guesses ids costs next to nothing: an unknown id is remembered too, and only so many ids that
were never seen are looked up in a second, whoever asks.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from headrace_api.callers import Caller
from headrace_api.keys import UNKNOWN, Refusal, judge
from headrace_api.problems import too_many, unauthorized
from headrace_api.rate_limits import RateLimits
from headrace_shared.api_keys import KEY_ID, LAST_USED, ApiKey, key_of, parse, written
from headrace_shared.aws import transient_aws_errors
from headrace_shared.logging import get_logger

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

_log = get_logger(__name__)

FRESH_SECONDS: Final = 20.0
_MOST_REMEMBERED: Final = 10_000
_USES_WRITTEN_EVERY_SECONDS: Final = 60.0
_GUESSES_PER_SECOND: Final = 20.0
_GUESSES_AT_ONCE: Final = 200


@dataclass(slots=True)
class _Remembered:
    kept: ApiKey | None
    read_at: float
    use_written_at: float = -_USES_WRITTEN_EVERY_SECONDS


class KeyStore:
    """Raises TransientError when the table cannot be reached.

    Args:
        clock: monotonic seconds.
    """

    def __init__(
        self, client: DynamoDBClient, table: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._guesses = RateLimits(_GUESSES_PER_SECOND, _GUESSES_AT_ONCE, clock)
        self._writing: set[asyncio.Task[None]] = set()

    async def caller(self, token: str) -> Caller:
        """Who shows that key; raises ApiError (401, 429) where it does not count."""
        parsed = parse(token)
        if parsed is None:
            raise unauthorized(UNKNOWN)
        key_id, secret = parsed
        found = await self._find(key_id)
        judged = judge(secret, found.kept, datetime.now(UTC))
        if isinstance(judged, Refusal):
            raise unauthorized(judged)
        self._note_use(key_id, found)
        return judged

    async def settle(self) -> None:
        """Waits for the uses that are being written."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def _find(self, key_id: str) -> _Remembered:
        known = self._remembered.get(key_id)
        if known is not None and self._clock() - known.read_at < FRESH_SECONDS:
            return known
        if known is None or known.kept is None:
            self._count_guess()
        kept = await self._read(key_id)
        # Another request may have read it meanwhile; its uses must not be forgotten.
        found = self._remembered.pop(key_id, None) or _Remembered(kept, 0.0)
        found.kept, found.read_at = kept, self._clock()
        self._remembered[key_id] = found
        self._forget_one()
        return found

    def _count_guess(self) -> None:
        left = self._guesses.take("all")
        if left is not None and not left.allowed:
            raise too_many("Too many keys that are not known were tried", left.wait_seconds)

    def _forget_one(self) -> None:
        """An unknown id, as long as there is one: guesses must not push out who is known."""
        if len(self._remembered) <= _MOST_REMEMBERED:
            return
        unknown = (key_id for key_id, one in self._remembered.items() if one.kept is None)
        self._remembered.pop(next(unknown, next(iter(self._remembered))))

    async def _read(self, key_id: str) -> ApiKey | None:
        with transient_aws_errors("the keys"):
            answer = await self._client.get_item(
                TableName=self._table, Key={KEY_ID: {"S": key_id}}, ConsistentRead=True
            )
        item = answer.get("Item")
        return key_of(item) if item else None

    def _note_use(self, key_id: str, found: _Remembered) -> None:
        now = self._clock()
        if now - found.use_written_at < _USES_WRITTEN_EVERY_SECONDS:
            return
        found.use_written_at = now
        task = asyncio.create_task(self._write_use(key_id))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_use(self, key_id: str) -> None:
        """Never fails: that a key was used is told for order's sake."""
        try:
            await self._client.update_item(
                TableName=self._table,
                Key={KEY_ID: {"S": key_id}},
                UpdateExpression="SET #used = :now",
                # DynamoDB may have removed it as expired: it must not come back as a stump.
                ConditionExpression="attribute_exists(#id)",
                ExpressionAttributeNames={"#used": LAST_USED, "#id": KEY_ID},
                ExpressionAttributeValues={":now": {"S": written(datetime.now(UTC))}},
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, requests go on
            _log.warning("key.use_unrecorded", key_id=key_id, error=str(error))

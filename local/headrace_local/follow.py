"""From the upload to the end state: asks the API what became of each object.

A drop is recognised by its bucket, key and etag, and by its version id where both sides know one
(the emulator's events carry none). The same bytes dropped twice at one key are told apart by what
the log held before the upload.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from headrace_local.api_client import PAGE_LIMIT, ApiUnreachableError, DropItem
from headrace_local.destination import Planned
from headrace_local.errors import CommandError
from headrace_local.upload import Landed

FIRST_PAUSE_SECONDS: Final = 0.05
LAST_PAUSE_SECONDS: Final = 1.0
_PAUSE_GROWTH: Final = 1.2
"""So that an end is seen at most a fifth later than it came."""

_ASKED_ONE_BY_ONE: Final = 8
"""Up to so many drops, one request each is cheaper for the log than a listing over all tables."""

_ASKED_IN_A_LOOK: Final = 50
"""Drops that run again may have landed at any time, so each is asked for by its id."""


class DropsApi(Protocol):
    """What following needs of the API."""

    def drops(
        self,
        *,
        landed_from: datetime | None = None,
        landed_to: datetime | None = None,
        table: tuple[str, str] | None = None,
        limit: int = PAGE_LIMIT,
    ) -> Iterable[DropItem]:
        """The drops that landed since then, newest first."""

    def drop(self, drop_id: UUID) -> DropItem:
        """One drop."""


@dataclass(eq=False)
class Journey:
    """One file on its way: what is known of it so far."""

    planned: Planned
    sent_bytes: int = 0
    landed: Landed | None = None
    landed_clock: float = 0.0
    item: DropItem | None = None
    trouble: CommandError | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self.trouble is not None or (self.item is not None and self.item.ended)

    @property
    def loaded(self) -> bool:
        """Whether it came to the one good end."""
        return self.item is not None and self.item.state == "loaded"

    def note(self, count: int) -> None:
        """So many more bytes were sent."""
        self.sent_bytes += count

    def arrived(self, landed: Landed) -> None:
        """S3 has the object."""
        self.landed, self.landed_clock = landed, time.monotonic()


def is_drop_of(item: DropItem, landed: Landed) -> bool:
    """Whether a drop in the log is the object that was uploaded."""
    same = (item.bucket, item.key, item.etag) == (landed.bucket, landed.key, landed.etag)
    versions = {item.version_id, landed.version_id} - {None}
    return same and len(versions) < 2


@dataclass
class Follower:
    """Brings journeys up to date, one look at a time.

    Args:
        landed_from: a moment, by S3's clock, before the first upload.
        known: the drops that the log held before; none of them is ours.
    """

    api: DropsApi
    landed_from: datetime
    known: frozenset[UUID]
    unreachable: ApiUnreachableError | None = field(default=None, init=False)

    @classmethod
    def before_upload(cls, api: DropsApi, landed_from: datetime) -> Follower:
        """Made before anything is uploaded, which also shows whether the API answers."""
        known = frozenset(item.drop_id for item in api.drops(landed_from=landed_from))
        return cls(api, landed_from, known)

    def look(self, journeys: Sequence[Journey]) -> bool:
        """Asks once for the journeys that have landed and not ended; whether anything is new.

        An API that does not answer is remembered in `unreachable` until it does.
        """
        before = [(journey.item and journey.item.state) for journey in journeys]
        try:
            self._look(journeys)
        except ApiUnreachableError as error:
            self.unreachable = error
        else:
            self.unreachable = None
        return before != [(journey.item and journey.item.state) for journey in journeys]

    def _look(self, journeys: Sequence[Journey]) -> None:
        asked = [journey for journey in journeys if journey.landed and not journey.ended]
        unseen = [journey for journey in asked if journey.item is None]
        if len(asked) - len(unseen) > _ASKED_ONE_BY_ONE:
            self._list(asked)
            return
        if unseen:
            self._list(unseen)
        for journey in asked:
            if journey not in unseen and journey.item is not None:
                journey.item = self.api.drop(journey.item.drop_id)

    def _list(self, wanted: Sequence[Journey]) -> None:
        """Reads the log backwards until every wanted drop was met, or the first upload's time."""
        missing = {journey.planned.key: journey for journey in wanted}
        tables = {journey.planned.table for journey in wanted}
        for item in self.api.drops(
            landed_from=self.landed_from,
            table=tables.pop() if len(tables) == 1 else None,
            limit=min(PAGE_LIMIT, 2 * len(wanted) + 10),
        ):
            if item.drop_id in self.known:
                continue
            journey = missing.get(item.key)
            if journey is None or not _is_of(item, journey):
                continue
            journey.item = item
            del missing[item.key]
            if not missing:
                return


def _is_of(item: DropItem, journey: Journey) -> bool:
    """Once met, a drop is known by its id; before, by what S3 answered."""
    if journey.item is not None:
        return journey.item.drop_id == item.drop_id
    return journey.landed is not None and is_drop_of(item, journey.landed)


@dataclass
class RunFollower:
    """Brings drops up to date that somebody asked to run again.

    Their journeys begin with an item that bears the run that was asked for; what the log still
    holds of an earlier run is no news of this one.
    """

    api: DropsApi
    unreachable: ApiUnreachableError | None = field(default=None, init=False)
    _turn: int = field(default=0, init=False)

    def look(self, journeys: Sequence[Journey]) -> bool:
        """Asks for those that have not ended, in turn where they are many; whether anything is
        new. An API that does not answer is remembered in `unreachable` until it does.

        Raises:
            CommandError: a drop has left the log.
        """
        going = [journey for journey in journeys if not journey.ended]
        start = self._turn % len(going) if going else 0
        self._turn += _ASKED_IN_A_LOOK
        anything_new = False
        try:
            for journey in (going[start:] + going[:start])[:_ASKED_IN_A_LOOK]:
                anything_new |= self._refresh(journey)
        except ApiUnreachableError as error:
            self.unreachable = error
        else:
            self.unreachable = None
        return anything_new

    def _refresh(self, journey: Journey) -> bool:
        known = journey.item
        assert known is not None
        found = self.api.drop(known.drop_id)
        if found.run < known.run:
            return False
        journey.item = found
        return found.state != known.state


class Pace:
    """How long to wait between two looks: shorter while things happen."""

    def __init__(self) -> None:
        self._seconds = FIRST_PAUSE_SECONDS

    def pause(self, *, anything_new: bool, look_seconds: float) -> float:
        """Seconds until the next look; never asks more than a third of the time."""
        if anything_new:
            self._seconds = FIRST_PAUSE_SECONDS
        else:
            self._seconds = min(LAST_PAUSE_SECONDS, self._seconds * _PAUSE_GROWTH)
        return max(self._seconds, 2 * look_seconds)

"""A dropped file is found in the log, and only that one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from headrace_local.api_client import PAGE_LIMIT, ApiUnreachableError, DropItem
from headrace_local.destination import Planned
from headrace_local.errors import PlatformError
from headrace_local.follow import LAST_PAUSE_SECONDS, Follower, Journey, Pace, is_drop_of
from headrace_local.journeys import Travel
from headrace_local.upload import Landed, Uploader
from headrace_local.upload_source import UploadStopped
from headrace_shared.log_schema import State

MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def an_item(key: str = "dev/append/t/a.csv", **changes: Any) -> DropItem:
    facts: dict[str, Any] = {
        "drop_id": uuid4(),
        "bucket": "lake",
        "key": key,
        "etag": "e1",
        "state": State.LOADED,
        "landed_timestamp": MOMENT,
    }
    return DropItem.model_validate(facts | changes)


def a_landing(key: str = "dev/append/t/a.csv", **changes: Any) -> Landed:
    facts: dict[str, Any] = {
        "bucket": "lake",
        "key": key,
        "etag": "e1",
        "version_id": None,
        "size_bytes": 4,
    }
    return Landed(**(facts | changes))


def a_journey(key: str = "dev/append/t/a.csv") -> Journey:
    journey = Journey(Planned("a.csv", key, 4))
    journey.arrived(a_landing(key))
    return journey


@dataclass
class FakeApi:
    items: list[DropItem] = field(default_factory=list)
    down: bool = False
    listed: list[tuple[str, str] | None] = field(default_factory=list)

    def drops(
        self,
        *,
        landed_from: datetime | None = None,
        landed_to: datetime | None = None,
        table: tuple[str, str] | None = None,
        limit: int = PAGE_LIMIT,
    ) -> Iterable[DropItem]:
        if self.down:
            raise ApiUnreachableError("The API does not answer.", "http://here", "Wait.")
        self.listed.append(table)
        return list(reversed(self.items))

    def drop(self, drop_id: UUID) -> DropItem:
        return next(item for item in self.items if item.drop_id == drop_id)

    def becomes(self, drop_id: UUID, state: State) -> None:
        self.items = [
            item.model_copy(update={"state": state}) if item.drop_id == drop_id else item
            for item in self.items
        ]


@pytest.mark.parametrize(
    ("changes", "is_ours"),
    [
        ({}, True),
        ({"version_id": "v1"}, True),
        ({"version_id": "v2"}, False),
        ({"etag": "e2"}, False),
        ({"bucket": "sea"}, False),
        ({"key": "dev/append/t/b.csv"}, False),
    ],
)
def test_drop_is_recognised_by_key_etag_and_version(changes: dict[str, str], is_ours: bool) -> None:
    assert is_drop_of(an_item(**changes), a_landing(version_id="v1")) is is_ours


def test_version_that_the_upload_does_not_know_is_no_obstacle() -> None:
    assert is_drop_of(an_item(version_id="v1"), a_landing(version_id=None))


def test_same_bytes_dropped_before_are_not_taken_for_ours() -> None:
    api = FakeApi([an_item()])
    follower, journey = Follower.before_upload(api, MOMENT), a_journey()
    assert follower.look([journey]) is False

    ours = an_item(state=State.ROUTED)
    api.items.append(ours)
    assert follower.look([journey]) is True
    assert journey.item == ours


def test_known_drop_is_followed_by_its_id_to_its_end() -> None:
    api = FakeApi()
    follower, journey = Follower.before_upload(api, MOMENT), a_journey()
    ours = an_item(state=State.LOADING)
    api.items.append(ours)
    follower.look([journey])
    assert journey.item == ours

    api.becomes(ours.drop_id, State.REJECTED)
    follower.look([journey])
    assert journey.ended
    assert not journey.loaded
    assert api.listed == [None, ("dev", "t")]


def test_drops_of_several_tables_are_asked_for_over_all_tables() -> None:
    api = FakeApi()
    follower = Follower.before_upload(api, MOMENT)
    journeys = [a_journey("dev/append/t/a.csv"), a_journey("dev/append/u/a.csv")]
    api.items = [an_item(journey.planned.key) for journey in journeys]
    follower.look(journeys)
    assert all(journey.loaded for journey in journeys)
    assert api.listed[-1] is None


def test_many_drops_under_way_cost_one_request_a_look() -> None:
    api = FakeApi()
    follower = Follower.before_upload(api, MOMENT)
    journeys = [a_journey(f"dev/append/t/{number}.csv") for number in range(20)]
    api.items = [an_item(journey.planned.key, state=State.LOADING) for journey in journeys]
    follower.look(journeys)
    api.items = [item.model_copy(update={"state": State.LOADED}) for item in api.items]
    asked = len(api.listed)
    follower.look(journeys)
    assert all(journey.loaded for journey in journeys)
    assert len(api.listed) == asked + 1


def test_api_that_is_away_for_a_moment_is_asked_again() -> None:
    api = FakeApi()
    follower, journey = Follower.before_upload(api, MOMENT), a_journey()
    api.items.append(an_item())
    api.down = True
    assert follower.look([journey]) is False
    assert follower.unreachable is not None
    api.down = False
    assert follower.look([journey]) is True
    assert follower.unreachable is None


def test_pace_slows_down_to_its_limit_and_wakes_up_with_news() -> None:
    pace = Pace()
    pauses = [pace.pause(anything_new=False, look_seconds=0.0) for _ in range(20)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_PAUSE_SECONDS
    assert pace.pause(anything_new=True, look_seconds=0.0) < 0.1


def test_pace_asks_a_slow_api_at_most_a_third_of_the_time() -> None:
    assert Pace().pause(anything_new=True, look_seconds=2.0) >= 4.0


class FakeUploader:
    """Takes a file into the lake, and the log hears of it at once in `state`."""

    def __init__(self, api: FakeApi, state: State = State.LOADED) -> None:
        self._api, self._state = api, state
        self.trouble: Exception | None = None

    def upload(self, planned: Planned, on_bytes: Callable[[int], None]) -> Landed:
        if self.trouble is not None:
            raise self.trouble
        on_bytes(planned.size_bytes or 0)
        self._api.items.append(an_item(planned.key, state=self._state))
        return a_landing(planned.key)


class Seen:
    def __init__(self) -> None:
        self.states: list[str | None] = []

    def update(self, journeys: Sequence[Journey]) -> None:
        self.states.append(journeys[0].item.state if journeys[0].item else None)


def a_travel(
    api: FakeApi, uploader: FakeUploader, *, patience_seconds: float = 30, **options: Any
) -> Travel:
    return Travel(
        cast("Uploader", uploader),
        Follower.before_upload(api, MOMENT),
        Seen(),
        threading.Event(),
        patience_seconds=patience_seconds,
        **options,
    )


def test_travel_ends_when_every_drop_has() -> None:
    api = FakeApi()
    journeys = [Journey(Planned("a", f"dev/append/t/{name}.csv", 4)) for name in "abcdefgh"]
    a_travel(api, FakeUploader(api)).run(journeys)
    assert all(journey.loaded for journey in journeys)
    assert [journey.sent_bytes for journey in journeys] == [4] * 8


def test_travel_ends_with_its_patience() -> None:
    api = FakeApi()
    journey = Journey(Planned("a", "dev/append/t/a.csv", 4))
    a_travel(api, FakeUploader(api, State.LOADING), patience_seconds=0.1).run([journey])
    assert not journey.ended
    assert journey.item is not None


def test_travel_until_waiting_leaves_a_waiting_drop_and_takes_it_up_again() -> None:
    api = FakeApi()
    journey = Journey(Planned("a", "dev/append/t/a.csv", 4))
    a_travel(api, FakeUploader(api, State.WAITING), until_waiting=True).run([journey])
    assert journey.item is not None
    assert journey.item.state is State.WAITING

    api.becomes(journey.item.drop_id, State.LOADED)
    travel = Travel(
        cast("Uploader", FakeUploader(api)),
        Follower(api, MOMENT, frozenset()),
        Seen(),
        threading.Event(),
        patience_seconds=30,
    )
    travel.follow([journey])
    assert journey.loaded


def test_failed_upload_is_the_journeys_trouble_and_harms_no_other() -> None:
    api = FakeApi()
    uploader = FakeUploader(api)
    uploader.trouble = PlatformError("The upload failed.", "s3://lake", "Try again.")
    journey = Journey(Planned("a", "dev/append/t/a.csv", 4))
    a_travel(api, uploader).run([journey])
    assert journey.trouble is uploader.trouble
    assert journey.ended
    assert not journey.loaded


def test_stopped_upload_is_no_trouble() -> None:
    api = FakeApi()
    uploader = FakeUploader(api)
    uploader.trouble = UploadStopped()
    journey = Journey(Planned("a", "dev/append/t/a.csv", 4))
    a_travel(api, uploader, patience_seconds=0.1).run([journey])
    assert journey.trouble is None
    assert journey.landed is None

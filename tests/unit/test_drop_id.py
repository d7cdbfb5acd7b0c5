"""A drop id is identity and order: laws of the value everything hangs on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace_shared.drop import Drop, drop_id, drop_id_bounds, landing_time
from headrace_shared.log_schema import RECENT_SHARDS, recent_partition, recent_partitions
from headrace_shared.testing.builders import a_drop

moments = st.integers(86_400, 2**32 - 10_000).map(
    lambda seconds: datetime.fromtimestamp(seconds + 0.25, UTC)
)
sequencers = st.text("0123456789ABCDEF", min_size=16, max_size=18)
texts = st.text(min_size=1, max_size=50)


def an_id(moment: datetime, sequencer: str | None = None, key: str = "k") -> UUID:
    return drop_id(
        landed_at=moment, sequencer=sequencer, bucket="b", key=key, version_id=None, etag="e"
    )


@given(moments, sequencers, texts)
def test_same_event_gives_same_id(moment: datetime, sequencer: str, key: str) -> None:
    assert an_id(moment, sequencer, key) == an_id(moment, sequencer, key)


@given(moments, sequencers, texts)
def test_id_is_a_version_8_uuid_that_carries_its_landing_second(
    moment: datetime, sequencer: str, key: str
) -> None:
    made = an_id(moment, sequencer, key)
    assert made.version == 8
    assert landing_time(made) == moment.replace(microsecond=0)


@given(moments, moments, sequencers, sequencers)
def test_earlier_second_comes_first_whatever_the_sequencer(
    one: datetime, other: datetime, first: str, second: str
) -> None:
    if one.replace(microsecond=0) < other.replace(microsecond=0):
        assert an_id(one, first) < an_id(other, second)


@given(moments, sequencers, sequencers, texts)
def test_within_a_second_the_padded_sequencer_decides(
    moment: datetime, first: str, second: str, key: str
) -> None:
    # The leading digits say the second again, which two versions of one second share.
    first, second = "006B00" + first[6:], "006B00" + second[6:]
    padded = first.ljust(18, "0"), second.ljust(18, "0")
    if padded[0] < padded[1]:
        assert an_id(moment, first, key) < an_id(moment, second, key)


@given(moments, moments, texts)
def test_order_of_texts_of_bytes_and_of_numbers_is_one(
    one: datetime, other: datetime, key: str
) -> None:
    a, b = an_id(one, key=key), an_id(other, key=key)
    assert (str(a) < str(b)) == (a.bytes < b.bytes) == (a.int < b.int)


@given(moments, sequencers, texts, st.integers(0, 1000))
def test_bounds_hold_exactly_the_ids_of_their_seconds(
    moment: datetime, sequencer: str, key: str, seconds: int
) -> None:
    low, high = drop_id_bounds(moment, moment + timedelta(seconds=seconds))
    assert low <= an_id(moment, sequencer, key) <= high
    assert an_id(moment - timedelta(seconds=1), sequencer, key) < low
    assert an_id(moment + timedelta(seconds=seconds + 1), sequencer, key) > high


def test_other_version_of_a_key_is_another_drop() -> None:
    moment = datetime(2026, 11, 20, tzinfo=UTC)
    same = {"landed_at": moment, "sequencer": None, "bucket": "b", "key": "k"}
    ids = {
        drop_id(**same, version_id="v1", etag="e"),  # type: ignore[arg-type]
        drop_id(**same, version_id="v2", etag="e"),  # type: ignore[arg-type]
        drop_id(**same, version_id=None, etag="e"),  # type: ignore[arg-type]
    }
    assert len(ids) == 3


@given(moments, texts)
def test_recent_partition_is_one_of_its_month(moment: datetime, key: str) -> None:
    partitions = recent_partitions(moment.date())
    assert len(partitions) == RECENT_SHARDS
    assert recent_partition(an_id(moment, key=key)) in partitions


@pytest.mark.parametrize(
    ("event", "drop_id_always"),
    [
        (
            {
                "landed_at": datetime(2026, 11, 20, 12, 34, 56, 789_000, tzinfo=UTC),
                "sequencer": "006B00DEADBEEF12345",
                "bucket": "lake",
                "key": "dev/append/t/a.csv",
                "version_id": "v1",
                "etag": "e",
            },
            "6b003e70-dead-8bee-bc48-d3bca16683ac",
        ),
        (
            {
                "landed_at": datetime(1970, 1, 1, tzinfo=UTC),
                "sequencer": None,
                "bucket": "b",
                "key": "k",
                "version_id": None,
                "etag": "e",
            },
            "00000000-0000-8000-8000-0196ffaf3568",
        ),
        (
            {
                "landed_at": datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC),
                "sequencer": "FFFFFFFFFFFFFFFF",
                "bucket": "Ü",
                "key": "dev/upsert/größe/日本.csv",
                "version_id": None,
                "etag": "d41d8cd98f00b204e9800998ecf8427e",
            },
            "ffffffff-ffff-8fff-bffc-015ce99832d3",
        ),
    ],
    ids=["in the middle", "first second", "last second"],
)
def test_same_event_gives_same_id_in_every_version(
    event: dict[str, Any], drop_id_always: str
) -> None:
    # Ledgers and logs hold ids of earlier versions: these three never change.
    assert str(drop_id(**event)) == drop_id_always


def test_drop_without_a_time_zone_is_refused() -> None:
    document = a_drop("dev/append/t/a.csv").model_dump() | {"landed_at": datetime(2026, 11, 20)}  # noqa: DTZ001 - the fault
    with pytest.raises(ValidationError, match="time zone"):
        Drop.model_validate(document)


FIRST, LAST = "00000000-0000-8000-8000-000000000000", "ffffffff-ffff-8fff-bfff-ffffffffffff"
AT_ONE = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "bounds"),
    [
        (None, None, (FIRST, LAST)),
        (datetime(1969, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC), (FIRST, LAST)),
        (
            AT_ONE - timedelta(seconds=1),
            AT_ONE - timedelta(seconds=1),
            (FIRST, "00000000-ffff-8fff-bfff-ffffffffffff"),
        ),
        (
            AT_ONE,
            AT_ONE,
            ("00000001-0000-8000-8000-000000000000", "00000001-ffff-8fff-bfff-ffffffffffff"),
        ),
    ],
)
def test_bounds_are_the_least_and_the_greatest_id_of_their_seconds(
    start: datetime | None, end: datetime | None, bounds: tuple[str, str]
) -> None:
    assert tuple(map(str, drop_id_bounds(start, end))) == bounds


def test_landing_time_of_a_drop_is_in_utc_and_its_stamp_in_whole_seconds() -> None:
    east = datetime(2026, 11, 20, 14, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))
    drop = Drop.model_validate(a_drop("dev/append/t/a.csv").model_dump() | {"landed_at": east})
    assert drop.landed_at.isoformat() == "2026-11-20T12:00:00.250000+00:00"
    assert drop.landed_timestamp.isoformat() == "2026-11-20T12:00:00+00:00"

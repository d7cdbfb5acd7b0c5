"""Facts on the bus: every one survives the road, old readers bear new fields, unknown ones are
refused loudly."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from pydantic import ValidationError

from headrace_shared.facts import (
    FACTS,
    ContractApplied,
    DropRejected,
    DropReverted,
    DropRouted,
    DropSuperseded,
    Fact,
    LoadFailed,
    LoadStarted,
    LoadSucceeded,
    ReplayRequested,
    RevertRequested,
    Stage,
    UnknownFactError,
    decode,
    encode,
)
from headrace_shared.reasons import BadRow, Reason
from headrace_shared.testing.builders import a_drop, an_envelope

PUT_EVENTS_BYTES = 256 * 1024
ENTRIES = 10

REASON = Reason(code="bad_rows", message="One.", bad_rows=(BadRow(line=2, reason="no"),))
EVERY: tuple[Fact, ...] = (
    DropRouted(drop=a_drop()),
    DropRejected(drop=a_drop(), stage=Stage.ROUTE, reason=REASON),
    LoadStarted(drop=a_drop(), attempt=1),
    LoadSucceeded(drop=a_drop(), attempt=1, rows_loaded=3, bytes=10, duration_ms=5),
    LoadFailed(drop=a_drop(), attempt=2, final=False, reason=REASON, retry_in_seconds=4.5),
    DropSuperseded(drop=a_drop(), attempt=1, superseded_by=UUID(int=7)),
    ContractApplied(drop=a_drop(), attempt=1, changes=("table created",), duration_ms=5),
    ReplayRequested(drop=a_drop(), run=1_795_176_240_123),
    RevertRequested(drop=a_drop(), run=1_795_176_240_123),
    DropReverted(drop=a_drop(), run=1_795_176_240_123, attempt=1, rows_removed=3),
)


def test_every_fact_has_an_example_here() -> None:
    assert {fact.detail_type for fact in EVERY} == set(FACTS)


@pytest.mark.parametrize("fact", EVERY, ids=lambda fact: fact.detail_type)
def test_fact_survives_the_road(fact: Fact) -> None:
    assert decode(an_envelope(fact)) == fact


@pytest.mark.parametrize("fact", EVERY, ids=lambda fact: fact.detail_type)
def test_reader_ignores_what_it_does_not_know(fact: Fact) -> None:
    assert decode(an_envelope(fact, colour="blue", version="1.9")).drop == fact.drop


@pytest.mark.parametrize("version", ["2.0", "0.9", "", "none"])
def test_other_major_version_is_refused(version: str) -> None:
    with pytest.raises((UnknownFactError, ValidationError)):
        decode(an_envelope(EVERY[0], version=version))


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[]",
        "{}",
        json.dumps({"detail-type": "Drop Routed", "source": "somebody", "detail": {}}),
        json.dumps(
            {"detail-type": "Drop Routed", "source": "headrace", "detail": {"version": "1.0"}}
        ),
    ],
)
def test_what_is_no_fact_is_refused(body: str) -> None:
    with pytest.raises(ValidationError):
        decode(body)


def test_unknown_fact_is_refused_by_name() -> None:
    body = json.dumps({"detail-type": "Moon Full", "source": "headrace", "detail": {}})
    with pytest.raises(UnknownFactError, match="Moon Full"):
        decode(body)


def test_ten_of_the_largest_facts_fit_one_call_of_the_bus() -> None:
    nasty = "\x01" * 120 + "..."
    rows = tuple(BadRow(line=10**9, column="c" * 63, value=nasty, reason=nasty) for _ in range(10))
    reason = Reason(code="bad_rows", message="x" * 2_000, remedy="y" * 500, bad_rows=rows)
    largest = LoadFailed(
        drop=a_drop("dev/append/t/" + "ü" * 500), attempt=1, final=True, reason=reason
    )
    assert ENTRIES * len(encode(largest).encode()) < PUT_EVENTS_BYTES

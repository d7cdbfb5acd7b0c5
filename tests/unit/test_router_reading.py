"""What the router takes a message for."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from headrace_router.reading import Asked, read
from headrace_shared.facts import (
    DropRouted,
    Fact,
    LoadStarted,
    ReplayRequested,
    RevertRequested,
    UnknownFactError,
)
from headrace_shared.testing.builders import a_drop, an_envelope, an_s3_event

REQUEST = 1_795_176_240_123


def test_file_that_landed_is_in_its_first_run() -> None:
    asked = read(an_s3_event("dev/append/users/a.csv"))
    assert (asked.drop.key, asked.run, asked.request) == ("dev/append/users/a.csv", 0, 0)


def test_replay_is_in_the_run_that_was_asked_for_and_read_under_its_contract() -> None:
    fact = ReplayRequested(drop=a_drop(), run=REQUEST)
    assert read(an_envelope(fact)) == Asked(a_drop(), REQUEST, REQUEST)


def test_drop_that_was_found_is_read_under_the_contract_of_its_place() -> None:
    fact = ReplayRequested(drop=a_drop(), run=REQUEST, as_landed=True)
    assert read(an_envelope(fact)) == Asked(a_drop(), REQUEST, 0)


def test_replay_of_a_version_that_knew_no_runs_is_a_first_run() -> None:
    body = json.loads(an_envelope(ReplayRequested(drop=a_drop()), version="1.0"))
    del body["detail"]["run"], body["detail"]["as_landed"]
    assert read(json.dumps(body)) == Asked(a_drop(), 0, 0)


@pytest.mark.parametrize(
    "fact",
    [
        DropRouted(drop=a_drop()),
        RevertRequested(drop=a_drop()),
        LoadStarted(drop=a_drop(), attempt=1),
    ],
    ids=lambda fact: fact.detail_type,
)
def test_fact_that_is_for_others_is_refused_by_name(fact: Fact) -> None:
    with pytest.raises(UnknownFactError, match=fact.detail_type):
        read(an_envelope(fact))


def test_replay_of_another_major_version_is_refused() -> None:
    with pytest.raises(UnknownFactError, match=r"2\.0"):
        read(an_envelope(ReplayRequested(drop=a_drop()), version="2.0"))


@pytest.mark.parametrize(
    "body", ["", "not json", "[]", "{}", '{"source": ""}', '{"source": "aws.s3"}']
)
def test_what_speaks_of_no_drop_is_refused(body: str) -> None:
    with pytest.raises(ValidationError):
        read(body)

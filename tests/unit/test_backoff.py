"""Back-off: how long the tries are apart, and that a patient drop outlasts its waiting time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.settings import LoaderSettings
from headrace_local.resources import MAX_RECEIVES
from headrace_shared import backoff

attempts = st.integers(1, 10_000)
chances = st.floats(0, 1)


@given(attempts, chances)
def test_jitter_stays_between_a_tenth_of_the_ceiling_and_the_ceiling(
    attempt: int, chance: float
) -> None:
    ceiling = min(backoff.CAP_SECONDS, 2.0 ** min(attempt, 20))
    assert ceiling / 10 <= backoff.full_jitter(attempt, chance) <= ceiling * 1.000001


@given(attempts)
def test_patience_grows_up_to_its_cap(attempt: int) -> None:
    assert backoff.patient(attempt) <= backoff.patient(attempt + 1) <= backoff.WAIT_CAP_SECONDS


@given(st.floats(0, 100_000))
def test_looks_span_the_limit_and_no_fewer_would(limit_seconds: float) -> None:
    looks = backoff.looks_within(limit_seconds)
    waits = [backoff.patient(look) for look in range(1, looks)]
    assert sum(waits) >= limit_seconds
    assert sum(waits[:-1]) < limit_seconds or not waits


def test_drop_that_waits_for_its_contract_is_rejected_before_the_dead_letters() -> None:
    wait_seconds = LoaderSettings.model_fields["contract_wait_seconds"].default
    assert MAX_RECEIVES["loader"] > backoff.looks_within(wait_seconds)


@pytest.mark.parametrize("service", sorted(MAX_RECEIVES))
def test_outage_of_minutes_is_outlasted(service: str) -> None:
    least = sum(backoff.full_jitter(attempt, 0.5) for attempt in range(1, MAX_RECEIVES[service]))
    assert least > 5 * 60

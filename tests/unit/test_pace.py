"""A table is slow, or held back, by how its own loads went, and by nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.pace import SLOW_SECONDS, Pace, Verdict
from headrace_shared import backoff

SHARE = 3


def load(pace: Pace, table: str, now: float, seconds: float, verdict: Verdict) -> float:
    pace.began(table, now)
    pace.ended(table, now, now + seconds, verdict)
    return now + seconds


def test_quick_loads_leave_no_trace() -> None:
    pace = Pace()
    load(pace, "t", 0, 0.1, Verdict.IN_TIME)
    assert not pace.is_slow("t", 100)
    assert pace.allowance("t", SHARE, 100) == SHARE


def test_table_is_slow_while_one_of_its_loads_takes_long_and_until_a_quick_one() -> None:
    pace = Pace()
    pace.began("t", 0)
    assert not pace.is_slow("t", SLOW_SECONDS - 0.01)
    assert pace.is_slow("t", SLOW_SECONDS)
    pace.ended("t", 0, 60, Verdict.IN_TIME)
    assert pace.is_slow("t", 61)
    assert pace.allowance("t", SHARE, 61) == SHARE
    load(pace, "t", 70, 0.1, Verdict.IN_TIME)
    assert not pace.is_slow("t", 71)


@given(st.integers(1, 12))
def test_table_whose_loads_fail_by_time_is_held_back_longer_each_time(failures: int) -> None:
    pace, now = Pace(), 0.0
    for number in range(1, failures + 1):
        now = load(pace, "t", now, 60, Verdict.OUT_OF_TIME)
        pause = backoff.hold(number)
        assert pace.allowance("t", SHARE, now + pause - 0.01) == 0
        assert pace.allowance("t", SHARE, now + pause) == 1
        assert pace.allowance("other", SHARE, now) == SHARE
        now += pause
    assert pace.failures("t") == failures
    load(pace, "t", now, 1, Verdict.IN_TIME)
    assert pace.allowance("t", SHARE, now + 1) == SHARE


@given(st.integers(1, 40))
def test_hold_grows_to_its_cap(failures: int) -> None:
    assert backoff.hold(failures) <= backoff.hold(failures + 1) <= backoff.HOLD_CAP_SECONDS
    assert backoff.hold(1) == backoff.HOLD_BASE_SECONDS


def test_load_that_found_the_warehouse_away_says_nothing() -> None:
    pace = Pace()
    load(pace, "t", 0, 60, Verdict.OUT_OF_TIME)
    until = pace.held_until("t")
    load(pace, "t", 70, 1, Verdict.NONE)
    assert (pace.failures("t"), pace.held_until("t")) == (1, until)
    load(pace, "quick", 0, 60, Verdict.NONE)
    assert not pace.is_slow("quick", 61)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_two_loads_that_began_together_end_one_by_one(verdict: Verdict) -> None:
    pace = Pace()
    pace.began("t", 0)
    pace.began("t", 0)
    pace.ended("t", 0, 1, verdict)
    assert pace.is_slow("t", 10), "the other one is still under way"


@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from(list(Verdict))), max_size=20))
def test_failures_are_those_since_the_last_load_in_time(ends: list[tuple[float, Verdict]]) -> None:
    pace, now, expected = Pace(), 0.0, 0
    for seconds, verdict in ends:
        now = load(pace, "t", now, seconds, verdict)
        if verdict is Verdict.OUT_OF_TIME:
            expected += 1
        elif verdict is Verdict.IN_TIME:
            expected = 0
        assert pace.failures("t") == expected
        assert (pace.held_until("t") > 0) == (expected > 0)

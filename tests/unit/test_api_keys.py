"""A key counts for its holder, as long and as far as it was made for, and for nobody else."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_api.callers import Caller
from headrace_api.keys import UNKNOWN, Refusal, judge
from headrace_shared.api_keys import (
    ApiKey,
    Scope,
    TablePattern,
    as_item,
    is_key,
    key_of,
    make_key,
    parse,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SALES = TablePattern.of("sales.*")
MOMENTS = st.integers(1_600_000_000, 3_700_000_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


def made(lifetime: timedelta | None = None) -> tuple[str, ApiKey]:
    text, kept = make_key("report", [Scope.READ, Scope.ROWS], [SALES], NOW, lifetime=lifetime)
    parsed = parse(text)
    assert parsed is not None
    assert parsed[0] == kept.key_id
    return parsed[1], kept


def test_key_is_two_random_parts_and_needs_no_escaping() -> None:
    text, kept = make_key("report", [Scope.READ], [SALES], NOW)
    assert is_key(text)
    assert re.fullmatch(r"hr_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", text)
    assert make_key("report", [Scope.READ], [SALES], NOW)[0] != text
    assert text.rpartition("_")[2] not in repr(kept)


def test_holder_is_known_by_name_and_has_what_the_key_has() -> None:
    secret, kept = made()
    assert judge(secret, kept, NOW) == Caller(
        f"report ({kept.key_id})", frozenset({Scope.READ, Scope.ROWS}), (SALES,)
    )


def test_wrong_secret_learns_no_more_than_a_wrong_id() -> None:
    _, kept = made(timedelta(days=1))
    revoked = replace(kept, revoked_at=NOW)
    for one in (None, kept, revoked):
        assert judge("another", one, NOW + timedelta(days=9)) == UNKNOWN


@pytest.mark.parametrize(("seconds", "counts"), [(-1, True), (0, False), (1, False)])
def test_key_ends_when_it_was_said_to(seconds: int, counts: bool) -> None:
    secret, kept = made(timedelta(days=90))
    judged = judge(secret, kept, NOW + timedelta(days=90, seconds=seconds))
    assert isinstance(judged, Caller) is counts
    if not counts:
        assert "expired" in str(judged)


def test_revoked_key_does_not_count() -> None:
    secret, kept = made()
    judged = judge(secret, replace(kept, revoked_at=NOW - timedelta(days=1)), NOW)
    assert isinstance(judged, Refusal)
    assert "revoked" in judged


@given(
    st.builds(
        ApiKey,
        key_id=st.from_regex(r"[a-z0-9]{1,32}", fullmatch=True),
        name=st.text(min_size=1),
        secret_hash=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
        scopes=st.frozensets(st.sampled_from(Scope)),
        tables=st.lists(st.sampled_from(["*.*", "sales.*", "hr.people"]), max_size=3).map(
            lambda texts: tuple(map(TablePattern.of, texts))
        ),
        created_at=MOMENTS,
        expires_at=st.none() | MOMENTS,
        revoked_at=st.none() | MOMENTS,
        last_used_at=st.none() | MOMENTS,
    )
)
def test_what_is_kept_comes_back_as_it_was(key: ApiKey) -> None:
    assert key_of(as_item(key)) == key


@pytest.mark.parametrize(
    "token", ["", "hr_", "hr_a_short", "hr__" + "a" * 43, "hr_A_" + "a" * 43, "hr_a_" + "ä" * 43]
)
def test_other_texts_are_no_keys(token: str) -> None:
    assert parse(token) is None


@given(st.text(max_size=300))
def test_parsing_never_fails(token: str) -> None:
    parse(token)

"""Keys are remembered for a moment only; guesses are cheap, and uses are noted without haste."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from headrace_api.key_store import FRESH_SECONDS, KeyStore
from headrace_api.problems import ApiError
from headrace_shared.api_keys import KEY_ID, ApiKey, Scope, TablePattern, as_item, make_key
from headrace_shared.errors import TransientError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class FakeTable:
    """DynamoDB's two calls."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.reads = 0
        self.writes: list[str] = []
        self.error: Exception | None = None

    def keep(self, key: ApiKey) -> None:
        self.items[key.key_id] = as_item(key)

    async def get_item(self, **asked: Any) -> dict[str, Any]:
        self.reads += 1
        if self.error is not None:
            raise self.error
        item = self.items.get(asked["Key"][KEY_ID]["S"])
        return {"Item": item} if item else {}

    async def update_item(self, **asked: Any) -> None:
        if self.error is not None:
            raise self.error
        self.writes.append(asked["Key"][KEY_ID]["S"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table() -> FakeTable:
    return FakeTable()


@pytest.fixture
def store(table: FakeTable, clock: Clock) -> KeyStore:
    return KeyStore(cast("Any", table), "keys", clock)


def a_key() -> tuple[str, ApiKey]:
    return make_key("report", [Scope.READ], [TablePattern.of("sales.*")], NOW)


async def refused(store: KeyStore, token: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await store.caller(token)
    return caught.value


async def test_key_is_read_once_for_many_requests(store: KeyStore, table: FakeTable) -> None:
    text, kept = a_key()
    table.keep(kept)
    for _ in range(50):
        assert (await store.caller(text)).name == f"report ({kept.key_id})"
    assert table.reads == 1


async def test_revoked_key_stops_within_30_seconds(
    store: KeyStore, table: FakeTable, clock: Clock
) -> None:
    text, kept = a_key()
    table.keep(kept)
    await store.caller(text)
    table.keep(replace(kept, revoked_at=NOW))
    assert FRESH_SECONDS < 30
    clock.now += FRESH_SECONDS
    problem = (await refused(store, text)).problem
    assert problem.status == 401
    assert "revoked" in problem.detail


async def test_wrong_secret_of_a_known_id_is_refused_without_an_echo(
    store: KeyStore, table: FakeTable
) -> None:
    text, kept = a_key()
    table.keep(kept)
    wrong = text[:-4] + "AAAA"
    error = await refused(store, wrong)
    assert error.headers["WWW-Authenticate"].startswith("Bearer ")
    assert wrong not in error.problem.model_dump_json()
    assert kept.key_id not in error.problem.model_dump_json()


async def test_unknown_id_is_asked_for_once_in_a_while(
    store: KeyStore, table: FakeTable, clock: Clock
) -> None:
    text, kept = a_key()
    for _ in range(50):
        assert (await refused(store, text)).problem.status == 401
    assert table.reads == 1
    # Made a moment later, it counts soon.
    table.keep(kept)
    clock.now += FRESH_SECONDS
    await store.caller(text)


async def test_guessing_costs_little_and_keeps_nobody_out(
    store: KeyStore, table: FakeTable, clock: Clock
) -> None:
    text, kept = a_key()
    table.keep(kept)
    await store.caller(text)
    statuses = [(await refused(store, a_key()[0])).problem.status for _ in range(1_000)]
    assert set(statuses) == {401, 429}
    assert table.reads < 250
    # Who was known before is known still, and read anew when it is time.
    clock.now += FRESH_SECONDS
    assert (await store.caller(text)).may(Scope.READ)


async def test_use_is_noted_once_a_minute(store: KeyStore, table: FakeTable, clock: Clock) -> None:
    text, kept = a_key()
    table.keep(kept)
    for _ in range(13):
        await store.caller(text)
        await store.settle()
        clock.now += 10
    assert table.writes == [kept.key_id] * 3


async def test_use_that_cannot_be_noted_fails_no_request(store: KeyStore, table: FakeTable) -> None:
    text, kept = a_key()
    table.keep(kept)
    with capture_logs() as lines:
        found = await store.caller(text)
        table.error = RuntimeError("no right to write")
        await store.settle()
    assert found.may(Scope.READ)
    assert [line["event"] for line in lines] == ["key.use_unrecorded"]
    assert text not in str(lines)


async def test_table_that_is_away_is_no_refusal(store: KeyStore, table: FakeTable) -> None:
    table.error = TimeoutError()
    with pytest.raises(TransientError, match="the keys"):
        await store.caller(a_key()[0])

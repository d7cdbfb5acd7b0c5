"""Answers are typed and kept whole; whatever goes wrong says what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest

from headrace_local.api_client import ApiClient, ApiUnreachableError, rfc3339
from headrace_local.errors import CommandError, PlatformError, UserError

DROP_ID = UUID("65a1b2c3-0000-8000-8000-000000000001")
ITEM = {
    "drop_id": str(DROP_ID),
    "bucket": "lake",
    "key": "dev/append/t/a.csv",
    "state": "loaded",
    "landed_timestamp": "2026-11-20T12:00:00Z",
}


def a_client(answer: Callable[[httpx.Request], httpx.Response]) -> ApiClient:
    return ApiClient("http://api/", transport=httpx.MockTransport(answer))


def test_pages_are_followed_by_their_cursor_and_keep_their_filters() -> None:
    asked: list[httpx.QueryParams] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params)
        is_last = "cursor" in request.url.params
        return httpx.Response(
            200, json={"items": [ITEM], "next_cursor": None if is_last else "more"}
        )

    with a_client(answer) as api:
        moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
        found = list(api.drops(landed_from=moment, landed_to=moment, table=("dev", "t"), limit=1))

    assert [item.drop_id for item in found] == [DROP_ID, DROP_ID]
    assert dict(asked[0]) == {
        "limit": "1",
        "db_name": "dev",
        "table_name": "t",
        "landed_from": "2026-11-20T12:00:00Z",
        "landed_to": "2026-11-20T12:00:00Z",
    }
    assert dict(asked[1]) == dict(asked[0]) | {"cursor": "more"}


def test_story_has_its_timeline_and_what_a_newer_api_adds() -> None:
    step = {"at": "2026-11-20T12:00:01Z", "state": "routed", "weather": "fair"}
    with a_client(lambda _: httpx.Response(200, json=ITEM | {"timeline": [step]})) as api:
        story = api.drop(DROP_ID)
    assert story.timeline[0].state == "routed"
    assert story.timeline[0].model_dump()["weather"] == "fair"
    assert story.ended


def test_precise_landing_time_wins_over_whole_seconds() -> None:
    precise = ITEM | {"landed_at": "2026-11-20T12:00:00.250Z"}
    with a_client(lambda _: httpx.Response(200, json=precise)) as api:
        assert api.drop(DROP_ID).landed.microsecond == 250_000


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (400, UserError, "refuses the request: limit is too large"),
        (404, UserError, "Not found: limit is too large"),
        (500, PlatformError, "failed: limit is too large"),
        (503, ApiUnreachableError, "cannot work just now: limit is too large"),
    ],
)
def test_problem_document_is_told_by_its_detail(
    status: int, kind: type[CommandError], told: str
) -> None:
    problem = {"type": "about:blank", "title": "Problem", "detail": "limit is too large"}
    with (
        a_client(lambda _: httpx.Response(status, json=problem)) as api,
        pytest.raises(kind) as caught,
    ):
        api.drop(uuid4())
    assert told in caught.value.what
    assert "http://api/v1/drops/" in caught.value.where
    assert caught.value.what_to_do


def test_error_that_is_no_problem_document_is_told_by_its_status() -> None:
    with (
        a_client(lambda _: httpx.Response(502, text="<html>")) as api,
        pytest.raises(ApiUnreachableError, match="502 Bad Gateway"),
    ):
        api.tables()


def test_api_that_is_not_there_is_told_with_the_remedy() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    with a_client(refuse) as api, pytest.raises(ApiUnreachableError) as caught:
        api.tables()
    assert "Connection refused" in caught.value.what
    assert "headrace up" in caught.value.what_to_do


@pytest.mark.parametrize("body", [b"not json", b'{"items": [{"drop_id": "x"}]}'])
def test_answer_of_something_else_is_no_traceback(body: bytes) -> None:
    with (
        a_client(lambda _: httpx.Response(200, content=body)) as api,
        pytest.raises(ApiUnreachableError),
    ):
        list(api.drops())


@pytest.mark.parametrize("address", ["localhost:8080", "ftp://here", "http://here:port"])
def test_address_that_is_no_url_is_the_users_mistake(address: str) -> None:
    with ApiClient(address) as api, pytest.raises(UserError, match="address of the API"):
        api.tables()


def test_times_are_sent_in_utc_and_whole_seconds() -> None:
    moment = datetime.fromisoformat("2026-11-20T13:00:00.900+01:00")
    assert rfc3339(moment) == "2026-11-20T12:00:00Z"

"""Where the parts of the API meet: cookies and real bearers, headers of views, values in drops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, Self, cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Request
from structlog.testing import capture_logs

from headrace_api.app import make_app
from headrace_api.authentication import Bearers
from headrace_api.callers import EVERY_TABLE, Caller, Scope
from headrace_api.cursors import Cursors
from headrace_api.log_store import Page
from headrace_api.operations import events
from headrace_api.operations.common import Stores
from headrace_api.page.sign_in_cookie import COOKIE
from headrace_api.problems import unauthorized
from headrace_api.rows.streaming import TakenInTime
from headrace_api.settings import ApiSettings
from headrace_shared.errors import TransientError
from headrace_shared.log_schema import State

READ, ALL = "hr_read_1", "hr_all_1"
SECRET = "4711-secret"
TEST = {"label": "few", "kind": "unique", "severity": "error", "passed": False, "message": "one"}
BAD_ROW = {"line": 3, "column": "age", "value": SECRET, "reason": f"{SECRET} is no number"}
DROP: dict[str, Any] = {
    "drop_id": str(UUID(int=1)),
    "bucket": "lake",
    "key": "dev/append/users/1.csv",
    "etag": "e",
    "db_name": "dev",
    "action": "append",
    "table_name": "users",
    "file": "1.csv",
    "state": str(State.REJECTED),
    "stage": "load",
    "status": "fail",
    "updated_at": "2026-11-20T11:59:00.000Z",
    "landed_timestamp": "2026-11-20T11:58:58Z",
    "size_bytes": 4_096,
    "attempts": 1,
    "bad_rows": [BAD_ROW],
    "tests": [TEST | {"sample": [[SECRET]]}],
    "reason": {
        "code": "bad_rows",
        "message": "A value is no number.",
        "bad_row_count": 1,
        "bad_rows": [BAD_ROW | {"raw": SECRET}],
        "tests": [TEST | {"sample": [[SECRET]]}],
    },
}


class FakeKeys:
    """Two keys, of which each may be revoked."""

    def __init__(self) -> None:
        self.known = {READ: frozenset({Scope.READ}), ALL: frozenset(Scope)}
        self.is_away = False

    async def caller(self, token: str) -> Caller:
        if self.is_away:
            raise TransientError("the keys")
        if token not in self.known:
            raise unauthorized("This API key is not known.")
        return Caller(token, self.known[token], (EVERY_TABLE,))


class FakeLog:
    async def page(self, *_: Any) -> Page:
        return Page([DROP], None)

    async def drop(self, drop_id: UUID) -> dict[str, Any]:
        return DROP

    async def progress(self) -> None:
        return None


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


@pytest.fixture
def app(keys: FakeKeys) -> FastAPI:
    made = make_app(
        ApiSettings(
            log_table="log",
            keys_table="keys",
            warehouse_dsn="postgresql://nobody@127.0.0.1/none",
            cursor_secret="a secret of the tests",
            cors_origins=("https://ours.example",),
        )
    )
    made.state.authenticator = Bearers(cast("Any", keys), None)
    made.state.stores = Stores(cast("Any", FakeLog()), cast("Any", None), Cursors("a secret"))
    made.state.means = SimpleNamespace(bus=None, kept_rows=None, queues={})
    return made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as made:
        yield made


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_cookie_is_taken_by_the_real_bearers(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sign-in", data={"key": ALL}, headers={"Origin": "http://api"})
    assert answer.status_code == 303
    assert (await client.get("/")).status_code == 200
    assert (await client.get("/v1/drops")).status_code == 200


async def test_what_came_by_cookie_is_tagged_and_counted_as_its_operation(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    client.cookies.set(COOKIE, ALL)
    answer = await client.get(f"/v1/drops/{UUID(int=1)}")
    again = await client.get(answer.request.url, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert b'operation="get_drop"' in app.state.figures.text(0.0)
    assert b'operation="none"' not in app.state.figures.text(0.0)


async def test_what_another_site_sends_is_refused_with_an_id_and_a_line(
    client: httpx.AsyncClient,
) -> None:
    with capture_logs() as lines:
        answer = await client.post("/sign-out", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert [line["request_id"] for line in lines] == [answer.headers["x-request-id"]]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_page_of_an_allowed_origin_posts_with_a_key_of_its_own(
    client: httpx.AsyncClient,
) -> None:
    headers = {"Origin": "https://ours.example", "Sec-Fetch-Site": "cross-site"}
    path = f"/v1/drops/{UUID(int=1)}/replay"
    assert (await client.post(path, headers=headers)).status_code == 403
    answer = await client.post(path, headers=headers | _bearer("hr_none_1"))
    assert answer.status_code == 401


async def test_views_keep_their_own_policies(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/sign-in")).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    # Under `no-referrer` a browser sends the form with the Origin `null`.
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"


async def test_files_of_the_page_are_kept_and_cost_nobody_a_request(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/vendor/htmx.min.js", headers=_bearer(ALL))
    assert answer.headers["cache-control"] == "no-cache"
    assert "ratelimit" not in answer.headers
    tag = {"If-None-Match": answer.headers["etag"]}
    assert (await client.get("/vendor/htmx.min.js", headers=tag)).status_code == 304


@pytest.mark.parametrize("path", ["/v1/drops", f"/v1/drops/{UUID(int=1)}", f"/drops/{UUID(int=1)}"])
async def test_values_of_rows_are_for_the_scope_rows(client: httpx.AsyncClient, path: str) -> None:
    assert SECRET in (await client.get(path, headers=_bearer(ALL))).text
    told = (await client.get(path, headers=_bearer(READ))).text
    assert SECRET not in told
    assert "A value is no number." in told


async def test_counts_of_bad_rows_and_results_of_tests_stay(client: httpx.AsyncClient) -> None:
    told = (await client.get(f"/v1/drops/{UUID(int=1)}", headers=_bearer(READ))).json()
    assert told["bad_rows"] is None
    assert (told["reason"]["bad_rows"], told["reason"]["bad_row_count"]) == ([], 1)
    assert [one["message"] for one in told["tests"]] == ["one"]


class Talking:
    """A feed whose listeners always hear something."""

    def listen(self, last_event_id: str | None = None) -> Talking:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


async def _words(keys: FakeKeys, key: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a stream tells whose key is revoked after the second word, and looked at each time."""
    monkeypatch.setattr(events, "LOOKED_AT_SECONDS", 0.0)
    app = FastAPI()
    app.state.feed, app.state.authenticator = Talking(), Bearers(cast("Any", keys), None)
    headers = [(b"authorization", f"Bearer {key}".encode())]
    request = Request({"type": "http", "app": app, "headers": headers})

    async def tell(_: object) -> AsyncIterator[str]:
        for number in range(4):
            if number == 2:
                keys.known.pop(READ, None)
            yield str(number)

    answer = await events.streamed(request, tell)
    return [str(word) async for word in answer.body_iterator]


async def test_a_stream_ends_with_its_key(keys: FakeKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await _words(keys, READ, monkeypatch) == ["0", "1"]
    assert await _words(keys, ALL, monkeypatch) == ["0", "1", "2", "3"]


async def test_a_stream_goes_on_while_keys_cannot_be_read(
    keys: FakeKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.is_away = True
    assert await _words(keys, READ, monkeypatch) == ["0", "1", "2", "3"]


def test_nothing_stands_around_what_cuts_slow_clients(app: FastAPI) -> None:
    assert cast("Any", app.user_middleware[0].cls) is TakenInTime

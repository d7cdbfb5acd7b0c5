"""Signing in by a key in a cookie: kept from scripts and other sites, and taken by `/v1` too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import Request

from headrace_api.app import make_app
from headrace_api.callers import ANYBODY, Caller
from headrace_api.cursors import Cursors
from headrace_api.events.feed import Feed
from headrace_api.log_store import DropFilter, Page
from headrace_api.operations.common import Stores
from headrace_api.page.sign_in_cookie import COOKIE, is_from_elsewhere
from headrace_api.problems import ApiError
from headrace_api.settings import ApiSettings
from headrace_shared.errors import TransientError

GOOD = "hr_good"
HTML = "text/html; charset=utf-8"


class Keys:
    """Knows one key, by the header alone."""

    async def caller(self, request: Request) -> Caller:
        if request.headers.get("authorization") != f"Bearer {GOOD}":
            raise ApiError("unauthorized", "Not known", 401, "There is no such key.")
        return ANYBODY


class FakeLog:
    is_away = False

    async def newest(self, index: str, since: datetime, most: int) -> list[dict[str, Any]]:
        return []

    async def page(self, wanted: DropFilter, limit: int) -> Page:
        if self.is_away:
            raise TransientError("the log")
        return Page([], None)

    async def drop(self, drop_id: UUID) -> None:
        return None

    async def progress(self) -> None:
        if self.is_away:
            raise TransientError("the log")


class FakeWarehouse:
    async def tables(self) -> list[Any]:
        raise TransientError("the warehouse: it is down")


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
async def client(log: FakeLog) -> AsyncIterator[httpx.AsyncClient]:
    settings = ApiSettings(
        log_table="log",
        keys_table="keys",
        cursor_secret="a secret of tests",
        warehouse_dsn="postgresql://nowhere",
    )
    app = make_app(settings)
    app.state.authenticator = Keys()
    stores: Any = Stores(log, FakeWarehouse(), Cursors("secret"))  # type: ignore[arg-type]
    app.state.stores, app.state.feed = stores, Feed(log, most_listeners=2)
    app.state.means = SimpleNamespace(bus=None, kept_rows=None, queues={})
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as made:
        yield made


async def signed_in(client: httpx.AsyncClient, **form: str) -> httpx.Response:
    headers = {"Sec-Fetch-Site": "same-origin"}
    return await client.post("/sign-in", data={"key": GOOD, **form}, headers=headers)


async def test_who_is_not_known_is_asked_for_a_key(client: httpx.AsyncClient) -> None:
    answer = await client.get("/?table=users")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2F%3Ftable%3Dusers"
    assert "API key" in (await client.get(answer.headers["location"])).text


async def test_a_view_that_is_open_is_told_in_its_place(client: httpx.AsyncClient) -> None:
    answer = await client.get("/live", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert "<html" not in answer.text
    assert '<a href="/sign-in">Sign in</a>' in answer.text


async def test_a_good_key_is_kept_from_scripts_and_other_sites(client: httpx.AsyncClient) -> None:
    answer = await signed_in(client, next="/tables")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tables")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie


async def test_behind_tls_the_cookie_is_secure(client: httpx.AsyncClient) -> None:
    headers = {"X-Forwarded-Proto": "https", "Sec-Fetch-Site": "same-origin"}
    answer = await client.post("/sign-in", data={"key": GOOD}, headers=headers)
    assert "Secure" in answer.headers["set-cookie"]


async def test_the_cookie_serves_the_page_and_the_api(client: httpx.AsyncClient) -> None:
    await signed_in(client)
    assert (await client.get("/")).status_code == 200
    assert (await client.get("/v1/drops")).status_code == 200
    assert "Sign out" in (await client.get("/")).text


async def test_a_key_in_the_header_is_not_overruled_by_the_cookie(
    client: httpx.AsyncClient,
) -> None:
    await signed_in(client)
    answer = await client.get("/v1/drops", headers={"Authorization": "Bearer hr_other"})
    assert answer.status_code == 401


@pytest.mark.parametrize("key", ["hr_bad", "", "ключ", "a\nb"])
async def test_a_bad_key_is_told_so_and_not_kept(client: httpx.AsyncClient, key: str) -> None:
    answer = await signed_in(client, key=key)
    assert answer.status_code == 401
    assert "does not let you in" in answer.text
    assert "set-cookie" not in answer.headers


async def test_signing_out_forgets_the_key(client: httpx.AsyncClient) -> None:
    await signed_in(client)
    await client.post("/sign-out", headers={"Sec-Fetch-Site": "same-origin"})
    assert COOKIE not in client.cookies
    assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil", "/a\r\nb"])
async def test_signing_in_leads_to_nobody_elses_page(client: httpx.AsyncClient, to: str) -> None:
    assert (await signed_in(client, next=to)).headers["location"] == "/"


@pytest.mark.parametrize(
    ("method", "headers", "has_cookie", "refused"),
    [
        ("GET", {"sec-fetch-site": "cross-site"}, True, False),
        ("POST", {"sec-fetch-site": "same-origin"}, True, False),
        ("POST", {"sec-fetch-site": "cross-site"}, False, True),
        ("POST", {"sec-fetch-site": "same-site"}, True, True),
        ("POST", {"origin": "http://page", "host": "page"}, True, False),
        ("POST", {"origin": "http://evil", "host": "page"}, False, True),
        ("POST", {"origin": "null", "host": "page"}, True, True),
        ("POST", {}, True, True),
        ("POST", {}, False, False),
    ],
)
def test_what_another_site_sends_is_refused(
    method: str, headers: dict[str, str], has_cookie: bool, refused: bool
) -> None:
    assert is_from_elsewhere(method, headers, has_cookie=has_cookie) is refused


async def test_another_sites_post_is_refused_before_anything_is_done(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/sign-out", headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("Another site")


async def test_views_forbid_inline_scripts_and_styles(client: httpx.AsyncClient) -> None:
    await signed_in(client)
    for path in ("/", "/attention", "/sign-in", "/nowhere"):
        answer = await client.get(path)
        if answer.headers["content-type"] != HTML:
            continue
        assert "script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]
        assert "<style" not in answer.text
        assert " style=" not in answer.text
        assert " on" + "click=" not in answer.text


async def test_what_cannot_be_reached_is_said_and_over_by_itself(
    client: httpx.AsyncClient, log: FakeLog
) -> None:
    await signed_in(client)
    tables = await client.get("/tables")
    assert (tables.status_code, tables.headers["retry-after"]) == (503, "5")
    assert "The warehouse cannot be reached" in tables.text
    assert tables.headers["refresh"] == "5"
    log.is_away = True
    assert "The log cannot be reached" in (await client.get("/")).text
    log.is_away = False
    assert "Nothing has landed yet" in (await client.get("/")).text

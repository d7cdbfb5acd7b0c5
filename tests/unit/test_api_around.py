"""What stands around every answer: limits, headers, packing and tags; streams pass untouched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from structlog.testing import capture_logs

from headrace_api import openapi
from headrace_api.app import make_app
from headrace_api.rate_limits import RateLimits
from headrace_api.settings import ApiSettings

SETTINGS: dict[str, Any] = {
    "log_table": "log",
    "anonymous": True,
    "warehouse_dsn": "postgresql://nobody@127.0.0.1/none",
    "cursor_secret": "a secret of the tests",
}


def app_with(**settings: Any) -> FastAPI:
    app = make_app(ApiSettings(**SETTINGS | settings))

    async def stream() -> StreamingResponse:
        return StreamingResponse(_events(), media_type="text/event-stream")

    async def body(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    async def broken() -> StreamingResponse:
        return StreamingResponse(_broken())

    app.add_api_route("/stream", stream)
    app.add_api_route("/broken", broken)
    app.add_api_route("/body", body, methods=["POST"])
    return app


async def _events() -> AsyncIterator[bytes]:
    yield b"data: " + b"a" * 4_000 + b"\n\n"
    await asyncio.Event().wait()


async def _broken() -> AsyncIterator[bytes]:
    yield b"half"
    raise RuntimeError("a bug in the middle")


def client_of(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_with()) as made:
        yield made


@pytest.mark.parametrize("path", ["/v1/contract-schema", "/nowhere", "/docs", "/healthz"])
async def test_every_answer_has_the_headers_that_keep_it_safe(
    client: httpx.AsyncClient, path: str
) -> None:
    headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] in {"no-store", "private, no-cache"}
    assert headers["x-request-id"]


async def test_docs_run_what_stands_in_them_and_nothing_else(client: httpx.AsyncClient) -> None:
    policy = (await client.get("/docs")).headers["content-security-policy"]
    assert policy.count("'sha256-") == 2
    assert "unsafe" not in policy


async def test_what_has_not_changed_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/v1/contract-schema")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for condition in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
        again = await client.get("/v1/contract-schema", headers={"If-None-Match": condition})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    other = await client.get("/v1/contract-schema", headers={"If-None-Match": 'W/"other"'})
    assert other.status_code == 200
    assert "etag" not in (await client.get("/nowhere")).headers


def test_routes_that_have_tags_are_there() -> None:
    paths = {route.path for route in openapi.operations(app_with().routes)}
    assert paths >= openapi.TAGGED


async def test_large_answers_are_packed_and_small_ones_are_not(client: httpx.AsyncClient) -> None:
    packed = await client.get("/v1/contract-schema", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    small = await client.get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers


async def test_stream_goes_out_as_it_is_made() -> None:
    sent: asyncio.Queue[Any] = asyncio.Queue()
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/stream",
        "raw_path": b"/stream",
        "query_string": b"",
        "headers": [(b"accept-encoding", b"gzip"), (b"host", b"localhost")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 80),
    }
    ended = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await ended.wait()
        return {"type": "http.disconnect"}

    asking = asyncio.create_task(app_with()(scope, receive, sent.put))
    start = await asyncio.wait_for(sent.get(), 5)
    first = await asyncio.wait_for(sent.get(), 5)
    assert start["status"] == 200
    assert b"gzip" not in [value for name, value in start["headers"]]
    assert first["body"].startswith(b"data: aaa")
    ended.set()
    await asyncio.wait_for(asking, 5)


async def test_bug_in_the_middle_of_a_stream_breaks_it_off_and_is_logged() -> None:
    with capture_logs() as lines:
        async with client_of(app_with()) as client:
            answer = await client.get("/broken")
    assert answer.content == b"half"
    assert [line["event"] for line in lines] == ["request.failed", "request.answered"]


@pytest.mark.parametrize(("size", "status"), [(0, 200), (64, 200), (65, 413)])
async def test_body_has_a_limit(size: int, status: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a" * (size // 2)
        yield b"a" * (size - size // 2)

    async with client_of(app_with(body_limit_bytes=64)) as client:
        for content in (b"a" * size, chunks()):
            answer = await client.post("/body", content=content)
            assert answer.status_code == status
            if status == 200:
                assert answer.json() == {"size": size}
            else:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_caller_who_asks_too_often_is_told_when_to_ask_again() -> None:
    app = app_with()
    app.state.rate_limits = RateLimits(0.1, 3, lambda: 0.0)
    async with client_of(app) as client:
        answers = [await client.get("/v1/contract-schema") for _ in range(5)]
        probe = await client.get("/healthz")
    assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
    assert [one.headers["ratelimit"] for one in answers[:3]] == [
        '"caller";r=2;t=10',
        '"caller";r=1;t=20',
        '"caller";r=0;t=30',
    ]
    assert answers[0].headers["ratelimit-policy"] == '"caller";q=3'
    assert answers[3].json()["type"].endswith("/too-many-requests")
    assert 0 < int(answers[3].headers["retry-after"]) <= 10
    assert probe.status_code == 200


def test_bucket_fills_again_and_names_do_not_meet() -> None:
    now: Iterator[float] = iter([0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.0])
    limits = RateLimits(1.0, 2, lambda: next(now))
    taken = [limits.take(name) for name in ("a", "a", "a", "b", "a", "a", "a")]
    allowed = [one.allowed for one in taken if one is not None]
    assert allowed == [True, True, False, True, False, True, False]


def test_nothing_is_limited_where_it_is_not_wanted() -> None:
    assert RateLimits(0, 1).take("a") is None


@pytest.mark.parametrize(("origins", "told"), [("", None), ("https://us.example", True)])
async def test_other_origins_are_let_in_by_name_alone(origins: str, told: bool | None) -> None:
    asked = {"Origin": "https://us.example", "Access-Control-Request-Method": "GET"}
    async with client_of(app_with(cors_origins=origins)) as client:
        answer = await client.get("/v1/contract-schema", headers={"Origin": asked["Origin"]})
        preflight = await client.options("/v1/contract-schema", headers=asked)
        stranger = await client.get("/v1/contract-schema", headers={"Origin": "https://x.example"})
    wanted = asked["Origin"] if told else None
    assert answer.headers.get("access-control-allow-origin") == wanted
    assert preflight.headers.get("access-control-allow-origin") == wanted
    assert "access-control-allow-origin" not in stranger.headers
    assert "access-control-allow-credentials" not in answer.headers

"""Who may ask what: every operation of the API against every scope, and what is open to all."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import ValidationError
from structlog.testing import capture_logs

from headrace_api import openapi
from headrace_api.app import make_app
from headrace_api.authentication import Bearers, Everybody
from headrace_api.callers import EVERY_TABLE, Caller, Scope, TablePattern
from headrace_api.cursors import Cursors
from headrace_api.operations.common import Stores
from headrace_api.operations.means import Means
from headrace_api.problems import unauthorized
from headrace_api.remembered import Remembered
from headrace_api.settings import ApiSettings, is_loopback
from headrace_shared.errors import TransientError

SETTINGS: dict[str, Any] = {
    "log_table": "log",
    "keys_table": "keys",
    "warehouse_dsn": "postgresql://nobody@127.0.0.1/none",
    "cursor_secret": "a secret of the tests",
}
OPEN = {"/healthz", "/readyz", "/docs", "/sign-in", "/sign-out"}
"""Nothing that a key would guard: whether the process lives, what can be asked, and the form in
which a browser is told a key."""
OPEN_TO_READ = [
    *sorted(OPEN - {"/sign-out"}),
    "/openapi.json",
    "/assets/page.js",
    "/vendor/htmx.min.js",
]

API = ("/v1/", "/metrics")
"""Where answers are for programs; elsewhere they are views."""


class FakeBearers:
    """Knows callers by name: `read+rows@sales.*`."""

    async def caller(self, request: Request) -> Caller:
        said = request.headers.get("authorization", "")
        if not said:
            raise unauthorized("Say who asks.", error=None)
        scopes, _, table = said.removeprefix("Bearer ").partition("@")
        return Caller(
            said,
            frozenset(Scope(one) for one in scopes.split("+") if one),
            (TablePattern.of(table),) if table else (EVERY_TABLE,),
        )


class NothingThere:
    """Stores that are away: whoever gets so far was let in."""

    service = "router"

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            raise TransientError("the log: not asked in this test")

        return call


def app_with(**settings: Any) -> FastAPI:
    made = make_app(ApiSettings(**SETTINGS | settings))
    away = cast("Any", NothingThere())
    made.state.stores = Stores(away, away, Cursors("a secret of the tests"))
    made.state.means = Means(away, away, Remembered(5), away, away, {"router": away})
    made.state.feed = away
    if not settings.get("anonymous"):
        made.state.authenticator = FakeBearers()
    return made


@pytest.fixture
def app() -> FastAPI:
    return app_with()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(app) as made:
        yield made


def _client(app: FastAPI, url: str = "http://api") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=url)


def _address(path: str) -> str:
    return re.sub(r"\{[^}]+\}", lambda part: "a" if "id" not in part[0] else str(UUID(int=1)), path)


def _as(scopes: str, tables: str = "") -> dict[str, str]:
    return {"Authorization": f"Bearer {scopes}{tables and '@'}{tables}"}


def test_every_operation_needs_a_scope_or_is_known_to_be_open(app: FastAPI) -> None:
    guarded = {path for path, _, _ in openapi.guarded(app)}
    there_are = {route.path for route in openapi.operations(app.routes)}
    assert there_are - guarded == OPEN
    assert "/v1/drops" in guarded


@pytest.mark.parametrize("scope", [None, *Scope])
async def test_each_operation_lets_in_who_has_its_scope_and_nobody_else(
    app: FastAPI, client: httpx.AsyncClient, scope: Scope | None
) -> None:
    for path, method, needed in openapi.guarded(app):
        others = "+".join(set(Scope) - {scope} if scope else ())
        for held in {scope.value if scope else "", others}:
            answer = await client.request(method, _address(path), headers=_as(held))
            refused = answer.status_code == 403
            assert refused is (needed.value not in held.split("+")), (path, held, answer.text)
            if refused and path.startswith(API):
                assert needed.value in answer.json()["detail"]
                assert f'scope="{needed}"' in answer.headers["www-authenticate"]
            elif refused:
                assert f"lacks the scope {needed}" in answer.text


async def test_nobody_is_let_in_unknown(app: FastAPI, client: httpx.AsyncClient) -> None:
    for path, method, _ in openapi.guarded(app):
        if not path.startswith(API):
            continue
        answer = await client.request(method, _address(path))
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == 'Bearer realm="headrace"'


async def test_views_ask_the_unknown_for_a_key_and_show_nothing(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    views = {path for path, _, _ in openapi.guarded(app) if not path.startswith(API)}
    assert {"/", "/live", "/tables", "/attention", "/drops/{drop_id}"} <= views
    for path in views:
        answer = await client.get(_address(path))
        assert (answer.status_code, answer.content) == (303, b""), path
        assert answer.headers["location"].startswith("/sign-in?next=")


async def test_each_operation_with_a_table_in_its_path_hides_others(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    for path, method, _ in openapi.guarded(app):
        if "{table_name}" not in path:
            continue
        address = path.replace("{db_name}", "hr").replace("{table_name}", "people")
        answer = await client.request(method, address, headers=_as("read+rows+operate", "sales.*"))
        assert answer.status_code == 404, path


@pytest.mark.parametrize("path", OPEN_TO_READ)
async def test_what_is_open_asks_for_no_key(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code in {200, 503}


async def test_document_says_who_may_ask(app: FastAPI, client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert set(document["components"]["securitySchemes"]) == {"key", "token"}
    for path, method, scope in openapi.guarded(app):
        if path not in document["paths"]:
            continue
        operation = document["paths"][path][method]
        assert operation["security"] == [{"key": []}, {"token": []}]
        assert f"Needs the scope `{scope}`." in operation["description"]
        assert {"401", "403", "429"} <= operation["responses"].keys()
    assert "security" not in document["paths"]["/healthz"]["get"]


async def test_key_is_in_no_answer_and_no_line_of_the_log() -> None:
    app = app_with()
    app.state.authenticator = Bearers(None, None)
    key = "hr_abc_" + "s3cret" * 8
    async with _client(app) as client:
        with capture_logs() as lines:
            for carried in (key, "ey.not.good", ""):
                headers = {"Authorization": f"Bearer {carried}"}
                answer = await client.get("/v1/drops", headers=headers)
                assert answer.status_code == 401
                assert "s3cret" not in answer.text + str(answer.headers)
    assert "s3cret" not in str(lines)


@pytest.mark.parametrize("header", ["Basic aGk6aG8=", "Bearer", "Bearer  ", "hr_abc_def"])
async def test_header_of_another_kind_says_what_is_wanted(header: str) -> None:
    app = app_with()
    app.state.authenticator = Bearers(None, None)
    async with _client(app) as client:
        answer = await client.get("/v1/drops", headers={"Authorization": header})
    assert answer.status_code == 401
    assert "Authorization: Bearer" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://127.0.0.1:8080", 503),
        ("http://[::1]:8080", 503),
        ("http://localhost", 503),
        ("http://evil.example", 403),
        ("http://10.0.0.7", 403),
    ],
)
async def test_everybody_means_everybody_on_this_machine(url: str, status: int) -> None:
    app = app_with(anonymous=True)
    assert isinstance(app.state.authenticator, Everybody)
    async with _client(app, url) as client:
        assert (await client.get("/v1/drops")).status_code == status


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"anonymous": True, "api_host": "0.0.0.0"}, "loopback address alone"),
        ({"keys_table": ""}, "nobody could ask"),
        ({"jwt_issuer": "https://issuer.example"}, "HEADRACE_JWT_AUDIENCE is missing"),
        ({"jwt_issuer": "http://issuer.example", "jwt_audience": "us"}, "https://"),
        ({"cors_origins": "*"}, "name them"),
        ({"jwt_scopes": "admin=everything"}, "jwt_scopes"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ApiSettings(**SETTINGS | given)


def test_anonymous_on_a_socket_that_others_reach_is_refused() -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as reachable,
        pytest.raises(ValidationError) as raised,
    ):
        ApiSettings(**SETTINGS | {"anonymous": True, "api_fd": reachable.fileno()})
    assert "loopback address alone" in str(raised.value)
    with socket.create_server(("127.0.0.1", 0)) as own:
        settings = ApiSettings(**SETTINGS | {"anonymous": True, "api_fd": own.fileno()})
        assert settings.listens_on == "127.0.0.1"
        assert own.fileno() >= 0, "the settings left it open"


def test_descriptor_of_no_socket_is_refused(tmp_path: Path) -> None:
    with (
        (tmp_path / "file").open("w") as file,
        pytest.raises(ValidationError, match="no open socket"),
    ):
        ApiSettings(**SETTINGS | {"api_fd": file.fileno()})
    with socket.socket() as closed:
        number = closed.fileno()
    with pytest.raises(ValidationError, match="no open socket"):
        ApiSettings(**SETTINGS | {"api_fd": number})


def test_scopes_of_claims_are_pairs() -> None:
    assert ApiSettings(**SETTINGS).jwt_scopes["headrace.rows"] is Scope.ROWS
    given = ApiSettings(**SETTINGS | {"jwt_scopes": "urn:a=b=read, ops = operate"})
    assert given.jwt_scopes == {"urn:a=b": Scope.READ, "ops": Scope.OPERATE}


@pytest.mark.parametrize(
    ("host", "yes"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "headrace.example", "")],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, yes: bool) -> None:
    assert is_loopback(host) is yes

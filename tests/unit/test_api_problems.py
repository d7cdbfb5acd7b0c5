"""Whatever goes wrong, the answer is a problem document that says what, where and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate
from structlog.testing import capture_logs

from headrace_api.app import make_app
from headrace_api.cursors import Cursors
from headrace_api.operations.common import Stores
from headrace_api.settings import ApiSettings
from headrace_shared.errors import TransientError
from headrace_shared.metrics import embedded

SETTINGS: dict[str, Any] = {
    "log_table": "log",
    "warehouse_dsn": "postgresql://nobody@127.0.0.1/none",
    "cursor_secret": "a secret of the tests",
    "anonymous": True,
}


class BrokenStore:
    """Every call ends as it is told to."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        async def call(*_: Any, **__: Any) -> Any:
            raise self.error

        return call


@pytest.fixture
def app() -> FastAPI:
    made = make_app(ApiSettings(**SETTINGS))
    _break(made, TransientError("the log: no connection"))
    return made


def _break(app: FastAPI, log: Exception, warehouse: Exception | None = None) -> None:
    """The application's stores, as if both had failed in these ways."""
    app.state.stores = Stores(
        cast("Any", BrokenStore(log)),
        cast("Any", BrokenStore(warehouse or TransientError("the warehouse: no connection"))),
        Cursors("a secret of the tests"),
    )


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as made:
        yield made


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The document, after what every one of them promises."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"https://headrace.dev/problems/{slug}"
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=many", "limit"),
        ("state=gone", "state"),
        ("landed_from=yesterday", "landed_from"),
        ("landed_from=2026-11-20T12:00:00", "landed_from"),
        ("landed_from=2026-11-21T00:00:00Z&landed_to=2026-11-20T00:00:00Z", "landed_from"),
        (
            "landed_timestamp=2026-11-20T00:00:00Z&landed_to=2026-11-20T00:00:00Z",
            "landed_timestamp",
        ),
        ("db_name=dev", "db_name"),
        ("table_name=a%20b", "table_name"),
        ("table_name=t&db_name=pg_catalog", "db_name"),
        ("cursor=forged", "cursor"),
    ],
)
async def test_parameter_that_cannot_be_taken_is_named(
    client: httpx.AsyncClient, query: str, parameter: str
) -> None:
    body = problem(await client.get(f"/v1/drops?{query}"), 400, "invalid-parameter")
    assert body["parameter"] == parameter


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ('{"db_name": "dev", "table_name": "t", "states": ["gone"]}', "states"),
        ('{"db_name": "dev", "table_name": "t", "state": "failed"}', "state"),
        ('{"db_name": "dev"', "body"),
        ("[]", "body"),
        ("", "body"),
    ],
)
async def test_field_that_cannot_be_taken_is_named(
    app: FastAPI, client: httpx.AsyncClient, body: str, parameter: str
) -> None:
    app.state.means = None
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/v1/replays", content=body, headers=headers)
    assert problem(answer, 400, "invalid-parameter")["parameter"] == parameter


async def test_misspelt_parameter_is_refused_with_the_known_ones(client: httpx.AsyncClient) -> None:
    body = problem(await client.get("/v1/drops?tabel_name=t"), 400, "invalid-parameter")
    assert body["parameter"] == "tabel_name"
    assert "landed_from" in body["detail"]
    assert "table_name" in body["detail"]


@pytest.mark.parametrize("path", ["/v1/tables", "/v1/tables/dev/t", f"/v1/drops/{'0' * 32}"])
async def test_parameter_where_there_are_none_is_refused(
    client: httpx.AsyncClient, path: str
) -> None:
    problem(await client.get(f"{path}?limit=5"), 400, "invalid-parameter")


async def test_drop_id_that_is_none_is_named(client: httpx.AsyncClient) -> None:
    body = problem(await client.get("/v1/drops/seven"), 400, "invalid-parameter")
    assert body["parameter"] == "drop_id"


async def test_path_that_does_not_exist_points_to_the_docs(client: httpx.AsyncClient) -> None:
    assert "/docs" in problem(await client.get("/v2/drops"), 404, "not-found")["detail"]


async def test_name_that_no_table_can_have_is_not_found(client: httpx.AsyncClient) -> None:
    problem(await client.get("/v1/tables/dev/%00"), 404, "not-found")


async def test_method_that_is_not_offered_names_those_that_are(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/drops")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("path", "what"), [("/v1/drops", "The log"), ("/v1/tables", "The warehouse")]
)
async def test_part_that_is_down_is_named_and_when_to_try_again(
    client: httpx.AsyncClient, path: str, what: str
) -> None:
    answer = await client.get(path)
    assert problem(answer, 503, "unavailable")["detail"].startswith(what)
    assert int(answer.headers["retry-after"]) > 0


async def test_bug_tells_its_request_id_and_nothing_else(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    _break(app, RuntimeError("the inner secret"))
    answer = await client.get("/v1/drops")
    problem(answer, 500, "internal")
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("path", "status_class", "requests"),
    [
        ("/v1/drops", "5xx", 1),
        ("/nowhere", "4xx", 1),
        ("/readyz", "5xx", 0),
        ("/healthz", "2xx", 0),
    ],
)
async def test_answers_are_counted_by_class_and_probes_are_not(
    client: httpx.AsyncClient, path: str, status_class: str, requests: int
) -> None:
    with capture_logs() as lines:
        await client.get(path)
    (line,) = [one for one in lines if one["event"] == "request.answered"]
    told = embedded({**line, "timestamp": "2026-11-20T12:00:00Z"}, "prod")
    assert line["status_class"] == status_class
    assert told.get("requests", 0) == requests
    assert told.get("request_ms") == (line["duration_ms"] if requests else None)


async def test_readiness_names_what_is_down(app: FastAPI, client: httpx.AsyncClient) -> None:
    _break(app, TransientError("the log: no connection"), RuntimeError("no such table"))
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"log": "unreachable", "warehouse": "unusable"}
    assert (await client.get("/healthz")).status_code == 200


async def test_readiness_names_the_instance_where_it_has_a_name(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    assert "Headrace-Instance" not in (await client.get("/readyz")).headers
    app.state.instance_id = "a nonce"
    assert (await client.get("/readyz")).headers["Headrace-Instance"] == "a nonce"
    assert "Headrace-Instance" not in (await client.get("/healthz")).headers


async def test_docs_load_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "openapi.json" in page.text
    assert "://" not in page.text


async def test_openapi_document_is_valid_and_says_how_errors_look(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    validate(document)
    responses = document["paths"]["/v1/drops"]["get"]["responses"]
    assert sorted(responses) == ["200", "400", "401", "403", "429", "503"]
    assert list(responses["400"]["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in document["components"]["schemas"]

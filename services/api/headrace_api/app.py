"""The application: its stores, its operations, and errors as problem documents."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response

from headrace_api import openapi, problems
from headrace_api.cursors import Cursors
from headrace_api.log_store import DynamoDBLogStore
from headrace_api.problems import ApiError
from headrace_api.routes import PROBES, Stores, operations, router
from headrace_api.settings import ApiSettings
from headrace_api.warehouse import PostgresReader
from headrace_shared.aws import AwsClients
from headrace_shared.errors import TransientError
from headrace_shared.liveness import Liveness
from headrace_shared.logging import get_logger
from headrace_shared.warehouse_access import WarehouseAccess

_log = get_logger(__name__)

VERSION: Final = "0.1.0"

_CONNECTIONS: Final = 50
_ABOUT: Final = (
    "Where every file that was dropped into the lake is, when it got there, and why. "
    "Times are RFC 3339 in UTC; errors are RFC 9457 problem documents."
)


def make_app(settings: ApiSettings) -> FastAPI:
    """The application; its connections open when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.stores = await _open_stores(settings, stack)
            touching = asyncio.create_task(Liveness(settings.liveness_file).keep_touching())
            stack.callback(touching.cancel)
            yield

    app = FastAPI(
        title="Headrace",
        version=VERSION,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.include_router(operations)
    app.include_router(router)
    app.add_api_route("/docs", _docs, include_in_schema=False, response_class=HTMLResponse)
    app.middleware("http")(_answer)
    app.exception_handler(RequestValidationError)(_invalid)
    app.openapi = partial(openapi.document, app)  # type: ignore[method-assign]
    for status in (404, 405):
        app.exception_handler(status)(_http_error)
    return app


async def _open_stores(settings: ApiSettings, stack: AsyncExitStack) -> Stores:
    clients = AwsClients(stack, connections=_CONNECTIONS)
    warehouse = await stack.enter_async_context(
        PostgresReader.open(
            await WarehouseAccess.open(settings, clients),
            connections=settings.warehouse_connections,
            statement_timeout_seconds=settings.statement_timeout_seconds,
        )
    )
    log = DynamoDBLogStore(await clients.open("dynamodb"), settings.log_table)
    return Stores(log, warehouse, Cursors(settings.cursor_secret))


async def _docs() -> HTMLResponse:
    """A page of our own: the usual ones load their scripts from the internet."""
    return HTMLResponse(files("headrace_api").joinpath("docs.html").read_text("utf-8"))


async def _answer(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """One log line a request; whatever was raised becomes a problem document."""
    request.state.request_id = secrets.token_hex(8)
    started = time.monotonic()
    try:
        response = await call_next(request)
    except ApiError as error:
        response = problems.response(error, request.state.request_id)
    except TransientError as error:
        _log.warning("request.unanswerable", request_id=request.state.request_id, error=str(error))
        what = "The warehouse" if "warehouse" in str(error) else "The log"
        response = problems.response(problems.unavailable(what), request.state.request_id)
    except Exception as error:  # noqa: BLE001 - a bug; the answer says so and the log has it
        _log.error("request.failed", request_id=request.state.request_id, exc_info=error)
        response = problems.response(problems.internal(), request.state.request_id)
    response.headers["X-Request-Id"] = request.state.request_id
    _log.info(
        "request.answered",
        request_id=request.state.request_id,
        method=request.method,
        path=request.url.path,
        status=response.status_code,
        status_class=f"{response.status_code // 100}xx",
        # Not somebody's question: a load balancer asks every few seconds.
        probe=request.url.path in PROBES,
        duration_ms=round((time.monotonic() - started) * 1000),
    )
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    parameter = str(first["loc"][-1])
    problem = problems.invalid_parameter(parameter, f"{parameter}: {first['msg']}.")
    return problems.response(problem, request.state.request_id)


async def _http_error(request: Request, error: Exception) -> Response:
    # The framework's own exception, of which FastAPI's is a child, for paths that do not exist.
    status, detail = getattr(error, "status_code", 404), getattr(error, "detail", "Not Found")
    response = problems.response(problems.http_error(status, detail), request.state.request_id)
    response.headers.update(getattr(error, "headers", None) or {})
    return response

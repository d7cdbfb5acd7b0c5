"""The application: its stores, its operations, and errors as problem documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import aiohttp
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import HTMLResponse, Response

from headrace_api import docs_page, openapi, problems
from headrace_api.answering import Answering, refused, unanswerable
from headrace_api.authentication import Bearers, Everybody
from headrace_api.body_limit import BodyLimit
from headrace_api.cursors import Cursors
from headrace_api.etags import ETags
from headrace_api.events.feed import Feed
from headrace_api.issuer import Issuer
from headrace_api.key_store import KeyStore
from headrace_api.log_store import DynamoDBLogStore
from headrace_api.operations.common import Stores
from headrace_api.operations.data_tests import data_tests
from headrace_api.operations.dead_letters import dead_letters
from headrace_api.operations.drops import drops
from headrace_api.operations.events import events
from headrace_api.operations.health import health
from headrace_api.operations.means import open_means
from headrace_api.operations.quarantine import quarantine
from headrace_api.operations.replays import replays
from headrace_api.operations.rows import rows
from headrace_api.operations.stats import stats
from headrace_api.operations.tables import tables
from headrace_api.page import add_page
from headrace_api.problems import ApiError
from headrace_api.prometheus import Figures
from headrace_api.rate_limits import RateLimits
from headrace_api.rows.streaming import Downloads, TakenInTime
from headrace_api.security_headers import SecurityHeaders
from headrace_api.settings import ApiSettings
from headrace_api.tokens import Claims, Tokens
from headrace_api.warehouse import PostgresReader
from headrace_shared.aws import AwsClients
from headrace_shared.errors import TransientError
from headrace_shared.liveness import Liveness
from headrace_shared.warehouse_access import WarehouseAccess

VERSION: Final = "0.1.0"

_OPERATING: Final = (quarantine, data_tests, dead_letters, replays, stats)
_CONNECTIONS: Final = 50
_AWS_ATTEMPTS: Final = 2
_AWS_READ_SECONDS: Final = 5.0
"""A person waits for the answer: after about ten seconds it says that the log does not answer."""
_PACKED_BYTES: Final = 1_024
_PACKED_LEVEL: Final = 5
_ABOUT: Final = (
    "Where every file that was dropped into the lake is, when it got there, and why. "
    "Times are RFC 3339 in UTC; errors are RFC 9457 problem documents."
)


def make_app(settings: ApiSettings) -> FastAPI:
    """The application; its connections open when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            clients = AwsClients(
                stack,
                connections=_CONNECTIONS,
                attempts=_AWS_ATTEMPTS,
                read_seconds=_AWS_READ_SECONDS,
            )
            app.state.stores = await _open_stores(settings, clients, stack)
            if not settings.anonymous:
                app.state.authenticator = await _open_bearers(settings, clients, stack)
            app.state.feed = Feed(app.state.stores.log, most_listeners=settings.event_listeners)
            stack.callback(app.state.feed.end)
            app.state.means = await open_means(settings, stack)
            app.state.figures.watch_pool(app.state.stores.warehouse.connections.figures)
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
    if settings.anonymous:
        app.state.authenticator = Everybody()
    app.state.instance_id = settings.instance_id
    app.state.rate_limits = RateLimits(settings.rate_per_second, settings.rate_burst)
    app.state.figures = Figures(VERSION)
    for router in (drops, tables, rows, events, health, *_OPERATING):
        app.include_router(router)
    app.add_api_route("/docs", docs_page.docs, include_in_schema=False, response_class=HTMLResponse)
    add_page(app)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(ApiError)(refused)
    app.exception_handler(TransientError)(unanswerable)
    app.openapi = partial(openapi.document, app)  # type: ignore[method-assign]
    for status in (404, 405):
        app.exception_handler(status)(_http_error)
    _add_middleware(app, settings)
    return app


def _add_middleware(app: FastAPI, settings: ApiSettings) -> None:
    """The one that is added last is the outermost."""
    app.add_middleware(ETags, routes=openapi.TAGGED)
    app.add_middleware(BodyLimit, limit_bytes=settings.body_limit_bytes)
    # It leaves server-sent events alone.
    app.add_middleware(GZipMiddleware, minimum_size=_PACKED_BYTES, compresslevel=_PACKED_LEVEL)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "Last-Event-ID"],
            expose_headers=["ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"],
        )
    app.add_middleware(Answering)
    app.add_middleware(SecurityHeaders, cross_origin=bool(settings.cors_origins))
    app.add_middleware(TakenInTime, stall_seconds=settings.stall_seconds)


async def _open_bearers(
    settings: ApiSettings, clients: AwsClients, stack: AsyncExitStack
) -> Bearers:
    keys = None
    if settings.keys_table:
        keys = KeyStore(await clients.open("dynamodb"), settings.keys_table)
        stack.push_async_callback(keys.settle)
    tokens = None
    if settings.jwt_issuer:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        issuer = Issuer(http, settings.jwt_issuer, settings.jwt_jwks_url)
        claims = Claims(
            settings.jwt_audience,
            settings.jwt_scopes_claim,
            settings.jwt_scopes,
            settings.jwt_tables_claim,
        )
        tokens = Tokens(issuer, claims)
    return Bearers(keys, tokens)


async def _open_stores(settings: ApiSettings, clients: AwsClients, stack: AsyncExitStack) -> Stores:
    warehouse = await stack.enter_async_context(
        PostgresReader.open(
            await WarehouseAccess.open(settings, clients),
            connections=settings.warehouse_connections,
            statement_timeout_seconds=settings.statement_timeout_seconds,
        )
    )
    log = DynamoDBLogStore(await clients.open("dynamodb"), settings.log_table)
    downloads = Downloads(
        at_once=max(1, settings.warehouse_connections // 2),
        most_rows=settings.download_rows,
        seconds=settings.download_seconds,
    )
    return Stores(log, warehouse, Cursors(settings.cursor_secret), downloads)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    parameter = _at_fault(first["loc"])
    problem = problems.invalid_parameter(parameter, f"{parameter}: {first['msg']}.")
    return problems.response(problem, request.state.request_id)


def _at_fault(place: Sequence[str | int]) -> str:
    """The parameter, or the field of a body; a place within it, or in bad JSON, is a number."""
    return [part for part in place[:2] if isinstance(part, str)][-1]


async def _http_error(request: Request, error: Exception) -> Response:
    # The framework's own exception, of which FastAPI's is a child, for paths that do not exist.
    status, detail = getattr(error, "status_code", 404), getattr(error, "detail", "Not Found")
    response = problems.response(problems.http_error(status, detail), request.state.request_id)
    response.headers.update(getattr(error, "headers", None) or {})
    return response

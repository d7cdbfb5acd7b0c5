"""Around each request: its id, its one log line, and whatever was raised as a problem document.

Plain ASGI, so that an answer that is streamed goes out as it is made.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from headrace_api import problems
from headrace_api.asgi import App, Message, Receive, Scope, Send, set_headers
from headrace_api.operations.health import PROBES
from headrace_api.problems import ApiError
from headrace_api.prometheus import Figures
from headrace_shared.logging import get_logger

_log = get_logger(__name__)


class Answering:
    """Gives each request an id, and each answer a line in the log."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the application's start and end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        try:
            with answer.figures.under_way():
                await self._app(scope, receive, answer.send)
        except Exception as error:
            # A bug. Of an answer under way the rest cannot be mended: the connection breaks off.
            _log.error("request.failed", request_id=answer.request_id, exc_info=error)
            if answer.status:
                raise
            problem = problems.response(problems.internal(), answer.request_id)
            await problem(scope, receive, answer.send)
        finally:
            answer.log()


class _Answer:
    """The answer to one request, as it goes out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.request_id = secrets.token_hex(8)
        self.status = 0
        self._scope = scope
        self._send = send
        self._started = time.monotonic()
        self.figures: Figures = scope["app"].state.figures
        self._state: dict[str, Any] = scope.setdefault("state", {})
        self._state["request_id"] = self.request_id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            elapsed = time.monotonic() - self._started
            self.figures.answered(Request(self._scope), self.status, elapsed)
            rates = self._state.get("rate_headers", {})
            set_headers(message, {"X-Request-Id": self.request_id, **rates})
        await self._send(message)

    def log(self) -> None:
        caller = self._state.get("caller")
        _log.info(
            "request.answered",
            request_id=self.request_id,
            caller=caller.name if caller else None,
            method=self._scope["method"],
            path=self._scope["path"],
            status=self.status,
            status_class=f"{self.status // 100}xx",
            # Not somebody's question: a load balancer asks every few seconds.
            probe=self._scope["path"] in PROBES,
            duration_ms=round((time.monotonic() - self._started) * 1000),
        )


async def refused(request: Request, error: Exception) -> Response:
    """An ApiError as the answer that it is."""
    assert isinstance(error, ApiError)
    return problems.response(error, request.state.request_id)


async def unanswerable(request: Request, error: Exception) -> Response:
    """503, with the part that cannot be reached."""
    _log.warning("request.unanswerable", request_id=request.state.request_id, error=str(error))
    problem = problems.unavailable(problems.unreachable(str(error)))
    return problems.response(problem, request.state.request_id)

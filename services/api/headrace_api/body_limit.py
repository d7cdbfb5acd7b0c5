"""How large a request's body may be, and how long it may take to come."""

from __future__ import annotations

import asyncio
from typing import Final

from headrace_api import problems
from headrace_api.asgi import App, Message, Receive, Scope, Send, header
from headrace_api.problems import ApiError

_PATIENCE_SECONDS: Final = 10.0


class BodyLimit:
    """Takes a body whole before anything else sees it: what is allowed is small."""

    def __init__(self, app: App, *, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; 413 or 408 where its body is not taken."""
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        try:
            messages = await self._taken(scope, receive)
        except ApiError as error:
            refusal = problems.response(error, scope["state"]["request_id"])
            # What is left of the body is not read, so the connection is of no further use.
            refusal.headers["Connection"] = "close"
            await refusal(scope, receive, send)
            return

        async def replayed() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replayed, send)

    async def _taken(self, scope: Scope, receive: Receive) -> list[Message]:
        said = header(scope, "content-length") or ""
        if said.isdecimal() and int(said) > self._limit_bytes:
            raise problems.too_large(self._limit_bytes)
        messages: list[Message] = []
        size = 0
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not messages or messages[-1].get("more_body"):
                    messages.append(await receive())
                    size += len(messages[-1].get("body", b""))
                    if size > self._limit_bytes:
                        raise problems.too_large(self._limit_bytes)
        except TimeoutError:
            raise problems.too_slow(_PATIENCE_SECONDS) from None
        return messages


def _has_body(scope: Scope) -> bool:
    length = header(scope, "content-length")
    return header(scope, "transfer-encoding") is not None or (length or "0") != "0"

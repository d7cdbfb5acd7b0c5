"""`ETag` and `If-None-Match` on single resources: who asks again for what has not changed gets a
304 without a body (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Final

from headrace_api.asgi import App, Message, Receive, Scope, Send, header, set_headers

_DIGEST_BYTES: Final = 16


class ETags:
    """Tags whole answers of these routes; what is streamed passes untouched.

    Args:
        routes: paths as the routes have them: `/v1/drops/{drop_id}`.
    """

    def __init__(self, app: App, *, routes: Collection[str]) -> None:
        self._app = app
        self._routes = frozenset(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and self._tags(scope, message):
                held.append(message)
                return
            if held:
                start = held.pop()
                if not message.get("more_body"):
                    _tag(scope, start, message)
                await send(start)
            await send(message)

        await self._app(scope, receive, sent)

    def _tags(self, scope: Scope, start: Message) -> bool:
        path = getattr(scope.get("route"), "path", None)
        return start["status"] == 200 and path in self._routes


def _tag(scope: Scope, start: Message, body: Message) -> None:
    digest = hashlib.blake2b(body.get("body", b""), digest_size=_DIGEST_BYTES).hexdigest()
    # Weak: the same content may go out packed or not.
    tag = f'W/"{digest}"'
    # It may be kept by who asked, to ask again with it; by nobody else.
    set_headers(start, {"ETag": tag, "Cache-Control": "private, no-cache"})
    if _matches(header(scope, "if-none-match"), tag):
        start["status"] = 304
        body["body"] = b""
        kept = [
            one for one in start["headers"] if one[0] not in (b"content-length", b"content-type")
        ]
        start["headers"] = kept


def _matches(condition: str | None, tag: str) -> bool:
    if condition is None:
        return False
    opaque = tag.removeprefix("W/")
    given = (one.strip().removeprefix("W/") for one in condition.split(","))
    return condition.strip() == "*" or opaque in given

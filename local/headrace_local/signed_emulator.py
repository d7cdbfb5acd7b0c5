"""Lets through to the emulator what is signed with the credentials of its platform.

ministack takes any credentials, its own root keys without a look at the signature. On a machine of
several users, each of them could then write an API key into its table. Here a request needs a
signature (SigV4, in the header or in the query) made with the secret of this platform.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs, quote

_HEALTH: Final = "/_ministack/health"
_CHUNKS_SIGNED: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_CODE: Final = "SignatureDoesNotMatch"
_MESSAGE: Final = (
    "This emulator takes requests that are signed (SigV4) with the credentials of its platform, "
    "which headrace env prints."
)
_ERROR: Final = f"<Error><Code>{_CODE}</Code><Message>{_MESSAGE}</Message></Error>"


class SignedOnly:
    """Lets requests through that are signed with one key; others get 403.

    Args:
        app: the emulator, an ASGI application.
    """

    def __init__(self, app: _App, access_key: str, secret: str) -> None:
        self._app = app
        self._access_key = access_key
        self._secret = secret

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan" or scope.get("path") == _HEALTH:
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        headers = _headers(scope)
        body = await _body(receive) if _body_is_signed(headers) else None
        if not self._is_signed(scope, headers, body or b""):
            return await _refuse(headers, send)
        return await self._app(scope, receive if body is None else _again(body, receive), send)

    def _is_signed(self, scope: _Scope, headers: Mapping[str, str], body: bytes) -> bool:
        from ministack.core.sigv4 import (
            header_signature_failure,
            parse_header_signature,
            parse_query_signature,
        )

        query = parse_qs(scope.get("query_string", b"").decode(), keep_blank_values=True)
        presigned = "X-Amz-Signature" in query
        found = parse_query_signature(query) if presigned else parse_header_signature(headers)
        if isinstance(found, tuple) or found.access_key_id != self._access_key:
            return False
        path = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
        failure = header_signature_failure(
            found, self._secret, scope["method"], path, query, headers, body, presigned=presigned
        )
        return failure is None


def _headers(scope: _Scope) -> dict[str, str]:
    from ministack.core.sigv4 import decode_header_value

    headers: dict[str, str] = {}
    for name, value in scope.get("headers", ()):
        key, text = name.decode("latin-1").lower(), decode_header_value(value)
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


def _body_is_signed(headers: Mapping[str, str]) -> bool:
    """Whether the signature depends on the body itself. Where its hash is a header, as S3's
    clients send it, a large object need not be held."""
    stated = headers.get("x-amz-content-sha256", "")
    return not stated or stated.startswith(_CHUNKS_SIGNED)


async def _body(receive: _Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: _Receive) -> _Receive:
    """The body once more, and then whatever comes after it."""
    messages: list[_Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> _Message:
        return messages.pop() if messages else await receive()

    return read


async def _refuse(asked: Mapping[str, str], send: _Send) -> None:
    kind, text = _refusal(asked.get("content-type", ""))
    headers = [(b"content-type", kind.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


def _refusal(asked: str) -> tuple[str, str]:
    """An error as the protocol of the request has it, with its content type."""
    if asked.startswith("application/x-amz-json"):
        return asked, json.dumps({"__type": _CODE, "message": _MESSAGE})
    if asked.startswith("application/x-www-form-urlencoded"):
        return "text/xml", f"<ErrorResponse>{_ERROR}</ErrorResponse>"
    return "application/xml", _ERROR

"""Signing in: an API key in a form, kept by the browser, and taken as if it were in the header."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, cast
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from headrace_api import problems
from headrace_api.authentication import Authenticator
from headrace_api.page.rendering import HEADERS, SIGN_IN, PageRoute, view
from headrace_api.page.sign_in_cookie import (
    COOKIE,
    forget,
    is_from_elsewhere,
    is_secure,
    keep,
)
from headrace_api.problems import ApiError, forbidden

_ASGIScope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_AUTHORIZATION: Final = "authorization"
_LONGEST_FORM_BYTES: Final = 16_384

sign_in: Final = APIRouter(route_class=PageRoute)


class SignedIn:
    """Hands the cookie's key on in the header that the Authenticator reads, and refuses what
    another site has a browser send."""

    def __init__(self, app: Callable[[_ASGIScope, _Receive, _Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: _ASGIScope, receive: _Receive, send: _Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        key, said = request.cookies.get(COOKIE), request.headers.get(_AUTHORIZATION, "")
        # No browser sends such a header by itself: CORS decides which pages may.
        is_own_word = said.lower().startswith("bearer ")
        if not is_own_word and is_from_elsewhere(
            request.method, request.headers, has_cookie=key is not None
        ):
            error = forbidden("Another site asked for this; it is only done from its own page.")
            refused = problems.response(error, getattr(request.state, "request_id", None))
            await refused(scope, receive, send)
            return
        if key and not said:
            # In place: what stands outside reads from the scope which route was taken.
            scope["headers"] = _with_key(scope, key)["headers"]
        await self._app(scope, receive, send)


@sign_in.get(SIGN_IN)
async def show_sign_in(request: Request) -> Response:
    """The form."""
    asked = request.query_params.get("next", "/")
    return view(request, "sign_in.html", next=_own_path(asked), trouble="")


@sign_in.post(SIGN_IN)
async def take_key(request: Request) -> Response:
    """Keeps a key that is good, and goes where its owner wanted to."""
    form = await _form(request)
    key, asked = form.get("key", "").strip(), _own_path(form.get("next", "/"))
    try:
        await _check(request, key)
    except ApiError as error:
        told = f"This key does not let you in. {error.problem.detail}"
        return view(request, "sign_in.html", status=401, next=asked, trouble=told)
    response = RedirectResponse(asked, 303, HEADERS)
    keep(response, key, is_secure=is_secure(request))
    return response


@sign_in.post("/sign-out")
async def sign_out(request: Request) -> Response:  # noqa: ARG001 - PageRoute hands it over
    """Forgets the key."""
    response = RedirectResponse(SIGN_IN, 303, HEADERS)
    forget(response)
    return response


async def _check(request: Request, key: str) -> None:
    """Raises ApiError where the Authenticator knows nobody by this key."""
    if not key.isascii() or not key.isprintable() or not key:
        raise forbidden("It has characters that no key has.")
    scope = _with_key(request.scope, key)
    authenticator = cast("Authenticator", request.app.state.authenticator)
    await authenticator.caller(Request(scope))


def _with_key(scope: _ASGIScope, key: str) -> _ASGIScope:
    """A copy: a request that was made of the scope before has read its headers already."""
    name = _AUTHORIZATION.encode()
    others = [header for header in scope["headers"] if header[0] != name]
    return {**scope, "headers": [*others, (name, f"Bearer {key}".encode("latin-1", "replace"))]}


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_FORM_BYTES:
            raise forbidden("This form is longer than any key.")
    return {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}


def _own_path(asked: str) -> str:
    """A path of this page; a link may not send whoever signs in to somebody else's."""
    is_own = asked.startswith("/") and not asked.startswith(("//", "/\\"))
    return asked if is_own and asked.isprintable() else "/"

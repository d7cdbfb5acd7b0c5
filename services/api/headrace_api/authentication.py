"""Who asks: taken from the request, and refused where they may not."""

from __future__ import annotations

import ipaddress
from typing import Protocol, cast

from fastapi import Request

from headrace_api.callers import ANYBODY, Caller, Scope
from headrace_api.key_store import KeyStore
from headrace_api.problems import forbidden, too_many, unauthorized
from headrace_api.rate_limits import RateLimits
from headrace_api.tokens import Tokens
from headrace_shared.api_keys import is_key


class Authenticator(Protocol):
    """Knows callers by what their requests carry."""

    async def caller(self, request: Request) -> Caller:
        """Who asks; raises ApiError (401) where that cannot be known."""


class Everybody:
    """Takes everybody, with every right: for a server that only this machine reaches."""

    async def caller(self, request: Request) -> Caller:
        """Anybody; raises ApiError (403) where a page of elsewhere asks through a browser here.

        A name that its owner lets point to loopback (DNS rebinding) would make this server that
        page's own.
        """
        if not _is_of_here(request.url.hostname or ""):
            raise forbidden("Nobody has to say who they are here, so ask it by a local name.")
        return ANYBODY


def _is_of_here(host: str) -> bool:
    """No name on the internet is without a dot."""
    if "." not in host and ":" not in host:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.endswith(".localhost")


class Bearers:
    """Knows callers by their API key, or by their issuer's token.

    Args:
        keys, tokens: None: not taken.
    """

    def __init__(self, keys: KeyStore | None, tokens: Tokens | None) -> None:
        self._keys = keys
        self._tokens = tokens

    async def caller(self, request: Request) -> Caller:
        """Who shows the header's key or token."""
        token = _bearer(request)
        if is_key(token):
            if self._keys is None:
                raise unauthorized("API keys are not taken here: send a token of the issuer.")
            return await self._keys.caller(token)
        if self._tokens is None:
            raise unauthorized("This is no API key: one begins with hr_.")
        return await self._tokens.caller(token)


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthorized("Say who asks: send the header Authorization: Bearer KEY.", error=None)
    return token.strip()


class Require:
    """A dependency: the caller of a request, who has that scope and is within their limit."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Caller:
        """Raises ApiError: 401, 403 or 429."""
        caller = await known_caller(request)
        if not caller.may(self.scope):
            raise forbidden(f"{caller.name} lacks the scope {self.scope}.", scope=self.scope.value)
        return caller


async def known_caller(request: Request) -> Caller:
    """The caller of a request, whatever they may; counted once for each request."""
    found: Caller | None = getattr(request.state, "caller", None)
    if found is not None:
        return found
    authenticator = cast("Authenticator", request.app.state.authenticator)
    caller = await authenticator.caller(request)
    request.state.caller = caller
    allowance = cast("RateLimits", request.app.state.rate_limits).take(caller.name)
    if allowance is not None:
        request.state.rate_headers = allowance.headers
        if not allowance.allowed:
            raise too_many(f"{caller.name} asks too often", allowance.wait_seconds)
    return caller


def require(scope: Scope) -> Require:
    """A dependency: the caller of a request, who has that scope."""
    return Require(scope)

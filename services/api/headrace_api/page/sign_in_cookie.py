"""The cookie that holds a browser's API key, and which requests may come with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request, Response

COOKIE: Final = "headrace_key"
_LIFE_SECONDS: Final = 30 * 86_400
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def is_signed_in(request: Request) -> bool:
    """Whether a key came with the request; not whether it is a good one."""
    return COOKIE in request.cookies


def keep(response: Response, key: str, *, is_secure: bool) -> None:
    """Has the browser keep the key, out of the reach of scripts and of other sites."""
    response.set_cookie(
        COOKIE, key, max_age=_LIFE_SECONDS, httponly=True, samesite="strict", secure=is_secure
    )


def forget(response: Response) -> None:
    """Has the browser forget the key."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def is_secure(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to the load balancer before us."""
    return "https" in {request.url.scheme, request.headers.get("x-forwarded-proto")}


def is_from_elsewhere(method: str, headers: Mapping[str, str], *, has_cookie: bool) -> bool:
    """Whether another site may have had a browser send a request that changes something.

    A browser says where a request comes from; what says nothing is a script with a key of its
    own, or, with a cookie, a browser too old to be trusted with one.
    """
    if method in _SAFE_METHODS:
        return False
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in {"same-origin", "none"}
    if origin is not None:
        return urlsplit(origin).netloc != headers.get("host")
    return has_cookie

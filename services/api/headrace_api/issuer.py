"""The public keys of an OIDC issuer: read over HTTP, remembered, and read again for new ones.

https://openid.net/specs/openid-connect-discovery-1_0.html
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
import jwt

from headrace_api.settings import safe_url
from headrace_shared.errors import TransientError
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

ALGORITHMS: Final = ("RS256", "ES256")
"""Nothing symmetric, so that the public key can never pass as a secret; nothing unsigned."""

FRESH_SECONDS: Final = 3_600.0
AGAIN_SECONDS: Final = 10.0
"""However many tokens name unknown keys, the issuer is asked no more often than this."""

_TIMEOUT_SECONDS: Final = 5.0
_MOST_BYTES: Final = 262_144


class Issuer:
    """Raises TransientError when the issuer cannot be asked.

    Args:
        url: as the tokens' `iss` says.
        jwks_url: empty: the one of its discovery document.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        jwks_url: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self.url = url
        self._jwks_url = jwks_url
        self._clock = clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._read_at = self._asked_at = -FRESH_SECONDS
        self._failure: TransientError | None = None
        self._one_at_a_time = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """The key of that id; None where the issuer has none."""
        if not self._is_settled(key_id):
            async with self._one_at_a_time:
                if not self._is_settled(key_id):
                    await self._refresh()
        found = self._keys.get(key_id)
        if found is None and self._failure is not None:
            raise self._failure
        return found

    def _is_settled(self, key_id: str) -> bool:
        now = self._clock()
        if now - self._asked_at < AGAIN_SECONDS:
            return True
        return key_id in self._keys and now - self._read_at < FRESH_SECONDS

    async def _refresh(self) -> None:
        """Keys that were read stay good while the issuer is away."""
        self._asked_at = self._clock()
        try:
            if not self._jwks_url:
                self._jwks_url = await self._discover()
            self._keys = _usable(await self._get(self._jwks_url))
        except TransientError as error:
            _log.warning("issuer.unreachable", error=str(error))
            self._failure = error
        else:
            self._read_at, self._failure = self._clock(), None

    async def _discover(self) -> str:
        document = await self._get(f"{self.url.rstrip('/')}/.well-known/openid-configuration")
        found = document.get("jwks_uri")
        if document.get("issuer") != self.url or not isinstance(found, str) or not safe_url(found):
            raise TransientError("the issuer: its discovery document is not of this issuer")
        return found

    async def _get(self, url: str) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        try:
            async with self._http.get(url, timeout=timeout, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise TransientError(f"the issuer: {url} answers {answer.status}")
                document = json.loads(await _limited(answer))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise TransientError(f"the issuer: {url}: {type(error).__name__} {error}") from error
        if not isinstance(document, dict):
            raise TransientError(f"the issuer: {url} is no JSON object")
        return document


async def _limited(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise TransientError(f"the issuer: {answer.url} answers with too much")
    return bytes(body)


def _usable(document: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """The keys that sign in a way that is taken here; an issuer may have others besides."""
    found = {}
    listed = document.get("keys")
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        algorithm = entry.get("alg") or {"RSA": "RS256", "EC": "ES256"}.get(str(entry.get("kty")))
        if algorithm not in ALGORITHMS or not isinstance(entry.get("kid"), str):
            continue
        try:
            found[entry["kid"]] = jwt.PyJWK(entry, algorithm)
        except jwt.PyJWTError:
            continue
    return found

"""Tokens (JWT) of an OIDC issuer: whether one counts, and what it lets its caller see and do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from headrace_api.callers import Caller, PatternError, Scope, TablePattern
from headrace_api.issuer import ALGORITHMS, Issuer
from headrace_api.problems import unauthorized

_LEEWAY_SECONDS: Final = 30
_NEEDED: Final = ("exp", "iss", "aud", "sub")
_MOST_CHARACTERS: Final = 16_384
_MOST_NAME: Final = 128

_TOLD: Final[Mapping[type[Exception], str]] = {
    jwt.ExpiredSignatureError: "The token has expired.",
    jwt.ImmatureSignatureError: "The token is not valid yet.",
    jwt.InvalidAudienceError: "The token is for another audience.",
    jwt.InvalidIssuerError: "The token is of another issuer.",
    jwt.MissingRequiredClaimError: "The token lacks one of exp, iss, aud and sub.",
}
_NOT_GOOD: Final = "The token is not one that its issuer signed for this API."


@dataclass(frozen=True, slots=True)
class Claims:
    """What the claims of a token mean here.

    Args:
        scopes_claim, tables_claim: their names.
        scopes: value of the first -> what it allows.
    """

    audience: str
    scopes_claim: str
    scopes: Mapping[str, Scope]
    tables_claim: str

    def caller(self, claims: Mapping[str, Any]) -> Caller:
        """Who comes with these claims; without tables they see none."""
        asked = (self.scopes.get(value) for value in _values(claims.get(self.scopes_claim)))
        name = str(claims["sub"])[:_MOST_NAME]
        return Caller(
            "".join(one if one.isprintable() else "?" for one in name),
            frozenset(scope for scope in asked if scope is not None),
            tuple(_patterns(claims.get(self.tables_claim))),
        )


class Tokens:
    """Judges tokens; raises TransientError when the issuer's keys cannot be read."""

    def __init__(self, issuer: Issuer, claims: Claims) -> None:
        self._issuer = issuer
        self._claims = claims

    async def caller(self, token: str) -> Caller:
        """Who shows that token; raises ApiError (401) where it does not count."""
        key = await self._issuer.key(_key_id(token))
        if key is None:
            raise unauthorized("The token is signed with a key that its issuer does not have.")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._claims.audience,
                issuer=self._issuer.url,
                leeway=_LEEWAY_SECONDS,
                options={"require": list(_NEEDED)},
            )
        except jwt.PyJWTError as error:
            raise unauthorized(_TOLD.get(type(error), _NOT_GOOD)) from None
        return self._claims.caller(claims)


def _key_id(token: str) -> str:
    """As the header says; the issuer is not asked about what cannot be good."""
    if len(token) > _MOST_CHARACTERS:
        raise unauthorized(_NOT_GOOD)
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise unauthorized(_NOT_GOOD) from None
    if header.get("alg") not in ALGORITHMS:
        raise unauthorized(f"The token is not signed with {' or '.join(ALGORITHMS)}.")
    key_id = header.get("kid")
    if not isinstance(key_id, str):
        raise unauthorized("The token does not say which key it is signed with (kid).")
    return key_id


def _values(claim: object) -> list[str]:
    """A text with spaces between, or a list."""
    if isinstance(claim, str):
        return claim.split()
    return [one for one in claim if isinstance(one, str)] if isinstance(claim, list) else []


def _patterns(claim: object) -> list[TablePattern]:
    found = []
    for text in _values(claim):
        try:
            found.append(TablePattern.of(text))
        except PatternError:
            continue
    return found

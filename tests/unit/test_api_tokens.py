"""Tokens of an issuer count if it signed them for this API; the issuer is a real one, over HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from headrace_api.callers import Scope, TablePattern
from headrace_api.issuer import AGAIN_SECONDS, FRESH_SECONDS, Issuer
from headrace_api.problems import ApiError
from headrace_api.tokens import Claims, Tokens
from headrace_shared.errors import TransientError

AUDIENCE = "headrace"
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


class Clock:
    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        return self.now


class SmallIssuer:
    """Answers with a discovery document and with its keys, as long as it is up."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [
            {**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": "r1", "use": "sig"},
            {**json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key())), "kid": "e1", "alg": "ES256"},
            {"kty": "oct", "k": "c2VjcmV0", "kid": "s1", "alg": "HS256"},
            {"kty": "RSA", "kid": "broken"},
        ]
        self.down = False
        self.claimed: str | None = None
        self.asked: list[str] = []
        handler = self._handler()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                documents: dict[str, Any] = {
                    "/.well-known/openid-configuration": {
                        "issuer": issuer.claimed or issuer.url,
                        "jwks_uri": f"{issuer.url}/keys",
                    },
                    "/keys": {"keys": issuer.keys},
                }
                body = json.dumps(documents.get(self.path)).encode()
                self.send_response(500 if issuer.down else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing is told."""

        return Handler


@pytest.fixture
def issuer() -> Iterator[SmallIssuer]:
    made = SmallIssuer()
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def tokens(issuer: SmallIssuer, clock: Clock) -> AsyncIterator[Tokens]:
    claims = Claims(
        AUDIENCE,
        "scope",
        {"headrace.read": Scope.READ, "headrace.rows": Scope.ROWS},
        "headrace_tables",
    )
    async with aiohttp.ClientSession() as http:
        yield Tokens(Issuer(http, issuer.url, "", clock), claims)


Token = Callable[..., str]


@pytest.fixture
def token(issuer: SmallIssuer) -> Token:
    """A good one, but for what is said."""

    def make(
        *,
        key: Any = RSA_KEY,
        algorithm: str | None = "RS256",
        kid: str | None = "r1",
        **claims: Any,
    ) -> str:
        told = {
            "iss": issuer.url,
            "aud": AUDIENCE,
            "sub": "ada",
            "exp": time.time() + 300,
            "scope": "openid headrace.read",
            "headrace_tables": ["sales.*", "no pattern"],
        } | claims
        given = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(
            given, key, algorithm=algorithm or "none", headers={"kid": kid} if kid else {}
        )

    return make


async def refusal(tokens: Tokens, text: str) -> str:
    with pytest.raises(ApiError) as caught:
        await tokens.caller(text)
    assert caught.value.problem.status == 401
    told = caught.value.problem.model_dump_json()
    assert text not in told
    return told


async def test_good_token_says_who_asks_and_what_they_may(tokens: Tokens, token: Token) -> None:
    caller = await tokens.caller(token())
    assert caller.name == "ada"
    assert caller.scopes == {Scope.READ}
    assert caller.tables == (TablePattern.of("sales.*"),)


async def test_elliptic_curve_and_lists_in_claims_are_taken(tokens: Tokens, token: Token) -> None:
    text = token(
        key=EC_KEY,
        algorithm="ES256",
        kid="e1",
        aud=["other", AUDIENCE],
        scope=["headrace.rows", "headrace.read"],
        headrace_tables="hr.people sales.*",
    )
    caller = await tokens.caller(text)
    assert caller.scopes == {Scope.READ, Scope.ROWS}
    assert caller.sees("hr", "people")


async def test_token_without_the_claims_may_and_sees_nothing(tokens: Tokens, token: Token) -> None:
    caller = await tokens.caller(token(scope=None, headrace_tables=None))
    assert not caller.scopes
    assert not caller.sees("sales", "orders")


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "other"}, "audience"),
        ({"aud": None}, "lacks"),
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"exp": time.time() - 60}, "expired"),
        ({"exp": None}, "lacks"),
        ({"sub": None}, "lacks"),
        # These are made when tests are collected, which may be long before this one runs.
        ({"nbf": time.time() + 86_400}, "not valid yet"),
        ({"key": OTHER_RSA_KEY}, "not one that its issuer signed"),
        ({"kid": "nobody's"}, "does not have"),
        ({"kid": None}, "kid"),
        ({"key": None, "algorithm": None}, "not signed with"),
        ({"key": "a secret as long as it has to be....", "algorithm": "HS256"}, "not signed with"),
        ({"key": OTHER_RSA_KEY, "algorithm": "RS512"}, "not signed with"),
        ({"kid": "e1"}, "not one that its issuer signed"),
        ({"kid": "broken"}, "does not have"),
    ],
)
async def test_token_that_is_not_good_is_refused_with_the_reason(
    tokens: Tokens, token: Token, claims: dict[str, Any], why: str
) -> None:
    assert why in await refusal(tokens, token(**claims))


async def test_expiry_has_a_leeway_of_half_a_minute(tokens: Tokens, token: Token) -> None:
    assert (await tokens.caller(token(exp=time.time() - 20))).name == "ada"


async def test_public_key_is_no_secret_to_sign_with(tokens: Tokens, token: Token) -> None:
    """The classic confusion: HS256 with the public key that everybody has."""
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, payload, _ = token().split(".")
    forged = urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "r1"}).encode()).decode()
    text = f"{forged.rstrip('=')}.{payload}"
    signature = urlsafe_b64encode(hmac.digest(pem, text.encode(), hashlib.sha256)).decode()
    assert header != forged
    assert "not signed with" in await refusal(tokens, f"{text}.{signature.rstrip('=')}")


@pytest.mark.parametrize("text", ["", "a.b.c", "....", "x" * 20_000, "\x00"])
async def test_what_is_no_token_costs_the_issuer_nothing(
    tokens: Tokens, issuer: SmallIssuer, text: str
) -> None:
    with pytest.raises(ApiError):
        await tokens.caller(text)
    assert issuer.asked == []


async def test_keys_are_remembered_and_read_again_in_time(
    tokens: Tokens, issuer: SmallIssuer, token: Token, clock: Clock
) -> None:
    for _ in range(20):
        await tokens.caller(token())
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
    clock.now += FRESH_SECONDS
    await tokens.caller(token())
    assert issuer.asked.count("/keys") == 2


async def test_rotated_key_counts_soon_and_unknown_ones_do_not_flood_the_issuer(
    tokens: Tokens, issuer: SmallIssuer, token: Token, clock: Clock
) -> None:
    await tokens.caller(token())
    fresh = {**json.loads(RSAAlgorithm.to_jwk(OTHER_RSA_KEY.public_key())), "kid": "r2"}
    issuer.keys = [fresh]
    rotated = token(key=OTHER_RSA_KEY, kid="r2")
    for _ in range(20):
        assert "does not have" in await refusal(tokens, rotated)
    clock.now += AGAIN_SECONDS
    assert (await tokens.caller(rotated)).name == "ada"
    assert "does not have" in await refusal(tokens, token())
    assert issuer.asked.count("/keys") == 2


async def test_issuer_that_is_down_is_no_refusal_and_heals(
    tokens: Tokens, issuer: SmallIssuer, token: Token, clock: Clock
) -> None:
    issuer.down = True
    for _ in range(5):
        with pytest.raises(TransientError, match="the issuer"):
            await tokens.caller(token())
    assert len(issuer.asked) == 1
    issuer.down = False
    clock.now += AGAIN_SECONDS
    assert (await tokens.caller(token())).name == "ada"


async def test_known_keys_stay_good_while_the_issuer_is_down(
    tokens: Tokens, issuer: SmallIssuer, token: Token, clock: Clock
) -> None:
    await tokens.caller(token())
    issuer.down = True
    clock.now += FRESH_SECONDS
    assert (await tokens.caller(token())).name == "ada"
    with pytest.raises(TransientError):
        await tokens.caller(token(kid="r2"))


async def test_discovery_document_of_somebody_else_is_not_taken(
    tokens: Tokens, issuer: SmallIssuer, token: Token
) -> None:
    issuer.claimed = "https://elsewhere.example"
    with pytest.raises(TransientError, match="not of this issuer"):
        await tokens.caller(token())

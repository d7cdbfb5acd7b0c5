"""Judges keys: what a key that was shown, and what is kept of it, make of the caller."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Final

from headrace_api.callers import Caller
from headrace_shared.api_keys import ApiKey, hash_of

UNKNOWN: Final = "This API key is not known."
"""One answer for an id that there is not and for a wrong secret: neither is learnt by asking."""


class Refusal(str):
    """Why a key does not count, as its holder is told."""

    __slots__ = ()


def judge(secret: str, kept: ApiKey | None, now: datetime) -> Caller | Refusal:
    """The caller, or why there is none. Only who has the secret learns more than that."""
    expected = kept.secret_hash if kept is not None else ""
    if not hmac.compare_digest(hash_of(secret), expected) or kept is None:
        return Refusal(UNKNOWN)
    if kept.revoked_at is not None:
        return Refusal("This API key was revoked.")
    if kept.expires_at is not None and kept.expires_at <= now:
        return Refusal("This API key has expired.")
    return Caller(f"{kept.name} ({kept.key_id})", kept.scopes, kept.tables)

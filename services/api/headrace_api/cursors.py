"""Cursors: where the next page begins, signed and bound to the filters of the question.

A bare DynamoDB key would let anybody forge a start anywhere; a cursor that was made for one
question is refused for every other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Final
from uuid import UUID

_VERSION: Final = b"\x01"
_SIGNATURE_BYTES: Final = 16
_ID_BYTES: Final = 16


class CursorError(ValueError):
    """The cursor is not one that this API made for this question."""


class Cursors:
    """Makes and reads cursors.

    Args:
        secret: the same for every process of the API.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def write(self, last: UUID, filters: Mapping[str, str | None]) -> str:
        """The cursor of the page after `last`."""
        payload = _VERSION + last.bytes
        signed = payload + self._signature(payload, filters)
        return base64.urlsafe_b64encode(signed).decode().rstrip("=")

    def read(self, cursor: str, filters: Mapping[str, str | None]) -> UUID:
        """The last drop of the page before.

        Raises:
            CursorError: it was edited, or made for other filters.
        """
        try:
            signed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise CursorError("not a cursor") from None
        payload, signature = signed[:-_SIGNATURE_BYTES], signed[-_SIGNATURE_BYTES:]
        if len(payload) != len(_VERSION) + _ID_BYTES or not payload.startswith(_VERSION):
            raise CursorError("not a cursor")
        if not hmac.compare_digest(signature, self._signature(payload, filters)):
            raise CursorError("a cursor of another question")
        return UUID(bytes=payload[len(_VERSION) :])

    def _signature(self, payload: bytes, filters: Mapping[str, str | None]) -> bytes:
        question = json.dumps(dict(filters), sort_keys=True).encode()
        return hmac.digest(self._secret, payload + question, hashlib.sha256)[:_SIGNATURE_BYTES]

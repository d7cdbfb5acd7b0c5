"""Cursors: where the next page begins, sealed and bound to the filters of the question.

A bare DynamoDB key would let anybody forge a start anywhere; a cursor that was made for one
question is refused for every other. And nobody can read it: a page may end at a drop that the
caller does not see, and its id tells when that landed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION: Final = b"\x02"
_NONCE_BYTES: Final = 12
"""Random ones do not meet before billions of cursors (NIST SP 800-38D, section 8.3)."""
_ID_BYTES: Final = 16


class CursorError(ValueError):
    """The cursor is not one that this API made for this question."""


class Cursors:
    """Makes and reads cursors.

    Args:
        secret: the same for every process of the API.
    """

    def __init__(self, secret: str) -> None:
        self._cipher = AESGCM(hashlib.sha256(b"headrace cursors" + secret.encode()).digest())

    def write(self, last: UUID, filters: Mapping[str, str | None]) -> str:
        """The cursor of the page after `last`."""
        return self.seal(last.bytes, filters)

    def read(self, cursor: str, filters: Mapping[str, str | None]) -> UUID:
        """The last drop of the page before.

        Raises:
            CursorError: it was edited, or made for other filters.
        """
        content = self.unseal(cursor, filters)
        if len(content) != _ID_BYTES:
            raise CursorError("a cursor of another question")
        return UUID(bytes=content)

    def seal(self, content: bytes, filters: Mapping[str, str | None]) -> str:
        """Any content as a cursor."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, content, _question(filters))
        return _written(_VERSION + nonce + sealed)

    def unseal(self, cursor: str, filters: Mapping[str, str | None]) -> bytes:
        """The content again.

        Raises:
            CursorError: it was edited, or made for other filters.
        """
        sealed = _bytes(cursor)
        nonce = sealed[len(_VERSION) :][:_NONCE_BYTES]
        if not sealed.startswith(_VERSION) or len(nonce) < _NONCE_BYTES:
            raise CursorError("not a cursor")
        rest = sealed[len(_VERSION) + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, _question(filters))
        except InvalidTag:
            raise CursorError("a cursor of another question") from None


def _question(filters: Mapping[str, str | None]) -> bytes:
    return _VERSION + json.dumps(dict(filters), sort_keys=True).encode()


def _written(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _bytes(cursor: str) -> bytes:
    try:
        sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise CursorError("not a cursor") from None
    # The decoder skips strange characters: only the one spelling that we write is a cursor.
    if _written(sealed) != cursor:
        raise CursorError("not a cursor")
    return sealed

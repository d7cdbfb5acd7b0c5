"""A drop: one version of one object in the lake, and the id that names and orders it.

A drop id is a UUID version 8 (RFC 9562, section 5.8) computed from the S3 event alone:

    landing second (32) | sequencer (48) | hash of bucket, key, version (42)

with the six version and variant bits in their fixed places. Compared as bytes, two ids compare
their landing order. The landing second lasts until the year 2106.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

_SECONDS_BITS = 32
_SEQUENCER_BITS = 48
_HASH_BITS = 42

# S3's sequencers have 16 to 18 hexadecimal digits; its rule for comparing two of unequal length
# is to pad the shorter one with zeros on the right.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
_SEQUENCER_DIGITS = 18


CORRECTS = ".corrects-"
"""Precedes, in a file's name, the id of the drop whose quarantined rows the file corrects:
`users.corrects-<drop id>.csv`. The SQL function `headrace.on_reupload` reads the same names."""

_CORRECTS = re.compile(
    rf"{re.escape(CORRECTS)}([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})(?=\.|\Z)"
)


class Action(StrEnum):
    """What a drop asks for."""

    APPEND = "append"
    TRUNCATE = "truncate"
    UPSERT = "upsert"
    SCHEMA = "schema"


class Drop(BaseModel):
    """One version of one object in the lake.

    `db_name`, `action`, `table_name` and `file` are None where the key does not have the form
    `db_name/action/table_name/file`. `landed_at` is the time of the S3 event as it was given
    (AWS gives whole seconds). `key` is the key itself, never URL-encoded.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    drop_id: UUID
    bucket: str = Field(min_length=1)
    key: str = Field(min_length=1)
    version_id: str | None = None
    etag: str = Field(min_length=1)
    size_bytes: int = Field(ge=0)
    sequencer: str | None = None
    landed_at: datetime
    db_name: str | None = None
    action: Action | None = None
    table_name: str | None = None
    file: str | None = None

    @field_validator("landed_at")
    @classmethod
    def _in_utc(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("a landing time needs a time zone")
        return value.astimezone(UTC)

    @property
    def landed_timestamp(self) -> datetime:
        """The landing time in whole seconds, which is what the drop id orders by."""
        return self.landed_at.replace(microsecond=0)

    @property
    def corrects(self) -> UUID | None:
        """The drop whose quarantined rows this file corrects, as its name says; the last of
        several names is meant, because a correction may have quarantined rows itself."""
        found = _CORRECTS.findall(self.file or "")
        return UUID(found[-1]) if found else None

    @property
    def table(self) -> str:
        """`db_name.table_name` for people; the key where it names no table."""
        return f"{self.db_name}.{self.table_name}" if self.table_name else self.key


def drop_in_ledger(row: Mapping[str, Any]) -> Drop:
    """The drop of a row of the ledger, which has a file's name only where a route gave it one."""
    file = row.get("file") or row["key"].split("/", 3)[3]
    return Drop.model_validate({**row, "file": file})


def file_for_ledger(drop: Drop) -> str | None:
    """What the ledger keeps of a drop's file: nothing where its key says it."""
    parts = drop.key.split("/", 3)
    return None if len(parts) > 3 and parts[3] == drop.file else drop.file


def drop_id(
    *,
    landed_at: datetime,
    sequencer: str | None,
    bucket: str,
    key: str,
    version_id: str | None,
    etag: str,
) -> UUID:
    """The drop id of an S3 event; the same event gives the same id everywhere and always."""
    identity = "\0".join((bucket, key, version_id or etag))
    digest = hashlib.sha256(identity.encode()).digest()
    return _pack(
        seconds=int(landed_at.timestamp()),
        sequence=_sequence(sequencer),
        tail=int.from_bytes(digest[:8]) >> (64 - _HASH_BITS),
    )


def drop_id_bounds(start: datetime | None, end: datetime | None) -> tuple[UUID, UUID]:
    """The smallest and the largest drop id that can land in `start`..`end`.

    Both ends are inclusive and count whole seconds; None leaves an end open.
    """
    last_second = 2**_SECONDS_BITS - 1
    low = 0 if start is None else min(max(int(start.timestamp()), 0), last_second)
    high = last_second if end is None else min(max(int(end.timestamp()), 0), last_second)
    return (
        _pack(low, 0, 0),
        _pack(high, 2**_SEQUENCER_BITS - 1, 2**_HASH_BITS - 1),
    )


def landing_time(drop_id: UUID) -> datetime:
    """The landing time, in whole seconds, that a drop id carries."""
    return datetime.fromtimestamp(drop_id.int >> (128 - _SECONDS_BITS), UTC)


def _sequence(sequencer: str | None) -> int:
    """The low 48 bits of the padded sequencer: they order the versions of one key.

    The high bits are left out because they say again what the landing second says.
    """
    if not sequencer:
        return 0
    padded = sequencer.ljust(_SEQUENCER_DIGITS, "0")[:_SEQUENCER_DIGITS]
    return int(padded, 16) % (1 << _SEQUENCER_BITS)


def _pack(seconds: int, sequence: int, tail: int) -> UUID:
    bits = (seconds << (_SEQUENCER_BITS + _HASH_BITS)) | (sequence << _HASH_BITS) | tail
    # RFC 9562: 48 bits, the version (8), 12 bits, the variant (binary 10), 62 bits.
    high, middle, low = bits >> 74, (bits >> 62) & 0xFFF, bits & (2**62 - 1)
    return UUID(int=(high << 80) | (8 << 76) | (middle << 64) | (0b10 << 62) | low)

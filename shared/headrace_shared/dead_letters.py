"""What does a dead letter say? Decided from its body alone, which anybody may have written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace_shared.drop import drop_id
from headrace_shared.facts import SOURCE, UnknownFactError, decode
from headrace_shared.identifiers import safe_identifier, safe_schema

BEGINNING: Final = 200
"""Characters that are shown of a message that cannot be read."""

_LANDED: Final = "Object Created"


@dataclass(frozen=True)
class Said:
    """A fact, or S3's event of an object that landed."""

    kind: str
    drop_id: UUID
    table: str | None
    key: str


@dataclass(frozen=True)
class Unreadable:
    """A message that no service can read.

    Args:
        why: as one sentence.
        beginning: its first characters, whatever they are.
    """

    why: str
    beginning: str


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Bucket(_Part):
    name: str


class _Object(_Part):
    key: str
    etag: str
    version_id: str | None = Field(None, alias="version-id")
    sequencer: str | None = Field(None, pattern=r"^[0-9A-Fa-f]+$")


class _Detail(_Part):
    bucket: _Bucket
    object: _Object


class _ObjectCreated(_Part):
    """S3's event as EventBridge hands it over.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """

    time: datetime
    detail: _Detail


def read(body: str) -> Said | Unreadable:
    """What the message says, or why that cannot be told."""
    try:
        event: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        return _unreadable(body, f"It is not JSON ({error}).")
    if not isinstance(event, dict):
        return _unreadable(body, "It is JSON, but no event: an event is an object.")
    try:
        return _event(body, event)
    except UnknownFactError as error:
        return _unreadable(body, f"It is a fact that this version cannot read: {error}.")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return _unreadable(body, f"It is no complete event: {place}: {first['msg']}.")


def place(said: Said) -> tuple[str, str] | None:
    """The database and the table that it is of: as the fact says, or, of an object that landed, as
    its key does; None where that names none."""
    if said.table is not None:
        database, _, table = said.table.partition(".")
        return database, table
    parts = said.key.split("/", 3)
    if len(parts) < 4:
        return None
    schema, name = safe_schema(parts[0]), safe_identifier(parts[2])
    return (schema, name) if schema and name else None


def _event(body: str, event: dict[str, Any]) -> Said | Unreadable:
    if event.get("source") == SOURCE:
        return _fact(body)
    if event.get("detail-type") == _LANDED:
        return _landed(event)
    return _unreadable(body, "It is JSON, but neither a fact nor an event of S3.")


def _fact(body: str) -> Said:
    fact = decode(body)
    table = f"{fact.drop.db_name}.{fact.drop.table_name}" if fact.drop.table_name else None
    return Said(fact.detail_type, fact.drop.drop_id, table, fact.drop.key)


def _landed(event: dict[str, Any]) -> Said:
    created = _ObjectCreated.model_validate(event)
    what, bucket = created.detail.object, created.detail.bucket.name
    drop = drop_id(
        landed_at=created.time,
        sequencer=what.sequencer,
        bucket=bucket,
        key=what.key,
        version_id=what.version_id,
        etag=what.etag,
    )
    return Said(_LANDED, drop, None, what.key)


def _unreadable(body: str, why: str) -> Unreadable:
    return Unreadable(why, body[:BEGINNING])

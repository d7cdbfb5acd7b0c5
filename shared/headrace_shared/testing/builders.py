"""Drops, facts and messages with everything in them that a test does not care about."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace_shared.drop import Action, Drop, drop_id
from headrace_shared.facts import Fact
from headrace_shared.inbox import Message

EPOCH = datetime(2026, 11, 20, 12, tzinfo=UTC)


def a_drop(key: str = "dev/append/users/a.csv", *, second: int = 0, **changes: Any) -> Drop:
    """A routed drop that landed so many seconds after noon."""
    landed_at = EPOCH + timedelta(seconds=second)
    parts = (*key.split("/", 3), None, None, None)
    placed = len(key.split("/", 3)) == 4
    values = {
        "drop_id": drop_id(
            landed_at=landed_at,
            sequencer=None,
            bucket="lake",
            key=key,
            version_id=None,
            etag="e1",
        ),
        "bucket": "lake",
        "key": key,
        "etag": "e1",
        "size_bytes": 10,
        "landed_at": landed_at,
        "db_name": parts[0] if placed else None,
        "action": Action(str(parts[1])) if placed else None,
        "table_name": parts[2] if placed else None,
        "file": parts[3] if placed else None,
    }
    return Drop.model_validate({**values, **changes})


def an_envelope(fact: Fact, **changes: Any) -> str:
    """The SQS body of a fact as EventBridge writes it; `changes` go into its detail."""
    detail = {**json.loads(fact.model_dump_json()), **changes}
    return json.dumps({"detail-type": fact.detail_type, "source": "headrace", "detail": detail})


def a_message(body: str, *, attempt: int = 1) -> Message:
    """A delivery."""
    return Message("m1", body, f"r{attempt}", attempt)


def an_s3_event(key: str = "dev/append/users/a.csv", **changes: Any) -> str:
    """The SQS body of an S3 event; `changes` go into its object."""
    what = {"key": key, "size": 10, "etag": "e1", "sequencer": "00635A8B5EDD9A5C9A", **changes}
    return json.dumps(
        {
            "detail-type": "Object Created",
            "source": "aws.s3",
            "time": "2026-11-20T12:00:00Z",
            "detail": {"bucket": {"name": "lake"}, "object": what, "reason": "PutObject"},
        }
    )

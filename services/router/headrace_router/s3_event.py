"""The S3 event as EventBridge hands it over; nothing is decided here.

Keys in EventBridge's S3 events are raw: unlike those of S3's own notifications they are not
URL-encoded, and decoding them would break keys that hold a plus or a percent sign.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from headrace_shared.drop import Drop, drop_id


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Bucket(_Part):
    name: str = Field(min_length=1)


class _Object(_Part):
    key: str = Field(min_length=1)
    size: int = Field(ge=0)
    etag: str = Field(min_length=1)
    version_id: str | None = Field(None, alias="version-id")
    sequencer: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]+$")] | None = None


class _Detail(_Part):
    bucket: _Bucket
    object: _Object


class ObjectCreated(_Part):
    """One `Object Created` event."""

    detail_type: Literal["Object Created"] = Field(alias="detail-type")
    time: datetime
    detail: _Detail

    def drop(self) -> Drop:
        """The drop that landed; where it is to go is left open."""
        what, bucket = self.detail.object, self.detail.bucket.name
        return Drop(
            drop_id=drop_id(
                landed_at=self.time,
                sequencer=what.sequencer,
                bucket=bucket,
                key=what.key,
                version_id=what.version_id,
                etag=what.etag,
            ),
            bucket=bucket,
            key=what.key,
            version_id=what.version_id,
            etag=what.etag,
            size_bytes=what.size,
            sequencer=what.sequencer,
            landed_at=self.time,
        )

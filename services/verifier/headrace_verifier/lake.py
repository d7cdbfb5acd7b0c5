"""Walks through every version in the lake, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict

from headrace_shared.aws import transient_aws_errors
from headrace_verifier.records import Version

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import ObjectVersionTypeDef

_UNVERSIONED: Final = "null"
"""The version id of an object that was uploaded while versioning was off:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html"""


class Marker(TypedDict, total=False):
    """Where a listing goes on; empty for its beginning."""

    KeyMarker: str
    VersionIdMarker: str


@dataclass(frozen=True, slots=True)
class LakePage:
    """At most a thousand versions, and where the next page begins (None: it was the last)."""

    versions: Sequence[Version]
    marker: Marker | None


class Lake:
    """Raises TransientError when the lake cannot be reached."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    async def pages(self, prefix: str, marker: Marker) -> AsyncIterator[LakePage]:
        """Every version whose key begins with the prefix, in the order of the keys.

        Args:
            marker: where an earlier walk stopped.
        """
        more: Marker | None = marker
        while more is not None:
            page = await self._page(prefix, more)
            yield page
            more = page.marker

    async def _page(self, prefix: str, marker: Marker) -> LakePage:
        with transient_aws_errors("listing the lake"):
            answer = await self._client.list_object_versions(
                Bucket=self._bucket, Prefix=prefix, **marker
            )
        more: Marker | None = None
        if answer["IsTruncated"]:
            more = {
                "KeyMarker": answer["NextKeyMarker"],
                "VersionIdMarker": answer["NextVersionIdMarker"],
            }
        return LakePage([self._version(one) for one in answer.get("Versions", [])], more)

    def _version(self, listed: ObjectVersionTypeDef) -> Version:
        version_id = listed["VersionId"]
        return Version(
            bucket=self._bucket,
            key=listed["Key"],
            version_id=None if version_id == _UNVERSIONED else version_id,
            etag=listed["ETag"].strip('"'),
            size_bytes=listed["Size"],
            modified=listed["LastModified"],
            is_latest=listed["IsLatest"],
        )

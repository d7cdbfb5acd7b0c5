"""The lake: opens exactly the version of the object that a drop is, and streams its bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol

from botocore.exceptions import ClientError

from headrace_shared.aws import error_code, transient_aws_errors
from headrace_shared.drop import Drop
from headrace_shared.errors import PermanentError, TransientError
from headrace_shared.reasons import Reason

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import GetObjectOutputTypeDef

BLOCK_BYTES: Final = 256 * 1024

_BLOCKS_AHEAD: Final = 8
"""Two megabytes a load: enough to keep COPY fed, little beside what a process holds anyway."""

_GONE: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NoSuchBucket", "MethodNotAllowed"})
_OTHER_ETAG: Final = frozenset({"412", "PreconditionFailed"})

Blocks = AsyncIterator[bytes]


class Lake(Protocol):
    """Where the files of drops are."""

    def open(self, drop: Drop) -> AbstractAsyncContextManager[Blocks]:
        """The bytes of a drop's file as blocks of at most 256 KiB."""


class S3Lake:
    """Reads by version id; else by etag; else finds the version that has the etag.

    The key may have been overwritten since the drop landed: both versions are drops.
    """

    def __init__(self, client: S3Client) -> None:
        self._client = client

    @asynccontextmanager
    async def open(self, drop: Drop) -> AsyncIterator[Blocks]:
        """The object's bytes as blocks of at most 256 KiB.

        Raises:
            PermanentError: that version is not in the lake any more.
            TransientError: the lake could not be reached, or the stream broke off.
        """
        answer = await self._get(drop)
        async with answer["Body"], _read_ahead(_blocks(answer)) as blocks:
            yield blocks

    async def _get(self, drop: Drop) -> GetObjectOutputTypeDef:
        with transient_aws_errors(f"reading {drop.key}"):
            try:
                return await self._get_as_named(drop)
            except ClientError as error:
                if error_code(error) not in _GONE | _OTHER_ETAG:
                    raise
            if drop.version_id is None:
                version_id = await self._version_with_etag(drop)
                if version_id is not None:
                    return await self._client.get_object(
                        Bucket=drop.bucket, Key=drop.key, VersionId=version_id
                    )
        raise _gone(drop)

    async def _get_as_named(self, drop: Drop) -> GetObjectOutputTypeDef:
        if drop.version_id is not None:
            return await self._client.get_object(
                Bucket=drop.bucket, Key=drop.key, VersionId=drop.version_id
            )
        return await self._client.get_object(
            Bucket=drop.bucket, Key=drop.key, IfMatch=f'"{drop.etag}"'
        )

    async def _version_with_etag(self, drop: Drop) -> str | None:
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=drop.bucket, Prefix=drop.key
        )
        async for page in pages:
            for version in page.get("Versions", []):
                if version["Key"] == drop.key and version["ETag"].strip('"') == drop.etag:
                    return version["VersionId"]
        return None


async def _blocks(answer: GetObjectOutputTypeDef) -> Blocks:
    read, body = 0, answer["Body"]
    with transient_aws_errors("reading an object's bytes"):
        while block := await body.read(BLOCK_BYTES):
            read += len(block)
            yield block
    if read != answer["ContentLength"]:
        raise TransientError(f"the object ended after {read} of {answer['ContentLength']} bytes")


@asynccontextmanager
async def _read_ahead(blocks: Blocks) -> AsyncIterator[Blocks]:
    """Reads on while the warehouse is busy with what it has: the two take turns otherwise."""
    ready: asyncio.Queue[bytes | Exception] = asyncio.Queue(_BLOCKS_AHEAD)

    async def read() -> None:
        try:
            async for block in blocks:
                await ready.put(block)
            await ready.put(b"")
        except Exception as error:  # noqa: BLE001 - raised again by whoever takes the blocks
            await ready.put(error)

    reading = asyncio.create_task(read())
    try:
        yield _taken(ready)
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading


async def _taken(ready: asyncio.Queue[bytes | Exception]) -> Blocks:
    while block := await ready.get():
        if isinstance(block, Exception):
            raise block
        yield block


def _gone(drop: Drop) -> PermanentError:
    return PermanentError(
        Reason(
            code="object_missing",
            message=f"The object {drop.key!r} is not in the lake any more as it landed "
            f"(etag {drop.etag}): it was deleted before it could be read.",
            remedy="Upload the file again; keep versioning switched on, so that a file deleted or "
            "overwritten early can still be read.",
        )
    )

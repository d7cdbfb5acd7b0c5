"""Reads the quarantine's bucket: the bad rows of a drop, from a stream, in constant memory."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from headrace_shared.aws import error_code, transient_aws_errors
from headrace_shared.drop import Drop
from headrace_shared.quarantine import FORMAT, quarantine_key

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

_CHUNK_BYTES: Final = 65_536
_GZIP: Final = 16 + zlib.MAX_WBITS


class UnknownFormatError(Exception):
    """The file was written by a version that this one does not know."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The bad rows of a drop.

    Args:
        about: what is said of all of them.
        rows: each as one line of JSON, in the order of the file.
    """

    about: Mapping[str, Any]
    rows: AsyncIterator[bytes]

    async def page(self, begin: int, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """So many rows from the one with that number (the first is 0), and whether more follow.
        Those before it are read too, and passed over."""
        found: list[dict[str, Any]] = []
        numbers = count()
        async for line in self.rows:
            if next(numbers) < begin:
                continue
            if len(found) == limit:
                return found, True
            found.append(json.loads(line))
        return found, False


class KeptRows:
    """Raises TransientError where the bucket cannot be reached."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    @asynccontextmanager
    async def of(self, drop: Drop) -> AsyncIterator[Kept | None]:
        """The rows of a drop, to be read within the block; None where there are none.

        Raises:
            UnknownFormatError: they are kept in a form of another version.
        """
        try:
            with transient_aws_errors("the quarantine"):
                answer = await self._client.get_object(
                    Bucket=self._bucket, Key=quarantine_key(drop)
                )
        except ClientError as error:
            if error_code(error) != "NoSuchKey":
                raise
            yield None
            return
        async with answer["Body"] as body:
            lines = _lines(body)
            about = json.loads(await anext(lines))
            if about.get("format") != FORMAT:
                raise UnknownFormatError(str(about.get("format")))
            yield Kept(about, lines)


async def _lines(body: Any) -> AsyncIterator[bytes]:
    unpack, rest = zlib.decompressobj(_GZIP), b""
    with transient_aws_errors("the quarantine"):
        async for packed in body.iter_chunks(_CHUNK_BYTES):
            *whole, rest = (rest + unpack.decompress(packed)).split(b"\n")
            for line in whole:
                yield line
    if rest:
        yield rest

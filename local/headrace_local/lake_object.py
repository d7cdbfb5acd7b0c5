"""What the lake holds at a key, and whether those are the bytes of a file."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headrace_local.aws_errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MEBIBYTE: Final = 1024 * 1024

_USUAL_PARTS: Final = (8 * MEBIBYTE, 16 * MEBIBYTE, 5 * MEBIBYTE, 64 * MEBIBYTE)
"""Part sizes of common clients, the AWS CLI and this one among them: the first two."""

_READ_BYTES: Final = MEBIBYTE
_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_NO_HASH: Final = "aws:kms"
"""Of objects that are encrypted with KMS the etag is no MD5:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html"""


@dataclass(frozen=True)
class LakeObject:
    """The newest version of one key.

    Args:
        part_bytes: the size of its first part, where S3 knows it.
        has_hash: whether the etag is an MD5 of the bytes, or of the MD5s of the parts.
    """

    etag: str
    version_id: str | None
    size_bytes: int
    modified: datetime
    has_hash: bool = True
    part_bytes: int | None = None

    def is_later_than(self, before: LakeObject | None) -> bool:
        """Whether it was written after an earlier look. Of two uploads of the same bytes into a
        bucket without versions, in one second, it does not show."""
        if before is None:
            return True
        if self.version_id is not None and before.version_id is not None:
            return self.version_id != before.version_id
        return (self.etag, self.modified) != (before.etag, before.modified)


def newest(s3: S3Client, bucket: str, key: str) -> LakeObject | None:
    """The newest version of a key; None if there is none.

    Raises:
        ClientError, BotoCoreError: S3 does not say.
    """
    from botocore.exceptions import ClientError

    try:
        found = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_code(error) in _MISSING:
            return None
        raise
    etag = found["ETag"].strip('"')
    return LakeObject(
        etag=etag,
        version_id=found.get("VersionId"),
        size_bytes=found["ContentLength"],
        modified=found["LastModified"],
        has_hash=found.get("ServerSideEncryption") != _NO_HASH,
        part_bytes=_part_bytes(s3, bucket, key) if "-" in etag else None,
    )


def has_bytes_of(found: LakeObject, path: Path) -> bool | None:
    """Whether an object has the bytes of a file; None where its etag does not show it.

    Raises:
        OSError: the file cannot be read.
    """
    if found.size_bytes != path.stat().st_size:
        return False
    if not found.has_hash:
        return None
    digest, _, parts = found.etag.partition("-")
    if not parts:
        return digest == _md5(path).hex()
    sizes = [found.part_bytes] if found.part_bytes else _part_sizes(found.size_bytes, int(parts))
    if any(digest == _md5_of_parts(path, size) for size in sizes):
        return True
    return False if found.part_bytes else None


def _part_bytes(s3: S3Client, bucket: str, key: str) -> int | None:
    """The size of the first part; not every S3 tells it."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        first = s3.head_object(Bucket=bucket, Key=key, PartNumber=1)
    except (ClientError, BotoCoreError):
        return None
    return first["ContentLength"] if first.get("PartsCount") else None


def _part_sizes(size_bytes: int, parts: int) -> list[int]:
    """The usual part sizes that cut an object into this number of parts."""
    return [size for size in _USUAL_PARTS if math.ceil(size_bytes / size) == parts]


def _md5_of_parts(path: Path, part_bytes: int) -> str:
    """What S3 makes the etag of, without the number of parts."""
    count = math.ceil(path.stat().st_size / part_bytes)
    digests = [_md5(path, number * part_bytes, part_bytes) for number in range(count)]
    return hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()


def _md5(path: Path, start: int = 0, length: int | None = None) -> bytes:
    digest, left = hashlib.md5(usedforsecurity=False), length
    with path.open("rb") as file:
        file.seek(start)
        while left is None or left > 0:
            block = file.read(_READ_BYTES if left is None else min(left, _READ_BYTES))
            if not block:
                break
            digest.update(block)
            left = None if left is None else left - len(block)
    return digest.digest()

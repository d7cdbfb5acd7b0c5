"""The quarantine: a second bucket, in which each drop with bad rows has one file that keeps them.

The file is gzipped newline JSON: a first line about the drop, then one line for each bad record
with its place, its faults and itself as it stood in the file.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from headrace_loader.sifting.batches import BadRecord
from headrace_shared.aws import transient_aws_errors
from headrace_shared.drop import Drop
from headrace_shared.quarantine import FORMAT, quarantine_key
from headrace_shared.text_encodings import encoded, marked

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client


class BadRowsKeeper(Protocol):
    """Keeps the bad rows of drops."""

    async def keep(
        self,
        drop: Drop,
        bad: Iterable[BadRecord],
        *,
        header: str | None,
        encoding: str,
        set_aside: bool,
    ) -> None:
        """See `Quarantine.keep`."""


class Quarantine:
    """Keeps bad rows."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    async def keep(
        self,
        drop: Drop,
        bad: Iterable[BadRecord],
        *,
        header: str | None,
        encoding: str,
        set_aside: bool,
    ) -> None:
        """Writes the drop's file anew.

        Args:
            header: the file's first line, if it has one.
            encoding: what header and rows have to be written in, to be read as the file was.
            set_aside: the other rows are loaded; else the whole drop is rejected.

        Raises:
            TransientError: the bucket could not be reached.
        """
        about = {
            "format": FORMAT,
            "drop_id": str(drop.drop_id),
            "bucket": drop.bucket,
            "key": drop.key,
            "version_id": drop.version_id,
            "set_aside": set_aside,
            "header": header,
            "encoding": encoding,
        }
        lines = [about, *(_told(one, encoding) for one in bad)]
        content = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        with transient_aws_errors("writing to the quarantine"):
            await self._client.put_object(
                Bucket=self._bucket,
                Key=quarantine_key(drop),
                Body=gzip.compress(content.encode(), mtime=0),
                ContentType="application/gzip",
            )


def _told(bad: BadRecord, encoding: str) -> dict[str, Any]:
    record = bad.record
    return {
        "record": record.number,
        "line": record.line,
        "byte_offset": record.byte_offset,
        "faults": [
            {
                "code": fault.code,
                "column": fault.column,
                "value": fault.value,
                "reason": fault.reason,
            }
            for fault in bad.faults
        ],
        **_raw(record.raw, encoding),
    }


def _raw(raw: bytes, encoding: str) -> dict[str, str]:
    """A record as text; where a byte of it cannot be decoded, as the bytes of the file."""
    try:
        return {"raw": raw.decode()}
    except UnicodeDecodeError:
        source = raw if encoding.startswith("utf-8") else encoded(marked(raw), encoding)
        return {"raw_base64": base64.b64encode(source).decode()}

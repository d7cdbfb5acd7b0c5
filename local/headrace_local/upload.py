"""Files into the lake, and what S3 answered.

Uploads go through s3transfer: in parts when large, never whole in memory. S3's answer gives the
etag and the version id by which the drop is recognised in the log.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from headrace_local.destination import STANDARD_INPUT, Planned, unreadable
from headrace_local.errors import CommandError, PlatformError, UserError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PART_BYTES: Final = 8 * 1024 * 1024
_STREAM_PART_BYTES: Final = 16 * 1024 * 1024
"""An upload has at most 10,000 parts
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html): of a stream, whose end nobody
knows, that is 156 GiB. Parts of a file grow with it."""

_PARTS_AT_ONCE: Final = 4
_LISTEN_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Landed:
    """An object that S3 has taken: what the log will know it by."""

    bucket: str
    key: str
    etag: str
    version_id: str | None
    size_bytes: int


class UploadStopped(Exception):  # noqa: N818 - nothing went wrong: the user ended it
    """The upload was given up on request; nothing of it is in the lake."""


class Uploader:
    """Uploads to one bucket, from several threads if need be.

    Args:
        stop: once set, uploads under way end with `UploadStopped`.
    """

    def __init__(self, s3: S3Client, bucket: str, stop: threading.Event) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._stop = stop
        self._answers: dict[str, dict[str, Any]] = {}
        # s3transfer does not hand on what S3 answered, so it is heard at the client.
        for operation in ("PutObject", "CompleteMultipartUpload"):
            s3.meta.events.register(f"before-parameter-build.s3.{operation}", _note_key)
            s3.meta.events.register(f"after-call.s3.{operation}", self._note_answer)

    def check(self) -> timedelta:
        """Asks for the bucket before anything is sent, and how far S3's clock is ahead of ours.

        Raises:
            UserError: there is no such bucket, or no credentials.
            PlatformError: S3 does not answer.
        """
        from botocore.exceptions import ClientError

        with told_errors(f"s3://{self._bucket}"):
            try:
                answer: Any = self._s3.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                # Who may put objects need not be allowed to look at the bucket.
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
                    raise
                answer = error.response
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return parsedate_to_datetime(date) - datetime.now(UTC) if date else timedelta()

    def upload(self, planned: Planned, on_bytes: Callable[[int], None]) -> Landed:
        """Uploads one file and returns what S3 took.

        Args:
            on_bytes: hears how many more bytes were sent.

        Raises:
            UploadStopped: `stop` was set.
            CommandError: the file could not be read or S3 refused it.
        """
        sent = 0

        def hear(count: int) -> None:
            nonlocal sent
            if self._stop.is_set():
                raise UploadStopped
            sent += count
            on_bytes(count)

        with told_errors(f"s3://{self._bucket}/{planned.key}"), self._opened(planned) as file:
            self._s3.upload_fileobj(
                file,
                self._bucket,
                planned.key,
                Callback=hear,
                Config=_transfer_config(is_stream=planned.size_bytes is None),
            )
        answer = self._answers.pop(planned.key)
        return Landed(
            bucket=self._bucket,
            key=planned.key,
            etag=str(answer["ETag"]).strip('"'),
            version_id=answer.get("VersionId"),
            size_bytes=sent,
        )

    @contextmanager
    def _opened(self, planned: Planned) -> Iterator[BinaryIO]:
        if planned.source == STANDARD_INPUT:
            yield cast("BinaryIO", _Stream(sys.stdin.buffer, self._stop))
            return
        with _readable(planned.source), Path(planned.source).open("rb") as file:
            is_stream = planned.size_bytes is None
            yield cast("BinaryIO", _Stream(file, self._stop)) if is_stream else file

    def _note_answer(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if "ETag" in parsed:
            self._answers[context["headrace_key"]] = parsed


class _Stream:
    """Reads what is not a file, and stops waiting for more when asked to."""

    def __init__(self, file: BinaryIO, stop: threading.Event) -> None:
        self._file = file
        self._stop = stop

    def read(self, count: int = -1) -> bytes:
        blocks: list[bytes] = []
        wanted = count
        while wanted:
            self._wait()
            block = os.read(self._file.fileno(), wanted if wanted > 0 else _PART_BYTES)
            if not block:
                break
            blocks.append(block)
            wanted -= len(block) if count >= 0 else 0
        return b"".join(blocks)

    def _wait(self) -> None:
        while not select.select([self._file], [], [], _LISTEN_SECONDS)[0]:
            if self._stop.is_set():
                raise UploadStopped


@contextmanager
def _readable(source: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unreadable(source, error.strerror or str(error)) from None


@contextmanager
def told_errors(where: str) -> Iterator[None]:
    """Raises in place of boto3's errors those that tell a user what to do."""
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except S3UploadFailedError as error:
        cause = error.__cause__ or error.__context__
        raise (
            _told(cause, where) if isinstance(cause, ClientError) else _failed(error, where)
        ) from None
    except (ClientError, BotoCoreError) as error:
        raise _told(error, where) from None


def _told(error: Exception, where: str) -> CommandError:
    from botocore.exceptions import (
        ClientError,
        ConnectionError,  # noqa: A004 - botocore's own
        HTTPClientError,
        NoCredentialsError,
        NoRegionError,
    )

    if isinstance(error, NoCredentialsError):
        return UserError(
            "There are no AWS credentials.",
            where,
            "Log in (`aws sso login`, `aws configure`), or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY.",
        )
    if isinstance(error, NoRegionError):
        return UserError("No AWS region is set.", where, "Set AWS_REGION.")
    if isinstance(error, (HTTPClientError, ConnectionError)):
        return PlatformError(
            f"S3 does not answer: {error}",
            where,
            "Does the platform run (`headrace up`)? Is --endpoint-url right?",
        )
    if isinstance(error, ClientError):
        return _refused(error, where)
    return _failed(error, where)


def _refused(error: Any, where: str) -> CommandError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in ("404", "NoSuchBucket"):
        return UserError("There is no such bucket.", where, "Check --bucket or LAKE_BUCKET.")
    if code in (
        "403",
        "AccessDenied",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
    ):
        return UserError(
            f"S3 does not let these credentials in ({code}).",
            where,
            "Use credentials that may put objects there (s3:PutObject).",
        )
    return _failed(error, where)


def _failed(error: Exception, where: str) -> PlatformError:
    return PlatformError(f"The upload failed: {error}", where, "Try again.")


def _transfer_config(*, is_stream: bool) -> Any:
    from boto3.s3.transfer import TransferConfig

    part = _STREAM_PART_BYTES if is_stream else _PART_BYTES
    return TransferConfig(
        multipart_threshold=part, multipart_chunksize=part, max_concurrency=_PARTS_AT_ONCE
    )


def _note_key(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    context["headrace_key"] = params["Key"]

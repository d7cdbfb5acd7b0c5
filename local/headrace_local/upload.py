"""Files into the lake, and what S3 answered.

Uploads go through s3transfer: in parts when large, never whole in memory. S3's answer gives the
etag and the version id by which the drop is recognised in the log.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from headrace_local.destination import Planned
from headrace_local.errors import CommandError, PlatformError
from headrace_local.lake_object import LakeObject, has_bytes_of, newest
from headrace_local.upload_attempt import (
    Attempt,
    UnknownLandingError,
    Watched,
    unknown_landing,
)
from headrace_local.upload_errors import told_errors
from headrace_local.upload_source import UploadStopped, opened, readable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PART_BYTES: Final = 8 * 1024 * 1024
_STREAM_PART_BYTES: Final = 16 * 1024 * 1024
"""An upload has at most 10,000 parts
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html): of a stream, whose end nobody
knows, that is 156 GiB. Parts of a file grow with it."""

_PARTS_AT_ONCE: Final = 4

_LOOKS_SECONDS: Final = (0.0, 0.5, 1.0, 1.5)
"""S3 shows an object as soon as it has taken it; a request may be a moment under way."""

_SLOW_DOWN: Final = 503
_S3_FAILED: Final = 500
"""The errors of S3 itself; a 502 or 504 is of something before it, which knows less:
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""


@dataclass(frozen=True)
class Landed:
    """An object that S3 has taken: what the log will know it by."""

    bucket: str
    key: str
    etag: str
    version_id: str | None
    size_bytes: int


class Uploader:
    """Uploads to one bucket, from several threads if need be.

    Args:
        stop: once set, uploads under way end with `UploadStopped`.
        looks: after a lost answer the lake is asked so many times, each after so many seconds.
    """

    def __init__(
        self,
        s3: S3Client,
        bucket: str,
        stop: threading.Event,
        looks: Sequence[float] = _LOOKS_SECONDS,
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._stop = stop
        self._looks = looks
        self._attempts: dict[str, Attempt] = {}
        # s3transfer does not pass on what S3 answered, so it is taken from the client's events.
        events = s3.meta.events
        for operation in ("PutObject", "CompleteMultipartUpload"):
            events.register(f"before-parameter-build.s3.{operation}", _note_key)
            events.register(f"before-send.s3.{operation}", self._note_request)
            events.register(f"after-call.s3.{operation}", self._note_answer)
        events.register_first("needs-retry.s3.PutObject", self._refuse_retry)

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

    def look_before(self, planned: Planned) -> LakeObject | None:
        """What is at the key of a file before its upload; None also where S3 does not say."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = newest(self._s3, self._bucket, planned.key)
        except (ClientError, BotoCoreError):
            self._attempts[planned.key] = Attempt(None, is_seen=False)
            return None
        self._attempts[planned.key] = Attempt(found, is_seen=True)
        return found

    def upload(self, planned: Planned, on_bytes: Callable[[int], None]) -> Landed:
        """Uploads one file and returns what S3 took.

        Args:
            on_bytes: gets how many more bytes were sent.

        Raises:
            UploadStopped: `stop` was set; nothing of the file is in the lake.
            UnknownLandingError: it may be in the lake or not.
            CommandError: the file could not be read or S3 refused it; nothing of it is there.
        """
        if self._stop.is_set():
            raise UploadStopped
        if planned.key not in self._attempts:
            self.look_before(planned)
        attempt, sent = self._attempts[planned.key], 0

        def count(number: int) -> None:
            nonlocal sent
            if self._stop.is_set():
                raise UploadStopped
            sent += number
            on_bytes(number)

        try:
            self._send(planned, count)
        except (UploadStopped, CommandError) as error:
            if attempt.answer is None:
                return self._settled(planned, attempt, error)
        finally:
            del self._attempts[planned.key]
        assert attempt.answer is not None
        return Landed(
            bucket=self._bucket,
            key=planned.key,
            etag=str(attempt.answer["ETag"]).strip('"'),
            version_id=attempt.answer.get("VersionId"),
            size_bytes=sent if planned.size_bytes is None else planned.size_bytes,
        )

    def unknown(self, planned: Planned, cause: str) -> UnknownLandingError:
        """The error of a file of which nothing shows whether S3 has taken it."""
        return unknown_landing(
            self._s3, self._bucket, planned.key, self._attempts.get(planned.key), cause
        )

    def _send(self, planned: Planned, count: Callable[[int], None]) -> None:
        with told_errors(f"s3://{self._bucket}/{planned.key}"), opened(planned, self._stop) as file:
            self._s3.upload_fileobj(
                file,
                self._bucket,
                planned.key,
                Callback=count,
                Config=_transfer_config(is_stream=planned.size_bytes is None),
            )

    def _settled(
        self, planned: Planned, attempt: Attempt, error: UploadStopped | CommandError
    ) -> Landed:
        """What became of an upload without an answer: the lake itself is asked."""
        if attempt.whole:
            found = self._found(planned, attempt)
            if found is not None:
                return Landed(
                    self._bucket, planned.key, found.etag, found.version_id, found.size_bytes
                )
            if not attempt.refused:
                cause = error.what if isinstance(error, CommandError) else "You stopped the upload."
                raise unknown_landing(self._s3, self._bucket, planned.key, attempt, cause)
        if self._stop.is_set() or isinstance(error, UploadStopped):
            raise UploadStopped
        if isinstance(error, PlatformError):
            raise PlatformError(
                f"{error.what} Nothing of the file is in the lake.", error.where, error.what_to_do
            )
        raise error

    def _found(self, planned: Planned, attempt: Attempt) -> LakeObject | None:
        """The object that the upload made, if it is there."""
        from botocore.exceptions import BotoCoreError, ClientError

        for pause in self._looks if attempt.is_seen else ():
            time.sleep(pause)
            try:
                found = newest(self._s3, self._bucket, planned.key)
            except (ClientError, BotoCoreError):
                return None
            if found is not None and found.is_later_than(attempt.before):
                return found if _is_of(found, planned) else None
        return None

    def _note_request(self, request: Any, **_: Any) -> None:
        """Notes when S3 has been sent all of an object, or all that it makes one of."""
        path = unquote(urlsplit(request.url).path).removeprefix("/")
        attempt = self._attempts.get(path) or self._attempts.get(
            path.removeprefix(f"{self._bucket}/")
        )
        if attempt is None:
            return
        if hasattr(request.body, "read"):
            request.body = Watched(request.body, attempt)
        else:
            attempt.whole = True

    def _note_answer(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        attempt = self._attempts.get(context["headrace_key"])
        if attempt is not None and "ETag" in parsed:
            attempt.answer = parsed

    def _refuse_retry(
        self,
        response: tuple[Any, dict[str, Any]] | None,
        caught_exception: Exception | None,
        request_dict: dict[str, Any],
        **_: Any,
    ) -> None:
        """A second PutObject would make a second version, and so a second drop: what S3 may have
        taken is not sent again. S3's own "slow down" (503) says that it has not."""
        from botocore.exceptions import ClientError

        attempt = self._attempts.get(request_dict["context"].get("headrace_key", ""))
        if attempt is None or not attempt.whole:
            return
        if caught_exception is not None:
            raise caught_exception
        status = response[0].status_code if response else 200
        if status >= 500 and status != _SLOW_DOWN:
            attempt.refused = status == _S3_FAILED
            assert response is not None
            raise ClientError(response[1], "PutObject")  # type: ignore[arg-type]


def _transfer_config(*, is_stream: bool) -> Any:
    from boto3.s3.transfer import TransferConfig

    part = _STREAM_PART_BYTES if is_stream else _PART_BYTES
    return TransferConfig(
        multipart_threshold=part, multipart_chunksize=part, max_concurrency=_PARTS_AT_ONCE
    )


def _is_of(found: LakeObject, planned: Planned) -> bool:
    """Whether a new object is the file, as far as that shows."""
    if planned.size_bytes is None:
        return True
    with readable(planned.source):
        return has_bytes_of(found, Path(planned.source)) is not False


def _note_key(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    context["headrace_key"] = params["Key"]

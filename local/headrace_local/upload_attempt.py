"""What is known of one upload while it is under way, and what is said where too little is."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any

from headrace_local.errors import PlatformError
from headrace_local.lake_object import LakeObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class UnknownLandingError(PlatformError):
    """S3 may have taken the file or not, and nothing shows which."""


@dataclass
class Attempt:
    """One upload under way.

    Args:
        before: what was at the key before it.
        is_seen: whether S3 said what was there before.
        whole: S3 may have all that it needs to make the object.
        refused: S3 has answered with an error.
        answer: the answer of S3, once it has come.
    """

    before: LakeObject | None
    is_seen: bool
    whole: bool = False
    refused: bool = False
    answer: dict[str, Any] | None = None


class Watched:
    """The body of a request; notes when all of it was read, to be sent."""

    def __init__(self, body: Any, attempt: Attempt) -> None:
        self._body = body
        self._attempt = attempt

    def read(self, *arguments: Any) -> bytes:
        """The next bytes, as the body has them."""
        block: bytes = self._body.read(*arguments)
        self._attempt.whole = self._attempt.whole or not block
        return block

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


def unknown_landing(
    s3: S3Client, bucket: str, key: str, attempt: Attempt | None, cause: str
) -> UnknownLandingError:
    """The error of an upload of which nothing shows whether S3 has taken it, with the command that
    shows it later."""
    return UnknownLandingError(
        f"{cause.rstrip('.')}. Whether the file is in the lake is not known.",
        f"s3://{bucket}/{key}",
        f"Look before you drop it again: {_look_command(s3, bucket, key)}. {_verdict(attempt)}",
    )


def _look_command(s3: S3Client, bucket: str, key: str) -> str:
    command = f"aws s3api head-object --bucket {quote(bucket)} --key {quote(key)}"
    if s3.meta.endpoint_url.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return command
    return f'eval "$(headrace env)"; {command} --endpoint-url {s3.meta.endpoint_url}'


def _verdict(attempt: Attempt | None) -> str:
    """What the answer of that command means."""
    if attempt is None or not attempt.is_seen:
        return "If LastModified is not the time of this upload, the file is not there: drop it."
    if attempt.before is None:
        return "If it prints the object, the file is in the lake; if it says 404, drop it again."
    return (
        f"If LastModified is still {attempt.before.modified:%Y-%m-%dT%H:%M:%S%z}, drop it again; "
        "if it is later, the file is in the lake."
    )

"""What boto3 raises of an upload, as errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headrace_local.errors import CommandError, PlatformError, UserError


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

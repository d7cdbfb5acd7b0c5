"""boto3's errors as the commands report them, for the bus, the queues and objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from headrace_local.errors import CommandError, PlatformError, UserError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_DENIED: Final = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_MISSING: Final = frozenset(
    {
        "404",
        "AWS.SimpleQueueService.NonExistentQueue",
        "NoSuchBucket",
        "NoSuchKey",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)


@contextmanager
def told_aws_errors(where: str, *, right: str, named_by: str) -> Iterator[None]:
    """Raises in place of boto3's errors those that tell a user what to do.

    Args:
        where: the queue, the bus or the object that is spoken to.
        right: the IAM action that it takes (`sqs:ReceiveMessage`).
        named_by: the option or variable that names it otherwise.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _refused(error, where, right, named_by) from None
    except BotoCoreError as error:
        raise _not_asked(error, where) from None


def error_code(error: ClientError) -> str:
    """AWS's own name of the error, or an empty text."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _refused(error: ClientError, where: str, right: str, named_by: str) -> CommandError:
    code = error_code(error)
    if code in _MISSING:
        return UserError("There is no such thing at AWS.", where, f"Check {named_by}.")
    if code in _DENIED:
        return UserError(
            f"AWS does not let these credentials do that ({code}).",
            where,
            f"Use credentials that may ({right}).",
        )
    return PlatformError(f"AWS refused: {error}", where, "Try again.")


def _not_asked(error: Exception, where: str) -> CommandError:
    from botocore.exceptions import NoCredentialsError, NoRegionError

    if isinstance(error, NoCredentialsError):
        return UserError(
            "There are no AWS credentials.",
            where,
            "Log in (`aws sso login`, `aws configure`), or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY.",
        )
    if isinstance(error, NoRegionError):
        return UserError("No AWS region is set.", where, "Set AWS_REGION.")
    return PlatformError(
        f"AWS does not answer: {error}",
        where,
        "Does the platform run (`headrace up`)? Is AWS_ENDPOINT_URL right?",
    )

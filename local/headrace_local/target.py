"""Which platform a command speaks to: the one running on this machine, or one named outright.

Whoever names a bucket, by option or environment, has named the platform: everything else then
comes from options and the standard AWS environment too, so that the credentials of one platform
never meet the bucket of another. Otherwise it is the platform of `stack.json`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from headrace_local.errors import UserError
from headrace_local.stack import Stack, find_stack

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from mypy_boto3_s3 import S3Client

BUCKET_VARIABLE: Final = "LAKE_BUCKET"
API_VARIABLE: Final = "HEADRACE_API_URL"
KEY_VARIABLE: Final = "HEADRACE_API_KEY"
ENDPOINT_VARIABLES: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 60


@dataclass(frozen=True)
class Credentials:
    """Of the emulator; elsewhere boto3 finds them by itself."""

    access_key_id: str
    secret_access_key: str
    region: str


@dataclass(frozen=True)
class Target:
    """Where a file goes, and who is asked what became of it.

    Args:
        api_url: None where nobody can be asked.
        endpoint_url: of S3; None leaves it to boto3.
        credentials: None leaves them to boto3.
    """

    bucket: str
    api_url: str | None
    endpoint_url: str | None = None
    credentials: Credentials | None = None


def target_of(stack: Stack) -> Target:
    """The platform on this machine."""
    return Target(
        bucket=stack.lake_bucket,
        api_url=stack.api_url,
        endpoint_url=stack.aws_endpoint_url,
        credentials=credentials_of(stack),
    )


def credentials_of(stack: Stack) -> Credentials:
    """Of the emulator of the platform on this machine."""
    return Credentials(stack.aws_access_key_id, stack.aws_secret_access_key, stack.aws_region)


def find_target(
    bucket: str | None,
    api_url: str | None,
    endpoint_url: str | None,
    environment: Mapping[str, str] = os.environ,
) -> Target:
    """The platform that options, the environment or `stack.json` name, in this order.

    Raises:
        UserError: nothing names one, and none runs here.
    """
    bucket = bucket or environment.get(BUCKET_VARIABLE)
    api_url = api_url or environment.get(API_VARIABLE)
    if bucket is not None:
        return Target(
            bucket=bucket,
            api_url=api_url,
            endpoint_url=endpoint_url or _first(environment, ENDPOINT_VARIABLES),
        )
    here = target_of(
        running_here(f"--bucket and --api-url, or {BUCKET_VARIABLE} and {API_VARIABLE}")
    )
    return Target(
        bucket=here.bucket,
        api_url=api_url or here.api_url,
        endpoint_url=endpoint_url or here.endpoint_url,
        credentials=here.credentials,
    )


def find_quarantine(bucket: str | None, api_url: str | None) -> Target:
    """The quarantine as the target: the bucket that is named, or that of `stack.json`.

    Raises:
        UserError: nothing names one, and no platform runs here.
    """
    if bucket is not None:
        return find_target(bucket, api_url, None)
    stack = running_here("--bucket, or QUARANTINE_BUCKET")
    return replace(target_of(stack), bucket=stack.quarantine_bucket)


def find_api(api_url: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The address of the API that an option, the environment or `stack.json` names.

    Raises:
        UserError: nothing names one, and no platform runs here.
    """
    return (
        api_url
        or environment.get(API_VARIABLE)
        or running_here(f"--api-url, or {API_VARIABLE}").api_url
    )


def find_key(api_url: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The key for an API: the environment's; else that of `stack.json`, for the API of that
    platform alone, so that no other ever sees it. None: there is none."""
    if environment.get(KEY_VARIABLE):
        return environment[KEY_VARIABLE]
    try:
        stack = find_stack()
    except UserError:
        return None
    return stack.api_key if stack.api_url.rstrip("/") == api_url.rstrip("/") else None


def lake_client(target: Target) -> S3Client:
    """An S3 client for the target's lake."""
    found = session(target.credentials)
    return found.client("s3", endpoint_url=target.endpoint_url, config=client_config())


def session(credentials: Credentials | None) -> boto3.Session:
    """A boto3 session; without credentials, it finds them by itself."""
    import boto3

    return boto3.Session(
        aws_access_key_id=credentials.access_key_id if credentials else None,
        aws_secret_access_key=credentials.secret_access_key if credentials else None,
        region_name=credentials.region if credentials else None,
    )


def client_config() -> Config:
    """How every client of the commands tries again, and how long it waits."""
    from botocore.config import Config

    return Config(
        retries={"mode": "standard", "max_attempts": 4},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
    )


def running_here(names: str) -> Stack:
    """The platform of `stack.json`.

    Args:
        names: what would name a platform elsewhere, for the remedy.

    Raises:
        UserError: none runs here.
    """
    try:
        return find_stack()
    except UserError as error:
        raise UserError(
            error.what,
            error.where,
            f"{error.what_to_do}; or name a platform elsewhere: {names} in the environment",
        ) from None


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)

"""A file that a command reads: on this machine, or an object of S3 that is fetched first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from headrace_local.aws_errors import told_aws_errors
from headrace_local.errors import UserError
from headrace_local.stack import find_stack
from headrace_local.target import Target, lake_client, target_of

_SCHEME: Final = "s3://"


@contextmanager
def local_copy(where: str) -> Iterator[Path]:
    """The path of a file on this machine, or of a copy of `s3://bucket/key` that is removed later.

    Raises:
        UserError: there is no such file or object.
    """
    if not where.startswith(_SCHEME):
        path = Path(where)
        if not path.is_file():
            raise UserError("There is no such file.", where, "Name a file, or s3://bucket/key.")
        yield path
        return
    bucket, _, key = where.removeprefix(_SCHEME).partition("/")
    if not bucket or not key or key.endswith("/"):
        raise UserError("That is no object of S3.", where, "Name it as s3://bucket/key.")
    with TemporaryDirectory(prefix="headrace-copy-") as folder:
        path = Path(folder) / key.rpartition("/")[2]
        with told_aws_errors(where, right="s3:GetObject", named_by="the name of the object"):
            lake_client(_target(bucket)).download_file(bucket, key, str(path))
        yield path


def _target(bucket: str) -> Target:
    """The platform on this machine if the bucket is its lake; else what boto3 finds by itself."""
    try:
        here = target_of(find_stack())
    except UserError:
        here = None
    if here is not None and here.bucket == bucket:
        return here
    return Target(bucket=bucket, api_url=None)

"""`headrace env`: the running platform's addresses as shell exports."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from headrace_local.stack import Stack, find_stack


def env(
    *,
    unset: Annotated[bool, typer.Option("--unset", help="Print the opposite.")] = False,
) -> None:
    """Print the running platform's addresses as shell exports: eval "$(headrace env)"."""
    for name, value in exports(find_stack()).items():
        typer.echo(f"unset {name}" if unset else f"export {name}={shlex.quote(value)}")


def exports(stack: Stack) -> dict[str, str]:
    """Names that AWS's own tools, and Headrace's, look for."""
    return {
        "AWS_ENDPOINT_URL": stack.aws_endpoint_url,
        "AWS_REGION": stack.aws_region,
        "AWS_DEFAULT_REGION": stack.aws_region,
        "AWS_ACCESS_KEY_ID": stack.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": stack.aws_secret_access_key,
        "LAKE_BUCKET": stack.lake_bucket,
        "BUS_NAME": stack.bus_name,
        "LOG_TABLE": stack.log_table,
        "WAREHOUSE_DSN": stack.warehouse_dsn,
        "HEADRACE_API_URL": stack.api_url,
    }

"""`headrace env`: the running platform's addresses as shell exports."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Final

import typer

from headrace_local.resources import MAX_RECEIVES
from headrace_local.stack import Stack, find_stack

# What would otherwise stand beside our credentials and turn them into another account's.
_IN_THE_WAY: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN")

_SET: Final = (
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "LAKE_BUCKET",
    "QUARANTINE_BUCKET",
    "BUS_NAME",
    "LOG_TABLE",
    "KEYS_TABLE",
    "WAREHOUSE_DSN",
    "API_URL",
    "HEADRACE_API_URL",
    "HEADRACE_API_KEY",
    *(f"{service.upper()}_INBOX_URL" for service in MAX_RECEIVES),
    *(f"{service.upper()}_DEAD_URL" for service in MAX_RECEIVES),
)
"""Every name of `variables`; known without a platform, so that they can be unset after its end."""


def env(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="stack.json as it is, instead of exports.")
    ] = False,
    unset: Annotated[
        bool, typer.Option("--unset", help="The opposite: shell lines that unset them all.")
    ] = False,
) -> None:
    """Print the running platform's addresses as shell exports.

    eval "$(headrace env)" makes aws, psql and your own scripts speak to it, and
    eval "$(headrace env --unset)" makes an end of that, with or without a running platform.
    """
    if unset:
        typer.echo(f"unset {' '.join(_SET)}")
        return
    stack = find_stack()
    typer.echo(stack.model_dump_json(indent=2) if as_json else exports(stack))


def exports(stack: Stack) -> str:
    """Shell lines that set every variable, and unset what would spoil them."""
    lines = [f"unset {' '.join(_IN_THE_WAY)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables(stack).items()]
    return "\n".join(lines)


def variables(stack: Stack) -> Mapping[str, str]:
    """Name -> value: the standard AWS ones, and ours."""
    inboxes = {f"{name.upper()}_INBOX_URL": url for name, url in stack.inboxes.items()}
    dead = {f"{name.upper()}_DEAD_URL": url for name, url in stack.dead_letter_queues.items()}
    return {
        "AWS_ENDPOINT_URL": stack.aws_endpoint_url,
        "AWS_REGION": stack.aws_region,
        "AWS_DEFAULT_REGION": stack.aws_region,
        "AWS_ACCESS_KEY_ID": stack.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": stack.aws_secret_access_key,
        "LAKE_BUCKET": stack.lake_bucket,
        "QUARANTINE_BUCKET": stack.quarantine_bucket,
        "BUS_NAME": stack.bus_name,
        "LOG_TABLE": stack.log_table,
        "KEYS_TABLE": stack.keys_table,
        "WAREHOUSE_DSN": stack.warehouse_dsn,
        "API_URL": stack.api_url,
        "HEADRACE_API_URL": stack.api_url,
        "HEADRACE_API_KEY": stack.api_key,
        **inboxes,
        **dead,
    }

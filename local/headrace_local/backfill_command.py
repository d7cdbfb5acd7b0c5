"""`headrace backfill`: lands what was in the bucket before Headrace was."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from headrace_local.errors import PlatformError, UserError
from headrace_local.runs import moment_named
from headrace_local.stack import find_stack
from headrace_local.verify_command import verifier_environment


def backfill(
    address: Annotated[
        str,
        typer.Argument(
            metavar="s3://BUCKET/PREFIX",
            help="The lake's bucket, and how the keys begin.",
            show_default=False,
        ),
    ],
    *,
    since: Annotated[
        str | None,
        typer.Option(help="Only objects that were written at or after this time, or 7d, 6h ago."),
    ] = None,
    all_versions: Annotated[
        bool, typer.Option("--all-versions", help="The older versions of each key, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count: how many objects go to which table.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The counts as one JSON object.")] = False,
) -> None:
    """Load the objects that were in the bucket before Headrace was.

    Each becomes the drop that it would have been. It can be interrupted and run again: objects
    that are drops already are passed over.

    headrace backfill s3://my-bucket/raw/orders/ --since 2026-01-01 --dry-run
    """
    stack = find_stack()
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not address.startswith("s3://") or bucket != stack.lake_bucket:
        raise UserError(
            "The address is not one of the lake.",
            f"{address}; the lake is s3://{stack.lake_bucket}/",
            f"headrace backfill s3://{stack.lake_bucket}/{prefix} --dry-run",
        )
    arguments = ["--prefix", prefix]
    if since is not None:
        arguments += ["--since", moment_named("--since", since, datetime.now(UTC)).isoformat()]
    switches = {"--all-versions": all_versions, "--dry-run": dry_run, "--json": as_json}
    arguments += [name for name, is_set in switches.items() if is_set]
    ended = subprocess.run(
        [sys.executable, "-m", "headrace_verifier.backfill", *arguments],
        env=verifier_environment(stack),
        check=False,
    )
    if ended.returncode == 1:
        raise PlatformError(
            "Not all objects were listed.",
            "the sentence above names the cause",
            "Run the same command again: objects that are drops already are passed over.",
        )
    raise typer.Exit(ended.returncode)

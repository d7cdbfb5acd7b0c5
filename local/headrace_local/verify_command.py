"""`headrace verify`: compares lake, ledger, log and tables, beside the running services."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from headrace_local.env import variables
from headrace_local.errors import PlatformError
from headrace_local.runs import moment_named
from headrace_local.stack import Stack, find_stack

DIFFERENT: Final = 3
"""The task's own exit status where a difference is left."""


def verify(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Publish what mends a difference, and say what it was.")
    ] = False,
    grace: Annotated[
        float,
        typer.Option(help="Seconds: what is younger is left alone, it may be on its way.", min=0),
    ] = 300,
    since: Annotated[
        str | None,
        typer.Option(help="Only drops that landed at or after this time, or 7d, 6h ago."),
    ] = None,
    prefix: Annotated[str, typer.Option(help="Only keys that begin with it: dev/append/.")] = "",
    no_rows: Annotated[
        bool, typer.Option("--no-rows", help="Do not count the rows of the tables.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the one that was broken off.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line for each difference.")
    ] = False,
) -> None:
    """Compare lake, ledger, log and tables, and tell every difference.

    Exit status: 0 if nothing differs or all of it is repaired, 3 if a difference is left.

    headrace verify --repair --since 7d
    """
    arguments = ["--grace", str(grace), "--prefix", prefix]
    if since is not None:
        moment = moment_named("--since", since, datetime.now(UTC))
        arguments += ["--since", moment.isoformat()]
    switches = {
        "--repair": repair,
        "--no-rows": no_rows,
        "--resume": resume,
        "--json": as_json,
    }
    arguments += [name for name, is_set in switches.items() if is_set]
    ended = subprocess.run(
        [sys.executable, "-m", "headrace_verifier.check", *arguments],
        env=verifier_environment(find_stack()),
        check=False,
    )
    if ended.returncode == 1:
        raise PlatformError(
            "Not everything could be verified.",
            "the sentence above says why",
            "Mend that, then go on from there: headrace verify --resume with the same options.",
        )
    raise typer.Exit(ended.returncode)


def verifier_environment(stack: Stack) -> dict[str, str]:
    """The settings of the verifier: on AWS this is its task with another command."""
    return {
        **os.environ,
        **variables(stack),
        "HEADRACE_WAREHOUSE_DSN": stack.warehouse_dsn,
        "HEADRACE_WAREHOUSE_SECRET": "",
        "HEADRACE_LAKE_BUCKET": stack.lake_bucket,
        "HEADRACE_LAKE_ID": stack.lake_id,
        "HEADRACE_LOG_TABLE": stack.log_table,
        "HEADRACE_BUS_NAME": stack.bus_name,
        "HEADRACE_LOG_LEVEL": "warning",
        "HEADRACE_ROUTES": json.dumps(stack.routes),
    }

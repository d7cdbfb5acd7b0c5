"""`headrace rebuild`: makes a table again from the lake, as a task beside the running loaders."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import typer

from headrace_local.env import variables
from headrace_local.errors import PlatformError, UserError
from headrace_local.stack import Stack, find_stack
from headrace_shared.identifiers import RULE, safe_identifier, safe_schema


def rebuild(
    table: Annotated[
        str, typer.Argument(help="The table, as in dev.user_data.", show_default=False)
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Make a table again from the lake, and swap its content in one transaction.

    Loads go on meanwhile, and are not lost. The table itself stays, with its grants, views and
    indexes; stopped half-way, it is as it was. On a terminal it asks first: what was changed in
    the rows by hand is lost.
    """
    named = _checked(table)
    if sys.stdin.isatty() and not yes:
        _confirm(named)
    ended = subprocess.run(
        [sys.executable, "-m", "headrace_loader.rebuild", named],
        env=_environment(find_stack()),
        check=False,
    )
    if ended.returncode:
        raise PlatformError(
            f"{named} was not rebuilt; it is as it was.",
            f"headrace rebuild {named}; its own message is above",
            "Correct what the message names, then run it once more.",
        )


def _confirm(table: str) -> None:
    question = f"Replace every row of {table} that came from a drop by what the lake holds?"
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def _environment(stack: Stack) -> dict[str, str]:
    """The settings of a loader: on AWS this is the loader's task with another command."""
    return {
        **os.environ,
        **variables(stack),
        "HEADRACE_WAREHOUSE_DSN": stack.warehouse_dsn,
        "HEADRACE_WAREHOUSE_SECRET": "",
        "HEADRACE_INBOX_URL": stack.inboxes["loader"],
        "HEADRACE_BUS_NAME": stack.bus_name,
        "HEADRACE_LAKE_BUCKET": stack.lake_bucket,
        "HEADRACE_LAKE_ID": stack.lake_id,
        "HEADRACE_QUARANTINE_BUCKET": stack.quarantine_bucket,
        "HEADRACE_LOG_LEVEL": "warning",
    }


def _checked(table: str) -> str:
    db_name, _, table_name = table.partition(".")
    if safe_schema(db_name) is None or safe_identifier(table_name) is None:
        raise UserError(
            f"{table!r} is not the name of a table.",
            "headrace rebuild",
            f"Name it as db_name.table_name, as in dev.user_data; for each, use {RULE}.",
        )
    return table.lower()

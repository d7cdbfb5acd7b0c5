"""The command line: `headrace`. Each command's module is imported only when it is used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from headrace_local import console, errors

COMMANDS: Final = {
    "demo": ("headrace_local.demo", "Load real public data before your eyes."),
    "up": ("headrace_local.up", "Start the platform on this machine and stay with it."),
    "drop": ("headrace_local.drop_command", "Upload files and follow them to their end."),
    "status": ("headrace_local.query_commands", "The latest drops, and the tables."),
    "show": ("headrace_local.query_commands", "The whole story of one drop."),
    "env": ("headrace_local.env", "The running platform's addresses, as shell exports."),
    "doctor": ("headrace_local.doctor", "Check this machine, with a remedy for what is amiss."),
}
"""Name -> the module whose function of that name is the command, and its line in the help."""


class LazyGroup(TyperGroup):
    """Knows the names of its commands without importing them: `--help` answers at once."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        """In the order in which a new user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ARG002
        """The command, imported now."""
        return _command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ARG002
        """The help's list, from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


app = typer.Typer(
    cls=LazyGroup,
    invoke_without_command=True,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def headrace(
    *,
    debug: Annotated[  # noqa: ARG001 - read by `main`, which sees every error
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
    told_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True)
    ] = False,
) -> None:
    """Files from a data lake into a warehouse, exactly once, and where every one of them is."""
    if told_version:
        typer.echo(f"headrace {version('headrace-local')}")
        raise typer.Exit


def main() -> None:
    """Runs a command. Exit status: 0 good, 1 our failure, 2 the user's mistake."""
    try:
        get_command(app)()
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        told = error if isinstance(error, errors.CommandError) else errors.bug(error)
        console.show_error(told)
        sys.exit(told.exit_status)


def _command(name: str) -> Any:
    function: Callable[..., Any] = getattr(importlib.import_module(COMMANDS[name][0]), name)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(function)
    return get_command(single)


if __name__ == "__main__":
    main()

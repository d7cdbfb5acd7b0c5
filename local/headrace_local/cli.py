"""The command `headrace`: finds the command that was asked for, and tells errors in three lines.

Each command's module is imported when it is run, so that `headrace --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from headrace_local.errors import CommandError, UserError, bug

_BROKEN_PIPE: Final = 141
"""What a shell reports of a program that SIGPIPE ended: 128 + 13."""


@dataclass(frozen=True)
class _Command:
    module: str
    summary: str


_COMMANDS: Final = {
    "up": _Command("up", "Start the whole platform on this machine, and keep it running."),
    "drop": _Command("drop_command", "Drop files into the lake and follow them to their end."),
    "status": _Command("query_commands", "Show the latest drops and the tables."),
    "show": _Command("query_commands", "Show the whole story of one drop."),
    "check": _Command("check_command", "Check a file against a contract; nothing is changed."),
    "contract": _Command("contract_command", "Check a contract, or infer one from a file."),
    "verify": _Command("verify_command", "Compare lake, ledger, log and tables; repair."),
    "backfill": _Command("backfill_command", "Load what was in the bucket before Headrace was."),
    "rebuild": _Command("rebuild_command", "Make a table again from the lake."),
    "quarantine": _Command("quarantine_command", "Show bad rows, and export them for correction."),
    "replay": _Command("replay_command", "Load drops again, whatever became of them."),
    "revert": _Command("revert_command", "Undo drops: each counts as never landed."),
    "dead": _Command("dead_command", "Show what lies in a dead-letter queue, and why."),
    "redrive": _Command("redrive_command", "Move dead letters back to their inbox."),
    "keys": _Command("keys_command", "Make, list and revoke keys of the API."),
    "demo": _Command("demo", "Load real public data before your eyes."),
    "env": _Command("env", "Print the running platform's addresses as shell exports."),
    "doctor": _Command("doctor", "Check what the platform needs, with the remedy beside each."),
}

_PLAIN: Final[dict[str, Any]] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    # rich takes as long to import as everything else here together.
    "rich_markup_mode": None,
}


class _Commands(TyperGroup):
    """Knows its commands by name, and each one's options only when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"headrace_local.{_COMMANDS[cmd_name].module}")
        single = typer.Typer(**_PLAIN)
        single.command(cmd_name)(getattr(module, cmd_name))
        return get_command(single)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in _COMMANDS.items()])


app = typer.Typer(cls=_Commands, no_args_is_help=True, **_PLAIN)


def _tell_version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"headrace {version('headrace-local')}")
        raise typer.Exit


@app.callback()
def headrace(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            is_eager=True,
            callback=lambda value: _tell_version(wanted=value),
        ),
    ] = False,
) -> None:
    """Headrace carries files from a data lake into a warehouse."""


def main() -> None:
    """The entry point: runs the command that was typed, and ends with its exit status."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    raise SystemExit(run([part for part in arguments if part != "--debug"], debug=debug))


def run(arguments: Sequence[str], *, debug: bool = False) -> int:
    """The exit status: 0, 2 for the user's mistake, 1 for ours, 130 after Ctrl-C."""
    try:
        status = app(list(arguments), prog_name="headrace", standalone_mode=False)
    except BrokenPipeError:
        return _after_broken_pipe()
    except Exception as error:  # noqa: BLE001 - the last place that can tell the user
        return _tell(error, debug=debug)
    return status if isinstance(status, int) else 0


def _tell(error: Exception, *, debug: bool) -> int:
    from headrace_local import console

    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(str(error))
        return 2
    told = _as_command_error(error)
    if debug:
        import traceback

        traceback.print_exception(error)
    console.show_error(told)
    return told.exit_status


def _as_command_error(error: Exception) -> CommandError:
    if isinstance(error, CommandError):
        return error
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "headrace"
        return UserError(error.format_message(), path, f"{path} --help lists what it takes.")
    return bug(error)


def _after_broken_pipe() -> int:
    # Whoever read our output has gone (`headrace status | head`); the interpreter's own last
    # flush would complain about it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _BROKEN_PIPE


if __name__ == "__main__":
    main()

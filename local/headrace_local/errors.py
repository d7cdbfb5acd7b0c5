"""Errors as the command line shows them: what happened, where, and what to do."""

from __future__ import annotations


class CommandError(Exception):
    """An expected failure, told in three lines.

    Args:
        what: what is wrong, as one sentence.
        where: the file, port, address or setting that it is about.
        what_to_do: the remedy, with the command to type where there is one.
    """

    exit_status = 1

    def __init__(self, what: str, where: str, what_to_do: str) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.what_to_do = what_to_do

    def __str__(self) -> str:
        return f"{self.what} ({self.where}) {self.what_to_do}"


class UserError(CommandError):
    """The user can put it right; exit status 2."""

    exit_status = 2


class PlatformError(CommandError):
    """Something of ours or of the machine failed; exit status 1."""


def bug(error: BaseException) -> PlatformError:
    """What an unexpected exception looks like to the user."""
    return PlatformError(
        f"This is a bug in Headrace: {type(error).__name__}: {error}".rstrip(": "),
        _innermost_place(error),
        "Run the command again with --debug and report what it prints.",
    )


def _innermost_place(error: BaseException) -> str:
    place = error.__traceback__
    if place is None:
        return "unknown place"
    while place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_globals.get('__name__', '?')}, line {place.tb_lineno}"

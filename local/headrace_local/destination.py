"""Which key each file gets: decided, and held against the key rule, before anything is sent."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace_local.errors import UserError
from headrace_shared.drop import Action
from headrace_shared.identifiers import RULE, safe_identifier, safe_schema
from headrace_shared.ignored_names import DEFAULT_IGNORED_NAMES, is_ignored

STANDARD_INPUT: Final = "-"
KEY_FORM: Final = "db_name/action/table_name/file"

_EXAMPLE: Final = "headrace drop users.csv dev/append/user_data/"
_MAX_KEY_BYTES: Final = 1024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""


@dataclass(frozen=True)
class Planned:
    """One file and the key that it will have.

    Args:
        source: as the user named it; `-` is standard input.
        size_bytes: None where it only shows at the end (standard input, a pipe).
    """

    source: str
    key: str
    size_bytes: int | None

    @property
    def table(self) -> tuple[str, str] | None:
        """db_name and table_name as the router reads them; None if the key names no table."""
        parts = self.key.split("/", 3)
        if len(parts) < 4:
            return None
        db_name, table_name = safe_schema(parts[0]), safe_identifier(parts[2])
        return (db_name, table_name) if db_name and table_name else None


def plan(sources: Sequence[str], destination: str, name: str | None = None) -> list[Planned]:
    """The key of each file.

    A destination that ends in a slash is a folder, and each file keeps its name (`name` gives
    another to a single one); any other is the key of a single file.

    Raises:
        UserError: a file cannot be read, two files would have one key, or the key rule is broken.
    """
    if len(sources) > 1 and (name is not None or not destination.endswith("/")):
        raise UserError(
            "Several files cannot have one name.",
            f"--name {name}" if name is not None else destination,
            "End the destination with a slash, and leave --name out: "
            "headrace drop a.csv b.csv dev/append/user_data/",
        )
    planned = [
        Planned(source, _key(source, destination, name), _size(source)) for source in sources
    ]
    for file in planned:
        check_key(file.key)
    _check_distinct(planned)
    return planned


def check_key(key: str) -> None:
    """Holds a key against the rule that the router goes by.

    Which databases and file types are taken is the platform's to say: it may be newer.

    Raises:
        UserError: says which part of the key is wrong, and the rule.
    """
    parts = key.split("/", 3)
    if len(parts) < 4 or not all(parts):
        raise _bad_key(key, f"The destination does not have the form {KEY_FORM}.")
    db_name, action, table_name, _ = parts
    if safe_schema(db_name) is None:
        raise _bad_key(
            key, f"{db_name!r} cannot be a database name: {RULE}; pg_... and headrace are taken."
        )
    if action.lower() not in set(Action):
        raise _bad_key(key, f"{action!r} is no action; there are {', '.join(Action)}.")
    if safe_identifier(table_name) is None:
        raise _bad_key(key, f"{table_name!r} cannot be a table name: {RULE}.")
    if is_ignored(key, DEFAULT_IGNORED_NAMES):
        raise UserError(
            "The name is one of those that Headrace ignores: markers and hidden files.",
            f"s3://.../{key}",
            "Give the file another name (--name), or its folder; no folder after the table and no "
            "file may begin with _ or a dot.",
        )
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise _bad_key(key, f"The key has more than S3's {_MAX_KEY_BYTES} bytes.")


def _bad_key(key: str, what: str) -> UserError:
    return UserError(
        what,
        f"s3://.../{key}",
        f"Give db_name/action/table_name/ with a slash at the end: {_EXAMPLE}",
    )


def _key(source: str, destination: str, name: str | None) -> str:
    folder = destination.removeprefix("/")
    if not destination.endswith("/"):
        if name is not None:
            raise UserError(
                "The file is named twice.",
                f"{destination} and --name {name}",
                "End the destination with a slash, or leave --name out.",
            )
        return folder
    if name is None and not _is_regular(source):
        raise UserError(
            "What comes through a pipe has no file name.",
            f"{source} to {destination}",
            f"Give it one: ... | headrace drop - {destination} --name rows.csv",
        )
    return folder + (name or Path(source).name)


def _is_regular(source: str) -> bool:
    return source != STANDARD_INPUT and not _is_pipe(Path(source))


def _is_pipe(path: Path) -> bool:
    return path.is_fifo() or path.is_char_device()


def _size(source: str) -> int | None:
    if not _is_regular(source):
        return None
    path = Path(source)
    try:
        found = path.stat()
    except OSError as error:
        raise unreadable(source, error.strerror or str(error)) from None
    if stat.S_ISDIR(found.st_mode):
        raise UserError(
            "A folder cannot be dropped, only the files in it.",
            source,
            f"Name its files: {source.rstrip('/')}/*.csv",
        )
    if not os.access(path, os.R_OK):
        raise unreadable(source, "Permission denied")
    return found.st_size


def unreadable(source: str, why: str) -> UserError:
    """What to tell when a file cannot be read."""
    return UserError(
        "The file cannot be read.",
        f"{source} ({why})",
        f"Check its name and the folder. The last argument is where files go: {_EXAMPLE}",
    )


def _check_distinct(planned: Sequence[Planned]) -> None:
    first: dict[str, str] = {}
    for file in planned:
        if file.key in first:
            raise UserError(
                "Two files would have the same key, and the second would replace the first.",
                f"{first[file.key]} and {file.source}, both to {file.key}",
                "Drop them one after the other, with a --name each.",
            )
        first[file.key] = file.source

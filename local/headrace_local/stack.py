"""`stack.json`: where the running platform is, for every command and for people's own tools."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Final

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from headrace_local.errors import UserError

FILE_NAME: Final = "stack.json"
DATA_FOLDER: Final = ".headrace"
PLACE_VARIABLE: Final = "HEADRACE_STACK"


class Stack(BaseModel):
    """The addresses and credentials of one running platform."""

    model_config = ConfigDict(frozen=True)

    api_url: str
    api_key: str
    aws_endpoint_url: str
    aws_region: str
    aws_access_key_id: str
    aws_secret_access_key: str
    lake_bucket: str
    lake_id: str = ""
    quarantine_bucket: str
    bus_name: str
    log_table: str
    keys_table: str
    warehouse_dsn: str
    inboxes: dict[str, str]
    dead_letter_queues: dict[str, str]
    processes: dict[str, list[int]]
    routes: tuple[str, ...] = ()

    @property
    def is_alive(self) -> bool:
        """Whether any of its processes still runs; a stack that was killed leaves its file."""
        return any(_runs(pid) for pids in self.processes.values() for pid in pids)


def _runs(pid: int) -> bool:
    """A zombie does not: where nobody waits for orphans, as in some containers, it stays."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def write(stack: Stack, folder: Path) -> Path:
    """Writes `stack.json` at once and for its owner alone: it holds credentials."""
    path, partial = folder / FILE_NAME, folder / f".{FILE_NAME}.partial"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(stack.model_dump(), indent=2) + "\n")
    partial.replace(path)
    return path


def read(path: Path) -> Stack:
    """The stack in a file.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    try:
        return Stack.model_validate_json(path.read_text())
    except OSError as error:
        raise UserError(
            "No platform is running here.",
            f"{path} ({error.strerror})",
            "Start one in another terminal: headrace up",
        ) from None
    except ValidationError:
        raise UserError(
            "The file of the running platform cannot be read.",
            str(path),
            "Stop the platform, delete the file, and start again: headrace up",
        ) from None


def lake_id(folder: Path) -> str:
    """What tells the lake of a data folder from others: every emulator's bucket has one name."""
    path = folder / "lake-id"
    if not path.exists():
        path.write_text(secrets.token_hex(8))
    return path.read_text()


def remove(folder: Path) -> None:
    """The platform has ended."""
    (folder / FILE_NAME).unlink(missing_ok=True)


def find_stack(start: Path | None = None) -> Stack:
    """The running platform: $HEADRACE_STACK, or .headrace/stack.json here or in a folder above.

    Raises:
        UserError: no platform runs; says where it was looked for.
    """
    named = os.environ.get(PLACE_VARIABLE)
    here = (start or Path.cwd()).resolve()
    places = (
        [Path(named)]
        if named
        else [folder / DATA_FOLDER / FILE_NAME for folder in (here, *here.parents)]
    )
    path = next((place for place in places if place.is_file()), places[0])
    stack = read(path)
    if not stack.is_alive:
        raise UserError(
            "The platform that was here has ended without tidying up.",
            str(path),
            "Start it again: headrace up",
        )
    return stack

"""The log file of a process: for its owner alone, and never longer than a limit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Final, Self

MOST_BYTES: Final = 10 * 2**20
"""What a log may have before it makes room; the one before it is kept, so twice this in all."""

_OWNER_ALONE: Final = 0o600


class LogFile:
    """Takes lines. One that has grown too long is renamed to `.log.1`, in place of the one before
    it, and the next line begins a new one."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most = most_bytes
        self._file: IO[bytes] = self._opened()

    def write(self, line: str) -> None:
        """One line, without its end.

        Raises:
            OSError: the disk does not take it.
        """
        if self._file.tell() >= self._most:
            self._file.close()
            self._path.replace(self._path.with_suffix(".log.1"))
            self._file = self._opened()
        self._file.write(line.encode(errors="replace") + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _opened(self) -> IO[bytes]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        # Unbuffered, so that a line is in the file at once.
        file = os.fdopen(os.open(self._path, flags, _OWNER_ALONE), "ab", buffering=0)
        # One that an earlier version made may be readable for others.
        os.fchmod(file.fileno(), _OWNER_ALONE)
        return file

"""Files, pipes and standard input, opened for an upload."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from headrace_local.destination import STANDARD_INPUT, Planned, unreadable

_BLOCK_BYTES: Final = 8 * 1024 * 1024
_LISTEN_SECONDS: Final = 0.2


class UploadStopped(Exception):  # noqa: N818 - nothing went wrong: the user ended it
    """The upload was given up on request; nothing of it is in the lake."""


@contextmanager
def opened(planned: Planned, stop: threading.Event) -> Iterator[BinaryIO]:
    """The bytes of a file that is to be uploaded.

    Args:
        stop: once set, waiting for more of a stream ends with `UploadStopped`.
    """
    if planned.source == STANDARD_INPUT:
        yield cast("BinaryIO", _Stream(sys.stdin.buffer, stop))
        return
    with readable(planned.source), Path(planned.source).open("rb") as file:
        is_stream = planned.size_bytes is None
        yield cast("BinaryIO", _Stream(file, stop)) if is_stream else file


class _Stream:
    """Reads what is not a file, and stops waiting for more when asked to."""

    def __init__(self, file: BinaryIO, stop: threading.Event) -> None:
        self._file = file
        self._stop = stop

    def read(self, count: int = -1) -> bytes:
        blocks: list[bytes] = []
        wanted = count
        while wanted:
            self._wait()
            block = os.read(self._file.fileno(), wanted if wanted > 0 else _BLOCK_BYTES)
            if not block:
                break
            blocks.append(block)
            wanted -= len(block) if count >= 0 else 0
        return b"".join(blocks)

    def _wait(self) -> None:
        while not select.select([self._file], [], [], _LISTEN_SECONDS)[0]:
            if self._stop.is_set():
                raise UploadStopped


@contextmanager
def readable(source: str) -> Iterator[None]:
    """Raises in place of an OSError the error that says what to do."""
    try:
        yield
    except OSError as error:
        raise unreadable(source, error.strerror or str(error)) from None

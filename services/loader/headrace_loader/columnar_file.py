"""A Parquet or Arrow file, read by a process of its own as CSV."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from headrace_loader.spooling import spooled
from headrace_shared.contract import Contract
from headrace_shared.errors import HeadraceError, PermanentError, TransientError
from headrace_shared.reasons import Reason

UNREADABLE: Final = 3
"""The exit status of a reader that says why."""

_BLOCK_BYTES: Final = 256 * 1024
_SIGKILL: Final = -9


class ReaderError(HeadraceError):
    """The reader of columnar files has a bug."""


@asynccontextmanager
async def as_csv(
    blocks: AsyncIterator[bytes], kind: str, contract: Contract
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The file as CSV with a header.

    It is kept in a temporary file meanwhile: what a columnar file is it says at its end.

    Args:
        kind: `parquet` or `arrow`.
        contract: what its values are for.

    Raises:
        PermanentError: while it is read: the file cannot be read.
        TransientError: likewise: its reader was killed.
        ReaderError: likewise: a bug of ours.
    """
    async with spooled(blocks) as path:
        reader = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "headrace_loader.columnar", kind, path,
            stdin=PIPE, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        try:
            assert reader.stdin is not None
            reader.stdin.write(contract.model_dump_json().encode())
            reader.stdin.close()
            yield _told(reader, kind)
        finally:
            with suppress(ProcessLookupError):
                reader.kill()
            await reader.wait()


async def _told(reader: Process, kind: str) -> AsyncIterator[bytes]:
    assert reader.stdout is not None
    assert reader.stderr is not None
    while block := await reader.stdout.read(_BLOCK_BYTES):
        yield block
    said = (await reader.stderr.read()).decode(errors="replace").strip()
    status = await reader.wait()
    if status == _SIGKILL:
        raise TransientError(f"the reader of the {kind} file was killed")
    if status > 0 and status != UNREADABLE:
        raise ReaderError(f"the reader of {kind} files ended with {status}: {said}")
    if status:
        what = said.splitlines()[-1] if status == UNREADABLE and said else "its reader crashed"
        raise PermanentError(
            Reason(
                code="file_damaged",
                message=f"The file is not readable as {kind}: {what[:300]}.",
                remedy="Write the file anew and upload it again.",
            )
        )

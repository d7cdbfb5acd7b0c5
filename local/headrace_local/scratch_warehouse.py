"""An empty Postgres for as long as a command runs; nothing of it stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from headrace_local import postgres
from headrace_local.errors import PlatformError
from headrace_local.ports import free_port
from headrace_local.supervisor import Listener, Process

_MOST_TRIES: Final = 5
_DEAF: Final = Listener(line=lambda *_: None, event=lambda _: None, respawned=lambda: None)


@asynccontextmanager
async def scratch_warehouse() -> AsyncIterator[str]:
    """Its DSN; it takes two to three seconds to come up.

    Raises:
        PlatformError: Postgres cannot be started.
    """
    with TemporaryDirectory(prefix="headrace-scratch-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "logs").mkdir()
        cluster = await asyncio.to_thread(postgres.prepare, folder, fsync=False)
        process, port = await _started(cluster, folder / "logs")
        try:
            yield cluster.dsn(port)
        finally:
            await process.stop()


async def _started(
    cluster: postgres.Cluster, logs: Path, tries: int = _MOST_TRIES
) -> tuple[Process, int]:
    """The server and its port, which no other program took in the meantime."""
    port = free_port()
    process = Process(postgres.postgres(cluster, port, fsync=False), logs, _DEAF)
    try:
        await process.start()
    except PlatformError as error:
        await process.stop()
        if tries == 1 or not postgres.no_port(error):
            raise
        return await _started(cluster, logs, tries - 1)
    except BaseException:
        await process.stop()
        raise
    return process, port

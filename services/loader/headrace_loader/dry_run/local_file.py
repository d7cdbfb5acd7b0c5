"""What stands for the lake and the quarantine in a dry run: files on this machine, and memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from headrace_loader.lake import BLOCK_BYTES, Blocks
from headrace_loader.sifting.batches import BadRecord
from headrace_shared.drop import Drop


@dataclass(frozen=True)
class LocalLake:
    """Opens a drop as a file on this machine. `paths`: by drop id."""

    paths: Mapping[UUID, Path]

    @asynccontextmanager
    async def open(self, drop: Drop) -> AsyncIterator[Blocks]:
        """See `headrace_loader.lake.Lake`."""
        with self.paths[drop.drop_id].open("rb") as file:

            async def blocks() -> Blocks:
                while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
                    yield block

            yield blocks()


@dataclass
class BadRowsInMemory:
    """Keeps the bad rows of the one file."""

    rows: list[BadRecord] = field(default_factory=list)

    async def keep(
        self,
        drop: Drop,  # noqa: ARG002 - there is one
        bad: Iterable[BadRecord],
        *,
        header: str | None,  # noqa: ARG002 - nothing is written
        encoding: str,  # noqa: ARG002
        set_aside: bool,  # noqa: ARG002
    ) -> None:
        """See `headrace_loader.sifting.quarantine.Quarantine`."""
        self.rows = list(bad)

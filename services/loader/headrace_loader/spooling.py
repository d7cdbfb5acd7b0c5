"""Bytes that stream by, kept on disk for whoever has to jump about in them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def spooled(blocks: AsyncIterator[bytes], enough: int | None = None) -> AsyncIterator[str]:
    """The path of a temporary file of these bytes, which is gone with the block.

    Args:
        enough: with so many bytes the rest is left; None for all.
    """
    with tempfile.NamedTemporaryFile(prefix="headrace-") as kept:
        taken = 0
        async for block in blocks:
            await asyncio.to_thread(kept.write, block)
            taken += len(block)
            if enough is not None and taken >= enough:
                break
        await asyncio.to_thread(kept.flush)
        yield kept.name

"""Fixtures of integration tests alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from psycopg import AsyncConnection

from tests.staged_drop import StagedDrop


@pytest.fixture
async def drop(warehouse_dsn: str) -> AsyncIterator[StagedDrop]:
    async with await AsyncConnection.connect(warehouse_dsn, options="-c timezone=UTC") as opened:
        staged = StagedDrop(opened)
        await staged.make()
        yield staged
        if not opened.closed:
            await opened.rollback()

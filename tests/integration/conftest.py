"""Fixtures of integration tests alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from psycopg import AsyncConnection

from tests.real_parts import AwsStack
from tests.running_api import RunningApi, running_api
from tests.staged_drop import StagedDrop


@pytest.fixture
def process(aws_stack: AwsStack, warehouse_dsn: str, tmp_path: Path) -> Iterator[RunningApi]:
    with running_api(aws_stack, warehouse_dsn, tmp_path) as made:
        yield made


@pytest.fixture
async def drop(warehouse_dsn: str) -> AsyncIterator[StagedDrop]:
    async with await AsyncConnection.connect(warehouse_dsn, options="-c timezone=UTC") as opened:
        staged = StagedDrop(opened)
        await staged.make()
        yield staged
        if not opened.closed:
            await opened.rollback()

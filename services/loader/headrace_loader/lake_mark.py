"""Which lake a warehouse belongs to: one row in the warehouse, set by the first loader that starts.

Drop ids are ordered within one lake. Rows of two lakes in one ledger would replace each other, and
`verify --repair` of one platform would bring the other's drops into its log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection

from headrace_shared.logging import get_logger
from headrace_shared.warehouse_access import refuse_other_lake

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LakeMark:
    """What a loader says of its lake.

    Args:
        name: tells the lake from every other (`lake_name` of the settings).
        moved_from: the name that the lake had before; empty for none.
    """

    name: str
    moved_from: str = ""


async def mark(connection: AsyncConnection[Any], lake: LakeMark) -> None:
    """Marks the warehouse, unless it is marked already.

    Raises:
        OtherLakeError: it is marked as another lake's.
    """
    async with connection.transaction():
        await connection.execute(
            "insert into headrace.lake (name) values (%s) on conflict do nothing", [lake.name]
        )
        if lake.moved_from:
            cursor = await connection.execute(
                "update headrace.lake set name = %s, marked_at = clock_timestamp() where name = %s",
                [lake.name, lake.moved_from],
            )
            if cursor.rowcount:
                _log.info("lake.moved", before=lake.moved_from, now=lake.name)
        cursor = await connection.execute("select name from headrace.lake")
        row = await cursor.fetchone()
    assert row is not None
    refuse_other_lake(row[0], lake.name)

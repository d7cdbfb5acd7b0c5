"""Eight drops of one table whose tests are slow hold up no other table."""

from __future__ import annotations

import psycopg
import pytest

from tests.real_parts import AwsStack
from tests.running_loader import running_loader, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SLOW_DROPS = 8
SIXTY = "id\n" + "".join(f"{number}\n" for number in range(60))
ENDLESS = {
    "sql": "select * from {{rows}} where 0 = (select count(*) from "
    + ", ".join(f"{{{{rows}}}} as r{number}" for number in range(9))
    + ")",
    "name": "endless",
}


async def test_drops_of_a_slow_table_leave_slots_for_another_table(
    aws_stack: AwsStack, warehouse_dsn: str
) -> None:
    async with running_loader(
        aws_stack, warehouse_dsn, max_receives=20, loads=4, concurrency=6, tests_timeout_seconds=600
    ) as loader:
        await loader.contract("beta.slow", tests=[ENDLESS])
        await loader.contract("alpha.victim")
        for number in range(SLOW_DROPS):
            loader.land(f"beta/append/slow/{number}.csv", SIXTY)
        await until(lambda: _loading(warehouse_dsn) == 2, "the slow tests run")
        loader.land("alpha/append/victim/1.csv", "id\n1\n")
        await until(lambda: loader.count("alpha.victim") == 1, "the small append is loaded")
        loader.land("alpha/truncate/victim/2.csv", "id\n1\n2\n")
        await until(lambda: loader.count("alpha.victim") == 2, "the truncate is loaded")
        assert loader.count("beta.slow") == 0
        assert _loading(warehouse_dsn) == 2, "half of the slots, all the time"


def _loading(dsn: str) -> int:
    """Loads under way: each holds the lock of its table."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select count(distinct pid) from pg_locks join pg_database on oid = database "
            "where locktype = 'advisory' and granted and datname = current_database()"
        ).fetchone()
        assert row is not None
        return int(row[0])

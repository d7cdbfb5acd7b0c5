"""Rebuilds one table from the lake: `python -m headrace_loader.rebuild dev.user_data`.

A task of its own beside the running loaders, with their settings. Exit status 0 when the table
is made again, 1 when it is as it was, with the reason on the standard error.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Final

from headrace_loader.files import Files
from headrace_loader.lake import S3Lake
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.rebuilding import Rebuild, RebuildError, Rebuilt
from headrace_loader.settings import LoaderSettings
from headrace_shared.aws import AwsClients
from headrace_shared.errors import HeadraceError
from headrace_shared.identifiers import safe_identifier, safe_schema
from headrace_shared.logging import configure
from headrace_shared.settings import load_settings
from headrace_shared.warehouse_access import WarehouseAccess

_CONNECTIONS: Final = 4


def main() -> int:
    """Rebuilds the table that the command line names."""
    settings = load_settings(LoaderSettings)
    configure("loader", settings)
    try:
        done = asyncio.run(_rebuild(settings, *_table(sys.argv[1:])))
    except HeadraceError as error:
        sys.stderr.write(f"rebuild: {error}\n")
        return 1
    sys.stdout.write(
        f"rebuilt from {done.drops:,} drops: {done.rows_before:,} rows before, "
        f"{done.rows_after:,} now\n"
    )
    return 0


async def _rebuild(settings: LoaderSettings, db_name: str, table_name: str) -> Rebuilt:
    async with AsyncExitStack() as stack:
        clients = AwsClients(stack, connections=_CONNECTIONS)
        warehouse = await stack.enter_async_context(
            PostgresWarehouse.open(
                await WarehouseAccess.open(settings, clients),
                connections=_CONNECTIONS,
                lock_timeout_seconds=settings.lock_timeout_seconds,
                lake=settings.lake_mark,
            )
        )
        lake = S3Lake(await clients.open("s3"))
        connection = await stack.enter_async_context(warehouse.connection())
        rebuild = Rebuild(
            connection,
            # What is in the quarantine is there already.
            Files(lake, quarantine=None, limits=settings.file_limits),
            _tell,
            stall_seconds=settings.lake_stall_seconds,
            rules=settings.test_rules,
        )
        return await rebuild.run(db_name, table_name)


def _table(arguments: list[str]) -> tuple[str, str]:
    db_name, _, table_name = (arguments or [""])[0].partition(".")
    if len(arguments) != 1 or not safe_schema(db_name) or not safe_identifier(table_name):
        raise RebuildError("name one table, as in dev.user_data")
    return db_name.lower(), table_name.lower()


def _tell(sentence: str) -> None:
    sys.stderr.write(f"rebuild: {sentence}\n")


if __name__ == "__main__":
    sys.exit(main())

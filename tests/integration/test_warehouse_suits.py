"""A warehouse in which rows could not be kept as they are is refused at the start."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from headrace_loader.postgres import PostgresWarehouse, WarehouseUnsuitableError
from headrace_shared.warehouse_access import WarehouseAccess


async def test_database_without_an_encoding_is_refused(warehouse_dsn: str) -> None:
    address, _, name = warehouse_dsn.rpartition("/")
    bytes_only = sql.Identifier(f"{name}_bytes")
    create = "create database {} template template0 encoding 'SQL_ASCII' locale_provider libc"
    with psycopg.connect(warehouse_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL(f"{create} locale 'C'").format(bytes_only))
        try:
            access = WarehouseAccess(f"{address}/{name}_bytes")
            with pytest.raises(WarehouseUnsuitableError, match="encoding UTF8"):
                async with PostgresWarehouse.open(access, connections=1, lock_timeout_seconds=5):
                    pass
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(bytes_only))

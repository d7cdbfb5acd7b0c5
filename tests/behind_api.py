"""What lies behind the API, and how a test fills it: the log, the ledger, tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
from boto3.dynamodb.types import TypeSerializer
from psycopg import sql
from psycopg.types.json import Jsonb

from headrace_loader.migrations import migrate
from headrace_logger.states import Item
from headrace_shared.contract import Contract
from headrace_shared.drop import Drop
from tests.real_parts import AwsStack


@dataclass
class Behind:
    """The parts, filled as the services would."""

    aws: AwsStack
    dsn: str

    def log(self, *items: Item) -> None:
        """Puts items into the log."""
        serialize = TypeSerializer().serialize
        table = self.aws.resources.log_table.name
        for start in range(0, len(items), 25):
            batch: Any = [
                {"PutRequest": {"Item": {name: serialize(part) for name, part in item.items()}}}
                for item in items[start : start + 25]
            ]
            answer = self.aws.clients.dynamodb.batch_write_item(RequestItems={table: batch})
            assert not answer["UnprocessedItems"]

    async def contract(self, table_name: str = "users", db_name: str = "dev") -> None:
        """A contract, as the loader records it."""
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            await migrate(connection)
            await connection.execute(
                "insert into headrace.contracts values (%s, %s, %s, %s, %s)",
                [uuid4(), db_name, table_name, Jsonb({"columns": []}), Jsonb([])],
            )

    async def ledger(self, of: Drop, outcome: str) -> None:
        """How a drop ended, as the loader records it."""
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            await connection.execute(
                "insert into headrace.ledger (drop_id, db_name, table_name, action, bucket, key, "
                "etag, size_bytes, outcome, landed_at, started_at, applied_at, contract_order) "
                "values (%s, %s, %s, 'append', %s, %s, 'e', 10, %s, %s, now(), "
                "'2026-11-20T12:00:01Z', %s)",
                [
                    of.drop_id,
                    of.db_name,
                    of.table_name,
                    of.bucket,
                    of.key,
                    outcome,
                    of.landed_at,
                    of.drop_id,
                ],
            )

    async def table(self, of: Drop, contract: Contract, *rows: tuple[Any, ...]) -> None:
        """The table of a drop, with its contract and rows, as the loader makes them."""
        assert of.db_name is not None
        assert of.table_name is not None
        place = sql.Identifier(of.db_name, of.table_name)
        columns = [f"{one.name} {one.type}" for one in contract.columns] + ["_drop_id uuid"]
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            await migrate(connection)
            await connection.execute(
                "insert into headrace.contracts values (%s, %s, %s, %s, '[]')",
                [uuid4(), of.db_name, of.table_name, Jsonb(contract.model_dump(mode="json"))],
            )
            await connection.execute(
                sql.SQL("create schema if not exists {}").format(sql.Identifier(of.db_name))
            )
            await connection.execute(
                sql.SQL("create table {} ({})").format(place, sql.SQL(", ".join(columns)))
            )
            values = sql.SQL(", ").join(sql.Placeholder() * len(columns))
            for row in rows:
                await connection.execute(
                    sql.SQL("insert into {} values ({})").format(place, values),
                    [*row, of.drop_id],
                )

"""Files that land in the lake and are loaded, without queues and services between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from headrace_loader.files import Files
from headrace_loader.loading import Loading
from headrace_loader.outcomes import Outcome
from headrace_router.routing import Routed, route
from headrace_shared.drop import Drop, drop_id
from headrace_shared.facts import DropRouted
from tests.real_parts import Lake

EPOCH = datetime(2026, 11, 20, 12, tzinfo=UTC)

CONTRACT: dict[str, Any] = {
    "columns": [
        {"name": "id", "type": "bigint", "nullable": False},
        {"name": "name", "type": "varchar(10)"},
        {"name": "day", "type": "date"},
    ]
}


@dataclass
class Road:
    """Lands files and loads them, one second apart."""

    aws: Lake
    files: Files
    loading: Loading
    dsn: str
    seconds: int = 0

    def land(self, key: str, body: bytes | str, *, at: int | None = None) -> Drop:
        self.seconds += 1
        content = body.encode() if isinstance(body, str) else body
        bucket = self.aws.resources.bucket.name
        answer = self.aws.clients.s3.put_object(Bucket=bucket, Key=key, Body=content)
        landed_at = EPOCH + timedelta(seconds=self.seconds if at is None else at)
        etag = answer["ETag"].strip('"')
        found = route(
            Drop(
                drop_id=drop_id(
                    landed_at=landed_at,
                    sequencer=None,
                    bucket=bucket,
                    key=key,
                    version_id=None,
                    etag=etag,
                ),
                bucket=bucket,
                key=key,
                etag=etag,
                size_bytes=len(content),
                landed_at=landed_at,
            ),
            {"*"},
        )
        assert isinstance(found, Routed), found
        return found.drop

    def land_contract(
        self, table: str = "dev.users", *, at: int | None = None, **changes: Any
    ) -> Drop:
        db_name, _, table_name = table.partition(".")
        key = f"{db_name}/schema/{table_name}/contract.json"
        return self.land(key, json.dumps({**CONTRACT, **changes}), at=at)

    async def bring(self, drop: Drop, request: int = 0) -> Outcome:
        """Loads a drop and, as the service does, the drops that it reopened."""
        outcome = await self.loading.load(drop, attempt=1, request=request)
        await self.load_reopened(drop, outcome)
        return outcome

    async def revert(self, drop: Drop, request: int) -> Outcome:
        """Reverts a drop and, as the service does, loads the drops that it reopened."""
        outcome = await self.loading.revert(drop, request)
        await self.load_reopened(drop, outcome)
        return outcome

    async def load_reopened(self, opener: Drop, outcome: Outcome) -> list[DropRouted]:
        """Loads what a drop with this outcome reopened; returns what was published for it."""
        reopened = await self.published(opener) if outcome.reopens or outcome.repeated else []
        for routed in reopened:
            await self.bring(routed.drop, routed.request)
        return reopened

    async def published(self, opener: Drop) -> list[DropRouted]:
        """What a delivery of this drop publishes now, of the drops that it reopened."""
        published: list[DropRouted] = []

        async def publish(page: Sequence[DropRouted]) -> None:
            published.extend(page)

        assert await self.loading.publish_reopened(opener, publish) == len(published)
        return published

    async def contract(self, table: str = "dev.users", **changes: Any) -> Outcome:
        return await self.loading.load(self.land_contract(table, **changes), attempt=1)

    async def load(self, key: str, body: bytes | str, *, at: int | None = None) -> Outcome:
        return await self.loading.load(self.land(key, body, at=at), attempt=1)

    async def append(self, body: bytes | str, *, at: int | None = None) -> Outcome:
        return await self.load(f"dev/append/users/{self.seconds}.csv", body, at=at)

    async def truncate(self, body: bytes | str, *, at: int | None = None) -> Outcome:
        return await self.load(f"dev/truncate/users/{self.seconds}.csv", body, at=at)

    def rows(self, table: str = "dev.users") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(
                sql.SQL("select id, name, day::text from {} order by 1, 2, 3").format(
                    sql.Identifier(*table.split("."))
                )
            ).fetchall()

    def scalar(self, statement: str) -> Any:
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(statement.encode()).fetchone()
            assert row is not None
            return row[0]

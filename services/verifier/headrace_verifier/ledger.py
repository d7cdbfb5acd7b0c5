"""Reads the ledger and counts rows; keeps how far a verification has come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from headrace_shared.errors import TransientError
from headrace_shared.warehouse_access import WarehouseAccess, refuse_other_lake
from headrace_verifier.judging import Count
from headrace_verifier.records import Entry, Version, entry_of

PAGE: Final = 1_000
_LOCK_SECONDS: Final = 60
_KEPT: Final = 1_000
"""Records of verifications that are kept."""

# An event without a version id (of a bucket that was not versioned) is known by etag and time.
_UNKNOWN: Final[LiteralString] = """
    select place from unnest(
        %(keys)s::text[], %(version_ids)s::text[], %(etags)s::text[],
        %(modified)s::timestamptz[], %(longest)s::interval[]
    ) with ordinality as wanted (key, version_id, etag, modified, longest, place)
    where not exists (
        select from headrace.ledger where bucket = %(bucket)s and ledger.key = wanted.key
          and ledger.version_id = wanted.version_id)
      and not exists (
        select from headrace.ledger where bucket = %(bucket)s and ledger.key = wanted.key
          and ledger.version_id is null and ledger.etag = wanted.etag
          and landed_at between modified - interval '5 seconds' and modified + longest)
    """

_ENTRIES: Final[LiteralString] = """
    select ledger.*, contracts.changes
    from headrace.ledger left join headrace.contracts using (drop_id)
    """

_COUNTS: Final[LiteralString] = """
    with truncated as (
        select drop_id from headrace.ledger
        where db_name = %(db_name)s and table_name = %(table_name)s
          and action = 'truncate' and outcome = 'loaded'
        order by drop_id desc limit 1
    ), by_ledger as (
        select drop_id, rows_loaded - rows_removed as number from headrace.ledger
        where db_name = %(db_name)s and table_name = %(table_name)s
          and action <> 'schema' and outcome = 'loaded'
          and drop_id >= coalesce((select drop_id from truncated), %(nil)s)
    ), in_table as (
        select _drop_id as drop_id, count(*) as number from {}
        where _drop_id is not null group by _drop_id
    )
    select drop_id, (select key from headrace.ledger as known where known.drop_id = one.drop_id),
        expected, found
    from (
        select drop_id, coalesce(by_ledger.number, 0) as expected,
            coalesce(in_table.number, 0) as found
        from by_ledger full join in_table using (drop_id)
    ) as one
    where expected <> found
    """

_NIL: Final = UUID(int=0)


class Ledger:
    """Raises TransientError when the warehouse cannot be reached, or has no ledger yet."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, access: WarehouseAccess, lake: str) -> AsyncIterator[Ledger]:
        """A ledger on a connection of its own.

        Args:
            lake: the name of the lake that the warehouse has to belong to.

        Raises:
            SuperuserRefusedError: the role is a superuser, and no setting allows that.
            OtherLakeError: the warehouse belongs to another lake.
        """
        known = conninfo_to_dict(access.dsn, **await access.parameters())
        with _transient_errors():
            connection: AsyncConnection[Any] = await AsyncConnection.connect(
                make_conninfo(**access.trusting(known)),
                autocommit=True,
                connect_timeout=5,
                application_name="headrace-verifier",
            )
        async with connection:
            with _transient_errors():
                # Whoever wants the table for himself must not wait behind our waiting for long.
                await connection.execute(
                    "select set_config('lock_timeout', %s, false)", [f"{_LOCK_SECONDS}s"]
                )
            ledger = cls(connection)
            access.refuse_superuser(connection.info.parameter_status("is_superuser"))
            await ledger._refuse_other_lake(lake)
            yield ledger

    async def _refuse_other_lake(self, lake: str) -> None:
        # Before the first start of a loader there is no mark, nor a ledger.
        [found] = await self._rows("select to_regclass('headrace.lake') is not null as there", {})
        if found["there"]:
            for row in await self._rows("select name from headrace.lake", {}):
                refuse_other_lake(row["name"], lake)

    async def unknown(self, versions: Sequence[Version]) -> list[Version]:
        """Those of the versions (of one bucket) that have no row."""
        if not versions:
            return []
        rows = await self._rows(
            _UNKNOWN,
            {
                "bucket": versions[0].bucket,
                "keys": [one.key for one in versions],
                "version_ids": [one.version_id for one in versions],
                "etags": [one.etag for one in versions],
                "modified": [one.modified for one in versions],
                "longest": [one.event_delay for one in versions],
            },
        )
        return [versions[row["place"] - 1] for row in rows]

    async def page(self, after: UUID) -> list[Entry]:
        """The next rows in the order of drop ids."""
        rows = await self._rows(
            _ENTRIES + "where drop_id > %(after)s order by drop_id limit %(limit)s",
            {"after": after, "limit": PAGE},
        )
        return [entry_of(row) for row in rows]

    async def entries(self, drop_ids: Sequence[UUID]) -> dict[UUID, Entry]:
        """The rows of these drops, as far as there are any."""
        rows = await self._rows(
            _ENTRIES + "where drop_id = any(%(drop_ids)s)", {"drop_ids": list(drop_ids)}
        )
        return {row["drop_id"]: entry_of(row) for row in rows}

    async def tables(self) -> list[tuple[str, str]]:
        """db_name and table_name of every table that has an accepted contract."""
        rows = await self._rows(
            "select distinct db_name, table_name from headrace.contracts "
            "where accepted and not refused_by_rows order by 1, 2",
            {},
        )
        return [(row["db_name"], row["table_name"]) for row in rows]

    async def counts(self, db_name: str, table_name: str) -> AsyncIterator[Count]:
        """The drops of whose rows ledger and table count differently: both as of one moment.

        Raises:
            LookupError: there is no such table.
        """
        statement = sql.SQL(_COUNTS).format(sql.Identifier(db_name, table_name))
        values = {"db_name": db_name, "table_name": table_name, "nil": _NIL}
        with _transient_errors():
            try:
                async with (
                    self._connection.transaction(),
                    self._connection.cursor("counts") as cursor,
                ):
                    await cursor.execute(statement, values)
                    async for row in cursor:
                        yield Count(*row)
            except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
                raise LookupError(f"{db_name}.{table_name}") from error

    async def begin(self, scope: Mapping[str, Any]) -> int:
        """Enters a verification; answers with its number."""
        rows = await self._rows(
            "insert into headrace.verifications (scope, position, counts) "
            "values (%(scope)s, '{}', '{}') returning id",
            {"scope": Jsonb(scope)},
        )
        number: int = rows[0]["id"]
        await self._rows(
            "delete from headrace.verifications where id < %(first)s returning id",
            {"first": number - _KEPT},
        )
        return number

    async def unfinished(self, scope: Mapping[str, Any]) -> tuple[int, Any, Any] | None:
        """Number, position and counts of the latest verification of that scope that was broken
        off."""
        rows = await self._rows(
            "select id, position, counts from headrace.verifications "
            "where finished_at is null and scope = %(scope)s "
            "and id > (select coalesce(max(id), 0) from headrace.verifications "
            "where finished_at is not null and scope = %(scope)s) order by id desc limit 1",
            {"scope": Jsonb(scope)},
        )
        return (rows[0]["id"], rows[0]["position"], rows[0]["counts"]) if rows else None

    async def seconds_since_last(self, scope: Mapping[str, Any]) -> float | None:
        """How long ago the latest finished verification of that scope began; None: never."""
        rows = await self._rows(
            "select extract(epoch from clock_timestamp() - max(started_at))::float8 as seconds "
            "from headrace.verifications where finished_at is not null and scope = %(scope)s",
            {"scope": Jsonb(scope)},
        )
        seconds: float | None = rows[0]["seconds"]
        return seconds

    async def save(
        self, number: int, position: Mapping[str, Any], counts: Mapping[str, int], *, finished: bool
    ) -> None:
        """Keeps how far a verification has come."""
        await self._rows(
            "update headrace.verifications set position = %(position)s, counts = %(counts)s, "
            "updated_at = clock_timestamp(), "
            "finished_at = case when %(finished)s then clock_timestamp() end "
            "where id = %(number)s returning id",
            {
                "number": number,
                "position": Jsonb(position),
                "counts": Jsonb(counts),
                "finished": finished,
            },
        )

    async def _rows(self, query: LiteralString, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        with _transient_errors():
            async with self._connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(query, values)
                return await cursor.fetchall()


@contextmanager
def _transient_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        raise TransientError(f"the warehouse: {error}") from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise TransientError(
            "the warehouse has no ledger yet, or that of an older version: start a loader, which "
            f"makes it ({error})"
        ) from error

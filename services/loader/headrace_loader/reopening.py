"""Opens drops again that were decided before all was known: their rows stay until they are loaded
again, in one transaction that takes the old rows out and brings the new ones in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from headrace_loader.ledger import drop_of
from headrace_shared.drop import Drop
from headrace_shared.facts import DropRouted
from headrace_shared.tracing import traceparent

PAGE_ROWS: Final = 500

_MISREAD: Final[LiteralString] = """
    update headrace.ledger as entry
    set reopened_at = clock_timestamp(), run = headrace.run_after(run)
    where db_name = %(db_name)s and table_name = %(table_name)s
      and action <> 'schema' and drop_id <> %(drop_id)s
      and (%(all)s or contract_order > %(first)s)
      and contract_id is distinct from headrace.contract_of(db_name, table_name, contract_order)
      -- A drop for which no contract came in time was told so; a contract that landed after it
      -- does not bring it back.
      and (contract_id is not null or contract_order > %(first)s)
    returning drop_id
    """

_REREAD: Final[LiteralString] = """
    update headrace.ledger
    set reopened_at = clock_timestamp(), run = headrace.run_after(run)
    where db_name = %(db_name)s and table_name = %(table_name)s
      and action <> 'schema' and outcome = 'loaded' and contract_id = any(%(contracts)s)
    """

_EARLIER: Final[LiteralString] = """
    update headrace.ledger as entry
    set reopened_at = clock_timestamp(), run = headrace.run_after(run)
    where db_name = %(db_name)s and table_name = %(table_name)s
      and action <> 'schema' and outcome <> 'rejected' and drop_id < %(drop_id)s
      and drop_id >= coalesce((
        select drop_id from headrace.ledger
        where db_name = %(db_name)s and table_name = %(table_name)s
          and action = 'truncate' and outcome in ('loaded', 'reverted') and drop_id < %(drop_id)s
        order by drop_id desc limit 1), %(nil)s)
    """

_OTHER_VERSIONS: Final[LiteralString] = """
    update headrace.ledger as entry
    set reopened_at = clock_timestamp(), run = headrace.run_after(run)
    where bucket = %(bucket)s and key = %(key)s and (
        (%(rejected)s and superseded_by = %(drop_id)s)
        or (%(gives_back)s and drop_id < %(drop_id)s and outcome <> 'rejected')
        or (drop_id > %(drop_id)s and outcome in ('loaded', 'reverted')
            and (select contract ->> 'on_reupload' = 'reject' from headrace.contracts
                  where contracts.drop_id = entry.contract_id)))
    """

_VERDICTS: Final[LiteralString] = """
    update headrace.ledger
    set reopened_at = clock_timestamp(), run = headrace.run_after(run)
    where drop_id = any(%(contracts)s)
    """

_REOPENED: Final[LiteralString] = """
    select * from headrace.ledger
    where db_name = %(db_name)s and table_name = %(table_name)s
      and reopened_at is not null and drop_id > %(after)s
    order by drop_id limit %(limit)s
    """

_NIL: Final = UUID(int=0)


async def misread(
    connection: AsyncConnection[Any], drop: Drop, changed: UUID, *, first: bool
) -> Sequence[UUID]:
    """Opens the drops of a table that were read under a contract that is not theirs any more.

    Args:
        drop: the schema drop that is being applied.
        changed: the earliest contract that was accepted or refused just now.
        first: the table's first contract is another one now.
    """
    cursor = await connection.execute(
        _MISREAD, _table(drop) | {"drop_id": drop.drop_id, "first": changed, "all": first}
    )
    return [drop_id for (drop_id,) in await cursor.fetchall()]


async def reread(connection: AsyncConnection[Any], drop: Drop, contracts: Sequence[UUID]) -> bool:
    """Opens the drops of a table that were read under these contracts: their values pass through
    another chain now."""
    if not contracts:
        return False
    cursor = await connection.execute(_REREAD, _table(drop) | {"contracts": list(contracts)})
    return bool(cursor.rowcount)


async def verdicts(connection: AsyncConnection[Any], contracts: Sequence[UUID]) -> None:
    """Opens schema drops whose verdict has changed: their end has to be told anew."""
    await connection.execute(_VERDICTS, {"contracts": list(contracts)})


async def earlier(connection: AsyncConnection[Any], drop: Drop) -> bool:
    """Opens what a drop had taken rows from, back to the truncate before it."""
    cursor = await connection.execute(
        _EARLIER, _table(drop) | {"drop_id": drop.drop_id, "nil": _NIL}
    )
    return bool(cursor.rowcount)


async def other_versions(
    connection: AsyncConnection[Any], drop: Drop, *, rejected: bool, gives_back: bool
) -> bool:
    """Opens the versions of the drop's key whose end hangs on this one: later ones that would
    have been turned away, had it come first, and earlier ones that it does not replace any more.

    Args:
        rejected: how it ended.
        gives_back: it may have taken rows of earlier versions away, and does not any more.
    """
    cursor = await connection.execute(
        _OTHER_VERSIONS,
        {
            "bucket": drop.bucket,
            "key": drop.key,
            "drop_id": drop.drop_id,
            "rejected": rejected,
            "gives_back": gives_back,
        },
    )
    return bool(cursor.rowcount)


async def reopened(connection: AsyncConnection[Any], drop: Drop) -> AsyncIterator[list[DropRouted]]:
    """The drops of a table that wait to be loaded again, in pages, as the facts that say so."""
    after = _NIL
    while True:
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_REOPENED, _table(drop) | {"after": after, "limit": PAGE_ROWS})
            rows = await cursor.fetchall()
        if not rows:
            return
        yield [_routed(row) for row in rows]
        after = rows[-1]["drop_id"]


def _table(drop: Drop) -> dict[str, Any]:
    return {"db_name": drop.db_name, "table_name": drop.table_name}


def _routed(row: dict[str, Any]) -> DropRouted:
    drop = drop_of(row)
    return DropRouted(drop=drop, run=row["run"], traceparent=traceparent(drop.drop_id))

"""Reopens drops whose outcome was decided before everything that it depends on was known.

The rows of a reopened drop stay until it is loaded again, in one transaction that deletes its old
rows and inserts its new ones; only where a contract goes, they are deleted at once, for they need
not fit the shape that the table gets. Which drops are reopened, and why so few, is in
docs/adr/0012-reprocessing.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from headrace_loader.locks import hash_key
from headrace_shared.drop import Action, Drop, drop_in_ledger
from headrace_shared.facts import DropRouted
from headrace_shared.tracing import traceparent

PAGE_DROPS: Final = 100
_IDLE: Final = "30s"
"""A publisher that hangs for longer loses its transaction, and with it the lock."""

# What is open already waits for its one load: it is not opened twice.
_REOPEN: Final[LiteralString] = """
    with wanted as materialized ({}), opened as (
        update headrace.ledger as entry
        set reopened_at = clock_timestamp(), reopened_by = %(opener)s,
            reopening_published_at = null, reopenings = reopenings + 1,
            run = headrace.run_after(run)
        from wanted where entry.drop_id = wanted.drop_id and entry.reopened_at is null
        returning entry.drop_id
    )
    select wanted.drop_id, opened.drop_id is not null from wanted left join opened using (drop_id)
    """

_MISREAD: Final[LiteralString] = """
    select drop_id from headrace.ledger
    where db_name = %(db_name)s and table_name = %(table_name)s
      and action <> 'schema' and outcome <> 'reverted' and drop_id <> %(opener)s
      and (%(all)s or contract_order > %(first)s)
      and contract_id is distinct from headrace.contract_of(db_name, table_name, contract_order)
      -- A drop for which no contract came in time was rejected; a contract that landed after it
      -- does not change that.
      and (contract_id is not null or contract_order > %(first)s)
    """

_REREAD: Final[LiteralString] = """
    select drop_id from headrace.ledger
    where db_name = %(db_name)s and table_name = %(table_name)s
      and action <> 'schema' and outcome = 'loaded' and contract_id = any(%(contracts)s)
    """

# The earlier drops of the table back to the truncate before this drop: after a truncate all that
# had rows, after an upsert those that lost some, and upserts that took keys and have no row.
_EARLIER: Final[LiteralString] = """
    select drop_id from headrace.ledger
    where db_name = %(db_name)s and table_name = %(table_name)s
      and action <> 'schema' and drop_id < %(opener)s
      and case when %(all)s then outcome in ('loaded', 'superseded')
               else (outcome = 'loaded' and rows_removed > 0)
                 or (outcome = 'superseded' and keys_fingerprint is not null) end
      and drop_id >= coalesce((
        select drop_id from headrace.ledger
        where db_name = %(db_name)s and table_name = %(table_name)s
          and action = 'truncate' and outcome = 'loaded' and drop_id < %(opener)s
        order by drop_id desc limit 1), %(nil)s)
    """

_OTHER_VERSIONS: Final[LiteralString] = """
    select drop_id from (
        select drop_id, outcome, reason ->> 'code' as code,
            (select headrace.on_reupload(contract, key) from headrace.contracts
              where contracts.drop_id = contract_id) as policy
        from headrace.ledger where bucket = %(bucket)s and key = %(key)s
    ) as version, (
        select
            (select headrace.on_reupload(contract, %(key)s) from headrace.contracts
              where drop_id = %(replaced_under)s) as replaced,
            (select headrace.on_reupload(contract, %(key)s) from headrace.contracts
              where drop_id = %(replaces_under)s) as replaces
    ) as own
    where (drop_id < %(opener)s and outcome in ('loaded', 'superseded')
            and replaced = 'replace' and replaces is distinct from 'replace')
        or (drop_id > %(opener)s and %(arrives)s and outcome = 'loaded' and policy = 'reject')
        or (drop_id > %(opener)s and %(reverted)s and outcome = 'rejected' and code = 'reuploaded')
    """

_VERDICTS: Final[LiteralString] = "select unnest(%(contracts)s::uuid[]) as drop_id"

# The latest first: an upsert that takes other keys now is loaded before the drops that get rows
# back from it, which are open still. Versions before this one noted no opener.
_UNPUBLISHED: Final[LiteralString] = """
    select * from headrace.ledger
    where reopened_at is not null and reopening_published_at is null
      and (reopened_by = %(opener)s or (reopened_by is null
        and db_name = %(db_name)s and table_name = %(table_name)s))
    order by drop_id desc limit %(limit)s for update
    """

_NOTE_PUBLISHED: Final[LiteralString] = """
    update headrace.ledger set reopening_published_at = clock_timestamp()
    where drop_id = any(%(drop_ids)s)
    """

_NIL: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Reopened:
    """The drops that have to be loaded again; `opened`: how many of them were not open before."""

    drop_ids: tuple[UUID, ...]
    opened: int


NOTHING_REOPENED: Final = Reopened((), 0)


async def misread(
    connection: AsyncConnection[Any], drop: Drop, changed: UUID, *, first: bool
) -> Reopened:
    """Reopens the drops of a table that were read under a contract that is not theirs any more.

    Args:
        drop: the schema drop that is being applied or reverted.
        changed: the earliest contract that was accepted, refused or reverted just now.
        first: the table's first contract is another one now.
    """
    return await _reopen(
        connection, drop, _MISREAD, _table(drop) | {"first": changed, "all": first}
    )


async def reread(
    connection: AsyncConnection[Any], drop: Drop, contracts: Sequence[UUID]
) -> Reopened:
    """Reopens the drops of a table that were read under these contracts: their values pass through
    another chain now."""
    if not contracts:
        return NOTHING_REOPENED
    return await _reopen(connection, drop, _REREAD, _table(drop) | {"contracts": list(contracts)})


async def verdicts(connection: AsyncConnection[Any], drop: Drop, contracts: Sequence[UUID]) -> None:
    """Reopens schema drops whose verdict has changed: their outcome is another one now."""
    await _reopen(connection, drop, _VERDICTS, {"contracts": list(contracts)})


async def earlier(connection: AsyncConnection[Any], drop: Drop) -> int:
    """Reopens the earlier drops whose rows this one had removed; returns how many."""
    values = _table(drop) | {"all": drop.action is Action.TRUNCATE, "nil": _NIL}
    return (await _reopen(connection, drop, _EARLIER, values)).opened


async def other_versions(
    connection: AsyncConnection[Any],
    drop: Drop,
    *,
    arrives: bool,
    reverted: bool,
    replaced_under: UUID | None,
    replaces_under: UUID | None,
) -> int:
    """Reopens the versions of the drop's key whose outcome depends on this one; returns how many.

    Args:
        arrives: the drop counts from now on: later versions may be rejected for it.
        reverted: it does not count any more: later versions may not be rejected for it.
        replaced_under: the contract under which it replaced earlier versions before, if it did.
        replaces_under: the same of now.
    """
    values = {
        "bucket": drop.bucket,
        "key": drop.key,
        "arrives": arrives,
        "reverted": reverted,
        "replaced_under": replaced_under,
        "replaces_under": replaces_under,
    }
    return (await _reopen(connection, drop, _OTHER_VERSIONS, values)).opened


async def unpublished(connection: AsyncConnection[Any], opener: Drop) -> list[DropRouted]:
    """A page of the drops that `opener` reopened and that were not published yet; their rows of
    the ledger are locked until the transaction ends.

    Two deliveries of one opener wait here for one another: so each reopening is published once,
    and again only where a publisher died before it noted that. Drops that a load has in hand come
    last, one by one: while this transaction waits for a lock, it holds none of another drop.
    """
    await connection.execute(
        "select set_config('idle_in_transaction_session_timeout', %s, true), "
        "pg_advisory_xact_lock(%s)",
        [_IDLE, hash_key(f"reopened by {opener.drop_id}")],
    )
    values = _table(opener) | {"opener": opener.drop_id}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_UNPUBLISHED + " skip locked", values | {"limit": PAGE_DROPS})
        rows = await cursor.fetchall()
        if not rows:
            await cursor.execute(_UNPUBLISHED, values | {"limit": 1})
            rows = await cursor.fetchall()
    return [_routed(row) for row in rows]


async def note_published(connection: AsyncConnection[Any], page: Sequence[DropRouted]) -> None:
    """Notes that these reopened drops, whose rows are locked, were published."""
    await connection.execute(_NOTE_PUBLISHED, {"drop_ids": [one.drop.drop_id for one in page]})


async def _reopen(
    connection: AsyncConnection[Any], opener: Drop, wanted: LiteralString, values: dict[str, Any]
) -> Reopened:
    cursor = await connection.execute(
        _REOPEN.replace("{}", wanted), values | {"opener": opener.drop_id}
    )
    rows = await cursor.fetchall()
    return Reopened(tuple(drop_id for drop_id, _ in rows), sum(opened for _, opened in rows))


def _table(drop: Drop) -> dict[str, Any]:
    return {"db_name": drop.db_name, "table_name": drop.table_name}


def _routed(row: dict[str, Any]) -> DropRouted:
    drop = drop_in_ledger(row)
    return DropRouted(drop=drop, run=row["run"], traceparent=traceparent(drop.drop_id))

"""The ledger's statements: which drops are applied, how each ended, which contract is in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from headrace_loader.outcomes import Applied, Loaded, Outcome, Rejected, Superseded
from headrace_shared.contract import Contract
from headrace_shared.drop import Action, Drop
from headrace_shared.reasons import Reason

_OUTCOMES: Final = {
    Loaded: "loaded",
    Applied: "loaded",
    Superseded: "superseded",
    Rejected: "rejected",
}

_LEDGER_ROW: Final[LiteralString] = """
    insert into headrace.ledger (drop_id, db_name, table_name, action, bucket, key, version_id,
        etag, size_bytes, landed_at, started_at, applied_at, outcome, rows_loaded, contract_id,
        superseded_by, reason)
    values (%(drop_id)s, %(db_name)s, %(table_name)s, %(action)s, %(bucket)s, %(key)s,
        %(version_id)s, %(etag)s, %(size_bytes)s, %(landed_at)s, %(started_at)s,
        clock_timestamp(), %(outcome)s, %(rows)s, %(contract_id)s, %(superseded_by)s, %(reason)s)
    on conflict (drop_id) do nothing
    """

_COMPLETE: Final[LiteralString] = """
    update headrace.ledger set outcome = %(outcome)s, rows_loaded = %(rows)s,
        contract_id = %(contract_id)s, superseded_by = %(superseded_by)s, reason = %(reason)s,
        applied_at = clock_timestamp()
    where drop_id = %(drop_id)s
    """

_STANDING: Final[LiteralString] = """
    select
        (select drop_id from headrace.ledger
          where db_name = %(db_name)s and table_name = %(table_name)s and drop_id > %(drop_id)s
            and action = 'truncate' and outcome = 'loaded'
          order by drop_id desc limit 1),
        exists (select from headrace.ledger
          where db_name = %(db_name)s and table_name = %(table_name)s and drop_id > %(drop_id)s
            and action <> 'schema' and outcome = 'loaded'),
        contract.drop_id,
        contract.contract
    from (select) as nothing left join lateral (
        select drop_id, contract from headrace.contracts
        where db_name = %(db_name)s and table_name = %(table_name)s
        order by drop_id desc limit 1
    ) as contract on true
    """


@dataclass(frozen=True, slots=True)
class StoredContract:
    """A contract in force and the drop that brought it."""

    contract_id: UUID
    contract: Contract


@dataclass(frozen=True, slots=True)
class Standing:
    """What a drop meets at its table: the truncate that overtook it, if any; whether later drops
    are loaded already; the contract in force."""

    overtaken_by: UUID | None
    later_drops_loaded: bool
    contract: StoredContract | None


async def enter(
    connection: AsyncConnection[Any], drop: Drop, started_at: datetime, outcome: Outcome
) -> bool:
    """Enters a drop; False if it is there already. Waits for a transaction that is entering it."""
    cursor = await connection.execute(_LEDGER_ROW, _values(drop, started_at, outcome))
    return bool(cursor.rowcount)


async def complete(connection: AsyncConnection[Any], drop: Drop, outcome: Outcome) -> None:
    """Writes how an entered drop ended."""
    await connection.execute(_COMPLETE, _ending(outcome) | {"drop_id": drop.drop_id})


async def recorded(connection: AsyncConnection[Any], drop: Drop) -> Outcome | None:
    """How the drop ended, if it did."""
    cursor = await connection.execute(
        "select outcome, rows_loaded, contract_id, superseded_by, reason, changes "
        "from headrace.ledger left join headrace.contracts using (drop_id) where drop_id = %s",
        [drop.drop_id],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    outcome, rows, contract_id, superseded_by, reason, changes = row
    if outcome == "superseded":
        return Superseded(superseded_by, repeated=True)
    if outcome == "rejected":
        return Rejected(Reason.model_validate(reason), repeated=True)
    if drop.action is Action.SCHEMA:
        return Applied(tuple(changes or ()), repeated=True)
    return Loaded(rows, contract_id, repeated=True)


async def standing(connection: AsyncConnection[Any], drop: Drop) -> Standing:
    """What the drop meets; holds still only under the table's lock."""
    cursor = await connection.execute(
        _STANDING,
        {
            "db_name": drop.db_name,
            "table_name": drop.table_name,
            "drop_id": drop.drop_id,
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    overtaken_by, later, contract_id, document = row
    contract = (
        StoredContract(contract_id, Contract.model_validate(document)) if contract_id else None
    )
    return Standing(overtaken_by, later, contract)


async def put_contract(
    connection: AsyncConnection[Any],
    drop: Drop,
    contract: Contract,
    changes: Sequence[str],
) -> None:
    """Puts a contract in force from its drop on."""
    await connection.execute(
        "insert into headrace.contracts (drop_id, db_name, table_name, contract, changes) "
        "values (%s, %s, %s, %s, %s)",
        [
            drop.drop_id,
            drop.db_name,
            drop.table_name,
            Jsonb(contract.model_dump(mode="json")),
            Jsonb(list(changes)),
        ],
    )


def _values(drop: Drop, started_at: datetime, outcome: Outcome) -> dict[str, Any]:
    return {
        "drop_id": drop.drop_id,
        "db_name": drop.db_name,
        "table_name": drop.table_name,
        "action": drop.action,
        "bucket": drop.bucket,
        "key": drop.key,
        "version_id": drop.version_id,
        "etag": drop.etag,
        "size_bytes": drop.size_bytes,
        "landed_at": drop.landed_at,
        "started_at": started_at,
    } | _ending(outcome)


def _ending(outcome: Outcome) -> dict[str, Any]:
    return {
        "outcome": _OUTCOMES[type(outcome)],
        "rows": outcome.rows if isinstance(outcome, Loaded) else 0,
        "contract_id": outcome.contract_id if isinstance(outcome, Loaded) else None,
        "superseded_by": outcome.by if isinstance(outcome, Superseded) else None,
        "reason": Jsonb(outcome.reason.model_dump()) if isinstance(outcome, Rejected) else None,
    }

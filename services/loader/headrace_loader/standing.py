"""What a drop meets at its table: the drops that bear on it, and the contract of its place.

Read in the drop's own transaction it holds still until the end, for the table's lock is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from headrace_shared.contract import Contract
from headrace_shared.drop import Drop

_RIGHT_CONTRACT: Final[LiteralString] = """
    select drop_id, contract from headrace.contracts
    where drop_id = headrace.contract_of(%(db_name)s, %(table_name)s, %(contract_order)s)
    """

LAST_PLACE: Final = UUID(int=2**128 - 1)

_STANDING: Final[LiteralString] = """
    with here as not materialized (
        select drop_id, action, outcome from headrace.ledger
        where db_name = %(db_name)s and table_name = %(table_name)s
    ), versions as (
        select drop_id, outcome,
            headrace.on_reupload((select contract from headrace.contracts
              where contracts.drop_id = contract_id), key) as on_reupload
        from headrace.ledger where bucket = %(bucket)s and key = %(key)s
    )
    select
        (select drop_id from here where action = 'truncate' and drop_id > %(drop_id)s
            and outcome = 'loaded'
          order by drop_id desc limit 1) as overtaken_by,
        exists (select from here where drop_id > %(drop_id)s
            and action <> 'schema' and outcome = 'loaded') as later_rows,
        exists (select from here where action = 'upsert' and drop_id > %(drop_id)s
            and outcome not in ('rejected', 'reverted')) as later_upserts,
        (select drop_id from versions where drop_id > %(drop_id)s
            and outcome = 'loaded' and on_reupload = 'replace'
          order by drop_id desc limit 1) as replaced_by,
        (select drop_id from versions where drop_id < %(drop_id)s and outcome <> 'reverted'
          order by drop_id limit 1) as earlier_version,
        (select key from headrace.ledger where drop_id = %(corrects)s) as corrected_key,
        in_force.drop_id as in_force_id, in_force.contract as in_force,
        own.drop_id as contract_id, own.contract as contract,
        (select coalesce(jsonb_agg(contracts.contract order by contracts.drop_id), '[]')
          from headrace.contracts
          where db_name = %(db_name)s and table_name = %(table_name)s
            and accepted and not refused_by_rows and contracts.drop_id > own.drop_id) as later
    from (select) as nothing
    left join headrace.contracts as in_force on in_force.drop_id
        = headrace.contract_of(%(db_name)s, %(table_name)s, %(last_place)s)
    left join headrace.contracts as own on own.drop_id
        = headrace.contract_of(%(db_name)s, %(table_name)s, %(contract_order)s)
    """


@dataclass(frozen=True, slots=True)
class StoredContract:
    """An accepted contract and the drop that brought it."""

    contract_id: UUID
    contract: Contract


@dataclass(frozen=True, slots=True)
class Standing:
    """What a drop meets.

    Args:
        overtaken_by: the latest truncate that landed after it.
        later_rows: drops that landed after it are loaded already.
        later_upserts: upserts among them.
        replaced_by: a later version of its key that replaces earlier ones.
        earlier_version: the first version of its key that was not reverted, if that is another
            drop; however else it ended.
        corrected_key: of the drop whose quarantined rows this one corrects.
        contract: the one of the drop's place; None as long as the table has none.
        later: the accepted ones after it, of which the last one is in force.
        in_force: the one that the table has the shape of.
    """

    overtaken_by: UUID | None
    later_rows: bool
    later_upserts: bool
    replaced_by: UUID | None
    earlier_version: UUID | None
    corrected_key: str | None
    contract: StoredContract | None
    later: tuple[Contract, ...]
    in_force: StoredContract | None


async def standing(connection: AsyncConnection[Any], drop: Drop, contract_order: UUID) -> Standing:
    """What the drop meets."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_STANDING, _place(drop, contract_order))
        row = await cursor.fetchone()
    assert row is not None
    own_id, own, in_force_id, in_force = (
        row.pop(name) for name in ("contract_id", "contract", "in_force_id", "in_force")
    )
    row["later"] = tuple(Contract.model_validate(one) for one in row["later"])
    contract = _stored(own_id, own)
    same = own_id == in_force_id
    return Standing(
        contract=contract, in_force=contract if same else _stored(in_force_id, in_force), **row
    )


async def right_contract(
    connection: AsyncConnection[Any], drop: Drop, contract_order: UUID
) -> StoredContract | None:
    """The contract under which a drop is read, as far as the contracts have come in."""
    cursor = await connection.execute(_RIGHT_CONTRACT, _place(drop, contract_order))
    row = await cursor.fetchone()
    return _stored(*row) if row else None


def _place(drop: Drop, contract_order: UUID) -> dict[str, Any]:
    return {
        "db_name": drop.db_name,
        "table_name": drop.table_name,
        "drop_id": drop.drop_id,
        "bucket": drop.bucket,
        "key": drop.key,
        "corrects": drop.corrects,
        "contract_order": contract_order,
        "last_place": LAST_PLACE,
    }


def _stored(contract_id: UUID | None, document: Any) -> StoredContract | None:
    return StoredContract(contract_id, Contract.model_validate(document)) if contract_id else None

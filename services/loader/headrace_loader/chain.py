"""The chain of a table's contracts, as the warehouse keeps it; `evolution` decides about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from headrace_shared import evolution
from headrace_shared.contract import Contract
from headrace_shared.drop import Drop
from headrace_shared.evolution import Chain, Columns, Fill, TableColumn, fold, types_of


@dataclass(frozen=True, slots=True)
class Change:
    """What a new look at the chain changed.

    Args:
        chain: the chain as it is now.
        own: the drop's own contract is in the chain now, or was.
        flipped: the contracts whose verdict is another one than before, the new one aside.
        first: the table's first accepted contract is another one.
        reread: the contracts whose rows lack what they should have lost on the way through the
            chain, or have lost what they should have: a breaking one came or went in the middle.
        owned: the columns that a contract of the table has declared, now or before.
        reread_before: the same of the columns that the table had before Headrace knew it: how
            their values pass; None for those that are lost.
    """

    chain: Chain
    own: bool
    flipped: tuple[UUID, ...]
    first: bool
    owned: frozenset[str] = frozenset()
    reread: tuple[UUID, ...] = ()
    reread_before: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)


async def put(connection: AsyncConnection[Any], drop: Drop, contract: Contract) -> None:
    """Adds a contract to its table's chain, with no verdict yet; a replay looks at it afresh."""
    await connection.execute(
        "insert into headrace.contracts "
        "(drop_id, db_name, table_name, contract, changes, accepted) "
        "values (%s, %s, %s, %s, '[]', false) "
        "on conflict (drop_id) do update set refused_by_rows = false, reverted = false",
        [
            drop.drop_id,
            drop.db_name,
            drop.table_name,
            Jsonb(_document(contract)),
        ],
    )


async def columns_before(
    connection: AsyncConnection[Any], drop: Drop, present: Columns | None
) -> Columns | None:
    """The columns that the table had before Headrace knew it; `present` are they, the first time
    that this is asked."""
    document = None
    if present is not None:
        document = Jsonb([[name, has.type, has.nullable] for name, has in present.items()])
    fills = Jsonb({name: has.fill for name, has in (present or {}).items()})
    cursor = await connection.execute(
        "insert into headrace.tables (db_name, table_name, columns_before, fills) "
        "values (%(db)s, %(table)s, %(columns)s, %(fills)s) "
        "on conflict (db_name, table_name) do update set db_name = excluded.db_name "
        "returning columns_before, fills",
        {"db": drop.db_name, "table": drop.table_name, "columns": document, "fills": fills},
    )
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return None
    # Of tables that older versions took over it is not known: every column was declared then.
    filled = row[1] or {}
    return {
        name: TableColumn(kind, nullable, Fill(filled.get(name, Fill.DEFAULT)))
        for name, kind, nullable in row[0]
    }


async def judge(connection: AsyncConnection[Any], drop: Drop, before: Columns | None) -> Change:
    """Folds the chain anew and writes every verdict down."""
    cursor = await connection.execute(
        "select drop_id, contract, accepted, reverted from headrace.contracts where db_name = %s "
        "and table_name = %s and not refused_by_rows and (accepted or not reverted) "
        "order by drop_id",
        [drop.db_name, drop.table_name],
    )
    rows = await cursor.fetchall()
    contracts = {drop_id: Contract.model_validate(held) for drop_id, held, *_ in rows}
    chain = fold(before, [(one, contracts[one]) for one, _, _, reverted in rows if not reverted])
    was = {drop_id for drop_id, _, accepted, _ in rows if accepted}
    now = {verdict.contract_id for verdict in chain.verdicts if verdict.refusal is None}
    await _write(connection, drop, chain)
    return Change(
        chain=chain,
        own=drop.drop_id in was | now,
        flipped=tuple(sorted((was ^ now) - {drop.drop_id})),
        first=min(was, default=None) != min(now, default=None),
        owned=frozenset(name for one in was | now for name in contracts[one].by_name),
        reread=tuple(
            one
            for one in sorted(was & now)
            if evolution.reread(
                types_of(contracts[one]),
                _after(one, was, contracts),
                _after(one, now, contracts),
            )
        ),
        reread_before=evolution.reread(
            {name: has.type for name, has in (before or {}).items()},
            [contracts[one] for one in sorted(was)],
            [contracts[one] for one in sorted(now)],
            others=frozenset(before or ()),
        ),
    )


def _document(contract: Contract) -> dict[str, Any]:
    """The contract as JSON. `on_reupload` is in it only where the contract has it: what holds
    without it depends on the key."""
    unset = {"on_reupload"} if contract.on_reupload is None else None
    return contract.model_dump(mode="json", exclude=unset)


def _after(
    place: UUID, accepted: Collection[UUID], contracts: Mapping[UUID, Contract]
) -> list[Contract]:
    return [contracts[one] for one in sorted(accepted) if one > place]


async def take_out(connection: AsyncConnection[Any], drop: Drop) -> None:
    """Leaves a contract out of the chain, as if it had never landed, from the next `judge` on:
    until then `accepted` says what it was."""
    await connection.execute(
        "update headrace.contracts set reverted = true where drop_id = %s", [drop.drop_id]
    )


async def refuse_for_its_rows(connection: AsyncConnection[Any], drop: Drop) -> None:
    """Notes that the rows of the table do not bear a contract: it is left out of the chain."""
    await connection.execute(
        "update headrace.contracts set refused_by_rows = true, accepted = false where drop_id = %s",
        [drop.drop_id],
    )


async def _write(connection: AsyncConnection[Any], drop: Drop, chain: Chain) -> None:
    await connection.execute(
        "update headrace.contracts set accepted = false where drop_id = %s and reverted",
        [drop.drop_id],
    )
    verdicts: Sequence[tuple[UUID, bool, Jsonb]] = [
        (verdict.contract_id, verdict.refusal is None, Jsonb(list(verdict.changes)))
        for verdict in chain.verdicts
    ]
    if not verdicts:
        return
    await connection.execute(
        "update headrace.contracts set accepted = verdict.accepted, changes = verdict.changes "
        "from unnest(%s::uuid[], %s::boolean[], %s::jsonb[]) "
        "as verdict (drop_id, accepted, changes) "
        "where contracts.drop_id = verdict.drop_id and (contracts.accepted, contracts.changes) "
        "is distinct from (verdict.accepted, verdict.changes)",
        [list(column) for column in zip(*verdicts, strict=True)],
    )

"""Makes a table again from the lake, beside the live one, and swaps the content in one transaction.

The drops are applied one by one in drop-id order to a temporary table, while loads go on. Then,
with the table to itself, the rebuild applies what has landed meanwhile and puts the new content
in the place of the old: the table itself stays, with its grants, views and indexes. Killed at any
moment it leaves nothing behind. Rows that no drop brought are kept, as far as no truncate had
removed them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, errors, sql
from psycopg.rows import dict_row

from headrace_loader import table
from headrace_loader.bringing import bring
from headrace_loader.files import Files
from headrace_loader.ledger import Claim
from headrace_loader.locks import hash_key, table_lock_key
from headrace_loader.placing import Placement, place
from headrace_loader.sqlstate import CopyRefusedError
from headrace_loader.staging import Place
from headrace_loader.standing import LAST_PLACE, Standing, standing
from headrace_loader.swapping import swap_rows
from headrace_loader.testing_rows import DEFAULT_RULES, TestRules
from headrace_loader.transaction import LoadTransaction
from headrace_shared.contract import Contract
from headrace_shared.drop import Drop, drop_in_ledger
from headrace_shared.errors import HeadraceError, PermanentError
from headrace_shared.identifiers import LINEAGE_COLUMN

_ASIDE: Final = sql.Identifier("pg_temp", "rebuilt")

# Drops none of whose rows went in count too: what an upsert takes away, it takes away still.
_DROPS: Final[LiteralString] = """
    select * from headrace.ledger as entry
    where db_name = %(db_name)s and table_name = %(table_name)s and action <> 'schema'
      and (outcome = 'loaded' or (outcome = 'superseded' and action = 'upsert'))
      and drop_id >= coalesce((
        select drop_id from headrace.ledger
        where db_name = %(db_name)s and table_name = %(table_name)s
          and action = 'truncate' and outcome = 'loaded'
        order by drop_id desc limit 1), '00000000-0000-0000-0000-000000000000')
      and not exists (select from rebuilt_drops as done
        where done.drop_id = entry.drop_id and done.applied_at = entry.applied_at)
    order by drop_id
    """

_COUNTED_ANEW: Final[LiteralString] = """
    update headrace.ledger set rows_removed = rows_loaded - coalesce(counted.rows, 0)
    from rebuilt_drops as done left join (
        select {lineage} as drop_id, count(*) as rows from rebuilt group by 1
    ) as counted using (drop_id)
    where ledger.drop_id = done.drop_id and outcome = 'loaded'
    """

_PROGRESS_EVERY: Final = 100


_LINEAGE: Final = sql.Identifier(LINEAGE_COLUMN)

_BUSY_SECONDS: Final = 60
"""How long the last step waits for the loads that are under way."""


class RebuildError(HeadraceError):
    """The table could not be made again; it is as it was."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did."""

    drops: int
    rows_before: int
    rows_after: int


@dataclass(frozen=True, slots=True)
class _Table:
    """The table and the contract that it has the shape of, with the contract's columns."""

    db_name: str
    table_name: str
    contract_id: UUID
    own: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.db_name}.{self.table_name}"

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.db_name, self.table_name)

    @property
    def aside(self) -> Place:
        """Where the new content comes to be; no table of a user is named like that."""
        return Place(_ASIDE, "", f"rebuild of {self.name}", counted=False)


class Rebuild:
    """One rebuild of one table, on a connection of its own.

    Args:
        tell: called with a sentence now and then.
        stall_seconds: how long the lake may leave a file without bytes.
        files: opens the drops' files.
    """

    def __init__(
        self,
        connection: AsyncConnection[Any],
        files: Files,
        tell: Callable[[str], None],
        *,
        stall_seconds: float,
        rules: TestRules = DEFAULT_RULES,
    ) -> None:
        self._connection = connection
        self._files = files
        self._tell = tell
        self._stall = stall_seconds
        self._rules = rules

    async def run(self, db_name: str, table_name: str) -> Rebuilt:
        """Rebuilds the table.

        Raises:
            RebuildError: the table has no contract, a file is not in the lake any more or cannot
                be read, or the table was changed in a way that asks for a fresh start.
        """
        async with self._connection.transaction():
            one = await self._begin(db_name, table_name)
            drops = await self._apply(one)
            await self._take_table(one)
            drops += await self._apply(one)
            await self._refuse_changed(one)
            return await self._swap(one, drops)

    async def _begin(self, db_name: str, table_name: str) -> _Table:
        contract_id = await self._contract(db_name, table_name)
        one = _Table(db_name, table_name, contract_id, await self._own(contract_id))
        await self._alone(one)
        others = [
            sql.SQL("drop column {}").format(sql.Identifier(name))
            for name in await self._others(one)
        ]
        statements: tuple[LiteralString, ...] = (
            """create temporary table rebuilt (
                like {live} including defaults including constraints) on commit drop""",
            """create temporary table rebuilt_drops (
                drop_id uuid primary key, applied_at timestamptz) on commit drop""",
            "insert into rebuilt select * from {live} where {lineage} is null",
            "create index on rebuilt using brin ({lineage})",
            *(("alter table rebuilt {others}",) if others else ()),
        )
        for statement in statements:
            await self._connection.execute(
                sql.SQL(statement).format(
                    live=one.identifier, lineage=_LINEAGE, others=sql.SQL(", ").join(others)
                )
            )
        return one

    async def _own(self, contract_id: UUID) -> tuple[str, ...]:
        cursor = await self._connection.execute(
            "select contract from headrace.contracts where drop_id = %s", [contract_id]
        )
        row = await cursor.fetchone()
        assert row is not None
        return tuple(Contract.model_validate(row[0]).by_name)

    async def _others(self, one: _Table) -> list[str]:
        """The columns that are not in the contract: a rebuild leaves them as they are."""
        found = await table.columns_of(self._connection, one.db_name, one.table_name)
        return [name for name in found or () if name not in one.own]

    async def _contract(self, db_name: str, table_name: str) -> UUID:
        cursor = await self._connection.execute(
            "select headrace.contract_of(%s, %s, %s)", [db_name, table_name, LAST_PLACE]
        )
        row = await cursor.fetchone()
        if row is None or row[0] is None:
            raise RebuildError(f"{db_name}.{table_name} has no contract: no drop has made it")
        found: UUID = row[0]
        return found

    async def _alone(self, one: _Table) -> None:
        cursor = await self._connection.execute(
            "select pg_try_advisory_xact_lock(%s)", [hash_key(f"rebuild {one.name}")]
        )
        row = await cursor.fetchone()
        if not (row and row[0]):
            raise RebuildError(f"{one.name} is being rebuilt already")

    async def _apply(self, one: _Table) -> int:
        """Applies what is not applied yet, until nothing is left; answers with how many."""
        applied = 0
        while drops := await self._waiting(one):
            self._tell(f"{len(drops):,} drops to apply")
            for row in drops:
                await self._bring(one, row)
                applied += 1
                if applied % _PROGRESS_EVERY == 0:
                    self._tell(f"{applied:,} drops applied")
        return applied

    async def _waiting(self, one: _Table) -> Sequence[dict[str, Any]]:
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_DROPS, {"db_name": one.db_name, "table_name": one.table_name})
            rows = await cursor.fetchall()
        known = await self._known()
        if any(row["drop_id"] in known for row in rows):
            raise RebuildError(f"a drop of {one.name} was loaded again meanwhile; run it once more")
        return rows

    async def _refuse_changed(self, one: _Table) -> None:
        """A drop that was applied may have been reverted, or rejected, since."""
        cursor = await self._connection.execute(
            "select exists (select from rebuilt_drops as done join headrace.ledger using (drop_id) "
            "where ledger.applied_at <> done.applied_at)"
        )
        row = await cursor.fetchone()
        if row and row[0]:
            raise RebuildError(f"a drop of {one.name} changed meanwhile; run it once more")

    async def _known(self) -> set[UUID]:
        cursor = await self._connection.execute("select drop_id from rebuilt_drops")
        return {drop_id for (drop_id,) in await cursor.fetchall()}

    async def _bring(self, one: _Table, row: dict[str, Any]) -> None:
        drop = drop_in_ledger(row)
        claim = Claim(row["run"], row["contract_order"], before=None)
        met = await standing(self._connection, drop, claim.contract_order)
        placed = place(drop, met, claim)
        if isinstance(placed, Placement):
            if row["rows_quarantined"]:
                # Some of them broke a rule of the table, perhaps.
                placed = replace(placed, staged=True, row_by_row=True)
            await self._connection.execute(
                "select set_config('headrace.drop_id', %s, true)", [str(drop.drop_id)]
            )
            await self._load(one, drop, placed, met, claim)
        await self._connection.execute(
            "insert into rebuilt_drops values (%s, %s)", [drop.drop_id, row["applied_at"]]
        )

    async def _load(
        self, one: _Table, drop: Drop, placed: Placement, met: Standing, claim: Claim
    ) -> None:
        aside = LoadTransaction(
            self._connection,
            drop,
            exclusive=True,
            stall_seconds=self._stall,
            aside=one.aside,
            rules=self._rules,
        )
        try:
            # Some were loaded only because they were sifted, and need not tell now.
            contract = placed.contract.contract
            async with self._files.rows(drop, contract, sifted=True) as rows:
                await bring(aside, drop, rows, placed, met, claim)
            await self._connection.execute("drop table if exists pg_temp.staged")
        except (PermanentError, CopyRefusedError) as error:
            raise RebuildError(
                f"the file {drop.key} of the drop {drop.drop_id} cannot be loaded again: {error}"
            ) from error

    async def _take_table(self, one: _Table) -> None:
        """From here on no other load of the table commits."""
        self._tell("waiting for the loads that are under way")
        try:
            await self._connection.execute(
                "select set_config('lock_timeout', %s, true), pg_advisory_xact_lock(%s)",
                [f"{_BUSY_SECONDS}s", table_lock_key(one.name)],
            )
        except errors.LockNotAvailable as error:
            raise RebuildError(
                f"loads kept {one.name} busy for {_BUSY_SECONDS} seconds; run it once more"
            ) from error

    async def _swap(self, one: _Table, drops: int) -> Rebuilt:
        if await self._contract(one.db_name, one.table_name) != one.contract_id:
            raise RebuildError(f"the contract of {one.name} changed meanwhile; run it once more")
        before = await self._count(one.identifier)
        try:
            await swap_rows(self._connection, one.db_name, one.table_name, one.own)
        except CopyRefusedError as refused:
            raise RebuildError(
                f"{one.name} does not take a row that is made again, for a rule that is not in its "
                f"contract: {refused.first.reason}"
            ) from refused
        await self._connection.execute(sql.SQL(_COUNTED_ANEW).format(lineage=_LINEAGE))
        await self._swap_removed_keys(one)
        return Rebuilt(drops, before, await self._count(one.identifier))

    async def _swap_removed_keys(self, one: _Table) -> None:
        live, aside = (one.db_name, one.table_name), (one.aside.db_name, one.aside.table_name)
        await self._connection.execute(
            "delete from headrace.removed_keys where db_name = %s and table_name = %s", live
        )
        await self._connection.execute(
            "update headrace.removed_keys set db_name = %s, table_name = %s "
            "where db_name = %s and table_name = %s",
            [*live, *aside],
        )

    async def _count(self, identifier: sql.Identifier) -> int:
        cursor = await self._connection.execute(
            sql.SQL("select count(*) from {}").format(identifier)
        )
        row = await cursor.fetchone()
        return int(row[0]) if row else 0

"""The one transaction of a drop: its statements, in the order in which they are used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from psycopg import AsyncConnection, sql

from headrace_loader import chain, ledger, reopening, staging, table
from headrace_loader.chain import Change
from headrace_loader.copying import copy_statement
from headrace_loader.csv_stream import END_MARKER_GONE, without_end_marker
from headrace_loader.effects import gives_rows_back, replaced_under, took_effect
from headrace_loader.key_values import NO_EXTRAS, Extras, refusal
from headrace_loader.ledger import Claim
from headrace_loader.outcomes import Outcome, Reverted
from headrace_loader.reopening import NOTHING_REOPENED, Reopened
from headrace_loader.row_tests import StagedRows
from headrace_loader.sifting.batches import BadRecord
from headrace_loader.sifting.copying import Reading, Sift, Sifted
from headrace_loader.sifting.faults import fault_of_value, judged
from headrace_loader.sqlstate import copy_errors, ddl_errors
from headrace_loader.staging import STAGED, Place, Staging, Target
from headrace_loader.standing import Standing, standing
from headrace_loader.test_outcomes import TestOutcome
from headrace_loader.testing_rows import DEFAULT_RULES, TestRules, run_tests
from headrace_shared.contract import Column, Contract
from headrace_shared.drop import Action, Drop
from headrace_shared.errors import OutOfTimeError, TransientError
from headrace_shared.evolution import Columns, reshape
from headrace_shared.facts import now
from headrace_shared.file_formats import CsvFormat
from headrace_shared.identifiers import LINEAGE_COLUMN

Coming = TypeVar("Coming")

_LINEAGE: Final = sql.Identifier(LINEAGE_COLUMN)


class LoadTransaction:
    """Open, with the locks of the table and of the drop's key held; whoever opened it commits.

    Args:
        exclusive: no other drop of the table is loaded meanwhile.
        stall_seconds: how long the lake may leave a COPY without bytes: locks are held meanwhile.
        aside: another table to load into, which is made anew; else the drop's own one.
        rules: how the contract's tests are run.
    """

    def __init__(
        self,
        connection: AsyncConnection[Any],
        drop: Drop,
        *,
        exclusive: bool,
        stall_seconds: float,
        aside: Place | None = None,
        rules: TestRules = DEFAULT_RULES,
    ) -> None:
        self._connection = connection
        self._drop = drop
        self._exclusive = exclusive
        self._stall = stall_seconds
        self._started_at = now()
        self._rules = rules
        self._place = aside or Place(
            table.table_identifier(drop), str(drop.db_name), str(drop.table_name)
        )

    async def claim(self, started_at: datetime, request: int) -> Claim | Outcome:
        """Takes the drop in hand, to be brought to its end by `finish`; or answers with the end
        that it is at already.

        Raises:
            TransientError: it was at an end, and is opened again, which needs the table alone.
        """
        self._started_at = started_at
        claimed = await ledger.claim(self._connection, self._drop, started_at, request)
        if isinstance(claimed, Claim) and claimed.before is not None and not self._exclusive:
            raise TransientError("the drop was opened again meanwhile", retry_after=0)
        return claimed

    async def entry(self) -> ledger.Entry | None:
        """The drop's entry in the ledger, which nobody else changes until the end."""
        return await ledger.find(self._connection, self._drop, lock=True)

    async def requested(self, request: int) -> int:
        """Notes the request to revert the drop; returns its run."""
        run, _ = await ledger.requested(
            self._connection, self._drop, request, self._drop.drop_id, reverted=True
        )
        return run

    async def standing(self, claim: Claim) -> Standing:
        """What the drop meets; holds still until the end, for the lock is taken."""
        return await standing(self._connection, self._drop, claim.contract_order)

    async def undo(self, claim: Claim) -> int:
        """Deletes the rows of the drop's earlier run, and its removed keys; returns how many rows
        the table had of it."""
        if not took_effect(claim.before):
            return 0
        deleted = await self._connection.execute(
            sql.SQL("delete from {} where {} = %s").format(self._place.identifier, _LINEAGE),
            [self._drop.drop_id],
        )
        await self._connection.execute(
            "delete from headrace.removed_keys "
            "where db_name = %s and table_name = %s and drop_id = %s",
            [self._place.db_name, self._place.table_name, self._drop.drop_id],
        )
        return deleted.rowcount

    async def remove_earlier_rows(self, *, keep_later: bool) -> None:
        """Empties the table of all that landed before this drop, or was there before Headrace."""
        if keep_later:
            statement = sql.SQL("delete from {} where {column} < %s or {column} is null").format(
                self._place.identifier, column=_LINEAGE
            )
            await self._connection.execute(statement, [self._drop.drop_id])
        else:
            await self._remove_all()
        await self._connection.execute(
            "delete from headrace.removed_keys "
            "where db_name = %s and table_name = %s and drop_id < %s",
            [self._place.db_name, self._place.table_name, self._drop.drop_id],
        )

    async def _remove_all(self) -> None:
        found = await table.related(
            self._connection, self._place.db_name, self._place.table_name, ()
        )
        # Postgres truncates no table that a foreign key refers to, even if no row does.
        one_by_one = found.is_referenced and not found.cascades
        statement = sql.SQL("delete from {}" if one_by_one else "truncate {}")
        await self._connection.execute(statement.format(self._place.identifier))

    async def remove_earlier_versions(self, contract: Contract) -> None:
        """Takes out the rows of the earlier versions of the drop's key."""
        cursor = await self._connection.execute(
            "select drop_id from headrace.ledger where bucket = %s and key = %s "
            "and drop_id < %s and outcome = 'loaded'",
            [self._drop.bucket, self._drop.key, self._drop.drop_id],
        )
        versions = [drop_id for (drop_id,) in await cursor.fetchall()]
        if versions:
            await staging.take_out(
                self._connection,
                self._target(contract),
                versions,
                upserts=self._drop.action is Action.UPSERT,
            )

    async def copy(
        self,
        columns: Sequence[Column],
        dialect: CsvFormat,
        blocks: AsyncIterator[bytes],
        *,
        staged: bool = False,
    ) -> int:
        """Streams the file into the table, or into its staging; answers with the number of rows.

        Raises:
            CopyRefusedError: a row cannot be taken.
            TransientError: the lake does not go on.
        """
        if self._connection.info.server_version < END_MARKER_GONE:
            blocks = without_end_marker(blocks)
        statement = copy_statement(
            self.destination(staged=staged), [column.name for column in columns], dialect
        )
        with copy_errors():
            async with self._connection.cursor() as cursor:
                async with cursor.copy(statement) as copy:
                    async for block in _without_stalling(blocks, self._stall):
                        await copy.write(block)
                return cursor.rowcount

    def destination(self, *, staged: bool) -> sql.Identifier:
        """The table that rows are copied into."""
        return STAGED if staged else self._place.identifier

    async def sift(
        self,
        statement: sql.Composed,
        read: Reading,
        most_bad: int,
        leave_out: Callable[[Collection[int]], bool],
    ) -> Sifted:
        """Copies batches, passing over rows with values that are not of their column's type.

        Args:
            most_bad: with more bad rows than this the reading stops, and nothing is copied.
            leave_out: makes records bad as a whole; see `Sift`.

        Raises:
            CopyRefusedError: a row broke a rule that only the table knows of.
            TransientError: the lake does not go on.
        """
        sift = Sift(self._connection, statement, read, most_bad, leave_out)
        return await sift.run(partial(_patiently, self._stall))

    async def judged(self, columns: Sequence[Column], sifted: Sifted) -> list[BadRecord]:
        """The bad records of a file with everything that is wrong with them."""
        return await judged(self._connection, columns, sifted.passed, sifted.bad)

    async def run_tests(self, contract: Contract) -> tuple[TestOutcome, ...]:
        """How the contract's tests end on the staged rows."""
        replaces = contract.primary_key if self._drop.action is Action.UPSERT else ()
        rows = StagedRows(STAGED, self._place.identifier, self._drop, replaces)
        return await run_tests(self._connection, contract.tests, rows, rules=self._rules)

    async def staging(
        self,
        contract: Contract,
        shape: Contract,
        carried: Mapping[str, tuple[str, ...]],
        extras: Extras = NO_EXTRAS,
    ) -> Staging:
        """A place for rows that are read under `contract` and go into a table with the shape of
        another one, or have to be held against its rows.

        Args:
            carried: the columns whose values reach the table, with the types on their way.
            extras: what the file has beside fields that go into columns one by one.

        Raises:
            PermanentError: a value of the key is not of its column's type.
        """
        await self._check_key(contract, extras)
        target = self._target(shape)
        staged = Staging(self._connection, self._drop, contract, target, carried, extras)
        await staged.make()
        if self._drop.action is Action.UPSERT:
            found = await table.related(
                self._connection, self._place.db_name, self._place.table_name, shape.by_name
            )
            staged.in_place = found.keeps_rows
        return staged

    async def _check_key(self, contract: Contract, extras: Extras) -> None:
        for name, value in extras.in_key.items():
            fault = value and await fault_of_value(self._connection, contract.by_name[name], value)
            if fault:
                raise refusal(f"{name}={value}", f"{fault.reason} (column {name!r})")

    async def apply_contract(self, contract: Contract) -> tuple[Change, bool]:
        """Takes a contract into the table's chain and gives the table the shape that follows;
        answers also whether drops were opened again for it.

        Raises:
            DdlRefusedError: the table cannot take that shape; the transaction can go on.
        """
        has = await self._columns()
        before = await chain.columns_before(self._connection, self._drop, has)
        await chain.put(self._connection, self._drop, contract)
        with ddl_errors():
            async with self._connection.transaction():
                change = await chain.judge(self._connection, self._drop, before)
                misread = await self._reopen_misread(change)
                reread = await reopening.reread(self._connection, self._drop, change.reread)
                if change.flipped and misread.drop_ids and has is not None:
                    # Rows that came in under a contract that is none any more need not fit the
                    # shape that the table is given now.
                    await self._remove_rows(misread.drop_ids)
                await self._reshape(has, change)
        return change, bool(misread.opened or change.flipped or reread.opened)

    async def take_contract_out(self) -> bool:
        """Takes the contract of the drop out of the table's chain and gives the table the shape
        that follows; returns whether drops were reopened for it.

        Raises:
            DdlRefusedError: the table cannot take that shape; the transaction can go on.
        """
        has = await self._columns()
        columns_before = await chain.columns_before(self._connection, self._drop, has)
        with ddl_errors():
            async with self._connection.transaction():
                await chain.take_out(self._connection, self._drop)
                change = await chain.judge(self._connection, self._drop, columns_before)
                misread = await self._reopen_misread(change)
                reread = await reopening.reread(self._connection, self._drop, change.reread)
                if has is not None:
                    # Their rows need not fit the shape that the table had without the contract.
                    await self._remove_rows([*misread.drop_ids, *reread.drop_ids])
                await self._reshape(has, change)
        return bool(misread.opened or change.flipped or reread.opened)

    async def refuse_for_its_rows(self) -> None:
        """Leaves the drop's contract out of the chain: the rows of the table do not bear it."""
        await chain.refuse_for_its_rows(self._connection, self._drop)

    async def reopen_dependents(self, claim: Claim, outcome: Outcome) -> bool:
        """Opens the drops whose end hangs on how this one ended, where it ended otherwise before.

        A drop that is at its first end bears on later versions of its own key alone.
        """
        before, drop = claim.before, self._drop
        opened = await reopening.other_versions(
            self._connection,
            drop,
            arrives=before is None or isinstance(before, Reverted),
            reverted=isinstance(outcome, Reverted),
            replaced_under=replaced_under(before),
            replaces_under=replaced_under(outcome),
        )
        if gives_rows_back(drop, before, outcome):
            opened += await reopening.earlier(self._connection, drop)
        return bool(opened)

    async def finish(self, outcome: Outcome) -> Outcome:
        """Completes the ledger row: the last statement before the commit. The answer is the
        outcome with its period."""
        period = await ledger.complete(self._connection, self._drop, outcome, self._started_at)
        return replace(outcome, period=period)

    async def _reopen_misread(self, change: Change) -> Reopened:
        changed = {*change.flipped, *([self._drop.drop_id] if change.own else [])}
        if not changed:
            return NOTHING_REOPENED
        await reopening.verdicts(self._connection, self._drop, change.flipped)
        return await reopening.misread(
            self._connection, self._drop, min(changed), first=change.first
        )

    async def _columns(self) -> Columns | None:
        return await table.columns_of(self._connection, self._drop.db_name, self._drop.table_name)

    async def _reshape(self, has: Columns | None, change: Change) -> None:
        if change.chain.columns is None:
            return
        wants = reshape(has, change.chain.columns, change.owned)
        await table.change_table(self._connection, self._drop, wants)
        await table.pass_on(self._connection, self._drop, change.reread_before)
        await self._index_keys()

    async def _remove_rows(self, drop_ids: Sequence[Any]) -> None:
        await self._connection.execute(
            sql.SQL("delete from {} where {} = any(%s)").format(self._place.identifier, _LINEAGE),
            [list(drop_ids)],
        )

    async def _index_keys(self) -> None:
        shape = (await standing(self._connection, self._drop, self._drop.drop_id)).in_force
        if shape is not None and Action.UPSERT in shape.contract.allowed_operations:
            await table.index_keys(self._connection, self._drop, shape.contract.primary_key)

    def _target(self, shape: Contract) -> Target:
        return Target(self._place, shape)


async def _without_stalling(blocks: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    while (block := await _patiently(seconds, anext(blocks, None))) is not None:
        yield block


async def _patiently(seconds: float, coming: Awaitable[Coming]) -> Coming:
    try:
        async with asyncio.timeout(seconds):
            return await coming
    except TimeoutError as error:
        raise OutOfTimeError(
            f"the lake sent nothing for {seconds:g} seconds, while the table's lock was held"
        ) from error

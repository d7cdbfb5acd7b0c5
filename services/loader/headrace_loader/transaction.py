"""The one transaction of a drop: its statements, in the order in which they are used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection, sql

from headrace_loader import ledger, table
from headrace_loader.csv_stream import without_end_marker
from headrace_loader.evolution import Plan, TableColumn
from headrace_loader.ledger import Standing
from headrace_loader.outcomes import Loaded, Outcome
from headrace_loader.sqlstate import copy_errors
from headrace_shared.contract import Column, Contract, CsvFormat
from headrace_shared.drop import Drop
from headrace_shared.identifiers import LINEAGE_COLUMN

_END_MARKER_GONE: Final = 180_000
"""The first server version that reads `\\.` in CSV as data."""


class LoadTransaction:
    """Open, with the table's lock held; whoever opened it commits."""

    def __init__(self, connection: AsyncConnection[Any], drop: Drop) -> None:
        self._connection = connection
        self._drop = drop
        self._table = table.table_identifier(drop)

    async def claim(self, started_at: datetime) -> Outcome | None:
        """Enters the drop in the ledger, to be completed by `finish`.

        A loader that has the same drop in hand waits here until this transaction ends. Answers
        with the recorded outcome if the drop had ended before; then nothing was entered.
        """
        provisional = Loaded(rows=0, contract_id=None)
        if await ledger.enter(self._connection, self._drop, started_at, provisional):
            return None
        return await ledger.recorded(self._connection, self._drop)

    async def standing(self) -> Standing:
        """What the drop meets; holds still until the end, for the lock is taken."""
        return await ledger.standing(self._connection, self._drop)

    async def remove_earlier_rows(self, *, keep_later: bool) -> None:
        """Empties the table of all that landed before this drop, or was there before Headrace."""
        if keep_later:
            statement = sql.SQL("delete from {} where {column} < %s or {column} is null").format(
                self._table, column=sql.Identifier(LINEAGE_COLUMN)
            )
            await self._connection.execute(statement, [self._drop.drop_id])
        else:
            await self._connection.execute(sql.SQL("truncate {}").format(self._table))

    async def copy(
        self,
        columns: Sequence[Column],
        dialect: CsvFormat,
        blocks: AsyncIterator[bytes],
    ) -> int:
        """Streams the file into the table; answers with the number of rows.

        Raises:
            CopyRefusedError: a row cannot be taken.
        """
        statement = sql.SQL(
            "copy {table} ({columns}) from stdin with (format csv, header {header}, "
            "delimiter {delimiter}, quote {quote}, escape {escape}, null {null}, encoding 'UTF8')"
        ).format(
            table=self._table,
            columns=sql.SQL(", ").join(sql.Identifier(column.name) for column in columns),
            header=sql.Literal(dialect.header),
            delimiter=sql.Literal(dialect.delimiter),
            quote=sql.Literal(dialect.quote),
            escape=sql.Literal(dialect.escape_character),
            null=sql.Literal(dialect.null),
        )
        if self._connection.info.server_version < _END_MARKER_GONE:
            blocks = without_end_marker(blocks)
        with copy_errors():
            async with self._connection.cursor() as cursor:
                async with cursor.copy(statement) as copy:
                    async for block in blocks:
                        await copy.write(block)
                return cursor.rowcount

    async def table_columns(self) -> dict[str, TableColumn] | None:
        """The table's columns as they are, lineage left out; None if there is no table."""
        return await table.table_columns(self._connection, self._drop)

    async def apply_contract(self, contract: Contract, plan: Plan) -> None:
        """Changes the table by the plan and puts the contract in force."""
        await table.change_table(self._connection, self._drop, plan)
        await ledger.put_contract(self._connection, self._drop, contract, plan.changes)

    async def finish(self, outcome: Outcome) -> None:
        """Completes the ledger row: the last statement before the commit."""
        await ledger.complete(self._connection, self._drop, outcome)

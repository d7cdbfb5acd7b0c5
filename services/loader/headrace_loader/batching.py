"""Many small appends to one table, committed together: one transaction, one COPY for each order of
columns, one ledger statement; the ledger has still one row a drop.

What is waiting is batched, nothing ever waits to be batched: a lone drop is a batch of one. What
is not plain (a bad file, a drop that was loaded before, a table where order matters just now) is
put aside and takes the ordinary road, alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from headrace_loader.columns import columns_of_file, unfilled
from headrace_loader.key_values import values_in_key
from headrace_loader.kinds import HEAD_BYTES, Kind, is_called_csv, kind_of
from headrace_loader.lake import Lake
from headrace_loader.outcomes import Loaded
from headrace_loader.pace import Verdict
from headrace_loader.plain_csv import PlainFile, plain_file
from headrace_loader.plain_dates import have_clear_dates
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.room import Room
from headrace_loader.shared_load import ContendedError, Part
from headrace_loader.sifting.converting import needs_converting
from headrace_loader.slots import Slots
from headrace_loader.sqlstate import TableRefusedError
from headrace_loader.standing import StoredContract
from headrace_shared.coalescing import Coalescer
from headrace_shared.drop import Action, Drop
from headrace_shared.errors import PermanentError
from headrace_shared.facts import now
from headrace_shared.file_formats import CsvFormat
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

MOST_BYTES: Final = 262_144
"""A larger file gains nothing: its COPY takes longer than a commit."""

MOST_DROPS: Final = 50


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A drop whose bytes are here."""

    drop: Drop
    content: bytes
    started_at: datetime


class Batches:
    """Loads small appends, those of one table together.

    Args:
        transactions: how many may be open at a time, for as many tables.
        room: where the drops of a batch wait.
    """

    def __init__(
        self, lake: Lake, warehouse: PostgresWarehouse, *, transactions: int, room: Room
    ) -> None:
        self._lake = lake
        self._warehouse = warehouse
        self._room = room
        self._transactions = Slots(transactions, room, gathers=True)
        self._tables: WeakValueDictionary[str, Coalescer[_Waiting, Loaded | None]] = (
            WeakValueDictionary()
        )

    async def load(self, drop: Drop) -> Loaded | None:
        """How the drop ended; None if it has to take the ordinary road.

        Raises:
            TransientError: nothing was changed; a later try may succeed.
        """
        if not fits(drop):
            return None
        started_at = now()
        try:
            content = await self._read(drop)
        except PermanentError:
            return None  # told on the ordinary road
        table = self._tables.setdefault(drop.table, Coalescer(self._send, limit=MOST_DROPS))
        with self._room.waiting(drop.table):
            return await table.submit(_Waiting(drop, content, started_at))

    async def _read(self, drop: Drop) -> bytes:
        content = bytearray()
        async with self._lake.open(drop) as blocks:
            async for block in blocks:
                content += block
        return bytes(content)

    async def _send(self, waiting: Sequence[_Waiting]) -> Sequence[Loaded | None]:
        try:
            async with self._transactions.of(waiting[0].drop.table) as turn:
                # A batch of which nothing fits is over at once: no sign that loads are in time.
                turn.verdict = Verdict.NONE
                ended = await self._commit({one.drop.drop_id: one for one in waiting})
                if ended:
                    turn.verdict = Verdict.IN_TIME
        except (ContendedError, TableRefusedError):
            ended = {}
        if len(waiting) > 1:
            _log.info("batch.committed", drops=len(ended), aside=len(waiting) - len(ended))
        return [ended.get(one.drop.drop_id) for one in waiting]

    async def _commit(self, waiting: Mapping[UUID, _Waiting]) -> Mapping[UUID, Loaded]:
        async with self._warehouse.shared_load([one.drop for one in waiting.values()]) as load:
            contract, fit = await load.begin()
            if contract is None:
                return {}
            found = [_part(waiting[drop_id], contract) for drop_id in sorted(fit)]
            return await load.bring([part for part in found if part], contract)


def fits(drop: Drop) -> bool:
    """Whether a drop is one that may be loaded together with others."""
    return (
        drop.action is Action.APPEND
        and drop.corrects is None
        and drop.size_bytes <= MOST_BYTES
        and is_called_csv(drop.file or "")
    )


def _part(one: _Waiting, contract: StoredContract) -> Part | None:
    dialect = contract.contract.format
    if not isinstance(dialect, CsvFormat) or contract.contract.tests:
        return None
    try:
        in_key = values_in_key(one.drop.file or "", contract.contract)
        if kind_of(one.content[:HEAD_BYTES], one.drop.file or "", dialect) is not Kind.CSV:
            return None
        file: PlainFile | None = plain_file(one.content, dialect)
        if file is None:
            return None
        found = columns_of_file(file.header, contract.contract, in_key, file.width(dialect))
    except PermanentError:
        return None  # told on the ordinary road
    columns = found.fields
    is_plain = not (
        in_key or found.left_out or dialect.comment or needs_converting(columns, dialect)
    )
    if not is_plain or not have_clear_dates(file.body, columns, dialect):
        return None
    return Part(
        one.drop,
        one.started_at,
        columns,
        file.tagged(one.drop.drop_id, dialect),
        file.rows,
        unfilled(found.absent, file.rows),
    )

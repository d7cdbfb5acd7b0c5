"""The load of one drop, from the lake into the warehouse: the steps and their order.

What is slow or may hang (opening the object, reading its header) comes before the transaction;
inside it are the lock, the ledger, the rows, and the commit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from headrace_loader.columns import columns_of_file
from headrace_loader.csv_stream import open_csv
from headrace_loader.diagnosis import Diagnosis
from headrace_loader.evolution import plan
from headrace_loader.lake import S3Lake
from headrace_loader.ledger import Standing, StoredContract
from headrace_loader.outcomes import Applied, Loaded, Outcome, Rejected, Superseded
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.sqlstate import CopyRefusedError
from headrace_loader.transaction import LoadTransaction
from headrace_shared import backoff
from headrace_shared.contract import MAX_CONTRACT_BYTES, Contract, parse_contract
from headrace_shared.drop import Action, Drop
from headrace_shared.errors import PermanentError, TransientError
from headrace_shared.facts import now
from headrace_shared.reasons import Reason

LOADABLE: Final = frozenset({Action.APPEND, Action.TRUNCATE, Action.SCHEMA})


class Loading:
    """Loads drops; bears any drop any number of times, in any order, beside other loaders.

    Args:
        contract_wait_seconds: how long a drop waits for its table's contract.
    """

    def __init__(
        self,
        lake: S3Lake,
        warehouse: PostgresWarehouse,
        *,
        contract_wait_seconds: float,
    ) -> None:
        self._lake = lake
        self._warehouse = warehouse
        self._contract_wait = contract_wait_seconds

    async def load(self, drop: Drop, attempt: int) -> Outcome:
        """Brings the drop to its end and records it.

        Raises:
            TransientError: nothing was changed; a later try may succeed.
        """
        started_at = now()
        recorded = await self._warehouse.recorded(drop)
        if recorded is not None:
            return recorded
        try:
            if drop.action is Action.SCHEMA:
                return await self._apply_contract(drop, started_at)
            return await self._load_rows(drop, started_at, attempt)
        except PermanentError as error:
            return await self._warehouse.record(drop, started_at, Rejected(error.reason))

    async def _load_rows(self, drop: Drop, started_at: datetime, attempt: int) -> Outcome:
        stored = await self._warehouse.contract(drop)
        if stored is None:
            raise self._contract_missing(drop, attempt)
        try:
            return await self._copy(drop, started_at, stored)
        except CopyRefusedError as refused:
            diagnosis = Diagnosis(self._lake, self._warehouse)
            raise await diagnosis.rejection(drop, stored.contract, refused) from refused

    async def _copy(self, drop: Drop, started_at: datetime, stored: StoredContract) -> Outcome:
        dialect, exclusive = stored.contract.format, drop.action is not Action.APPEND
        async with self._lake.open(drop) as blocks:
            file = await open_csv(blocks, drop.file or drop.key, dialect)
            async with self._warehouse.transaction(drop, exclusive=exclusive) as transaction:
                recorded = await transaction.claim(started_at)
                if recorded is not None:
                    return recorded
                standing = await transaction.standing()
                if standing.overtaken_by is not None:
                    return await _supersede(transaction, standing.overtaken_by)
                contract = _in_force(drop, stored, standing)
                columns = columns_of_file(file.header, contract)
                if drop.action is Action.TRUNCATE:
                    await transaction.remove_earlier_rows(keep_later=standing.later_drops_loaded)
                rows = await transaction.copy(columns, dialect, file.blocks)
                loaded = Loaded(rows, stored.contract_id)
                await transaction.finish(loaded)
                return loaded

    async def _apply_contract(self, drop: Drop, started_at: datetime) -> Outcome:
        wanted = parse_contract(await self._document(drop))
        async with self._warehouse.transaction(drop, exclusive=True) as transaction:
            recorded = await transaction.claim(started_at)
            if recorded is not None:
                return recorded
            present = (await transaction.standing()).contract
            if present is not None and present.contract_id > drop.drop_id:
                return await _supersede(transaction, present.contract_id)
            change = plan(
                await transaction.table_columns(),
                present.contract if present else None,
                wanted,
            )
            await transaction.apply_contract(wanted, change)
            applied = Applied(change.changes)
            await transaction.finish(applied)
            return applied

    async def _document(self, drop: Drop) -> bytes:
        document = bytearray()
        async with self._lake.open(drop) as blocks:
            async for block in blocks:
                document += block
                if len(document) > MAX_CONTRACT_BYTES:
                    break  # parse_contract says so; the rest need not be read
        return bytes(document)

    def _contract_missing(self, drop: Drop, attempt: int) -> PermanentError | TransientError:
        """Tries are counted, not hours: a drop may have lain in the queue beside its contract
        while no loader ran."""
        reason = Reason(
            code="contract_missing",
            message=f"The table {drop.table} has no contract.",
            remedy=f"Drop one at {drop.db_name}/schema/{drop.table_name}/contract.json; this drop "
            f"waits for it for up to {self._contract_wait:g} seconds.",
        )
        if attempt < backoff.looks_within(self._contract_wait):
            return TransientError(
                reason.message, retry_after=backoff.patient(attempt), reason=reason
            )
        remedy = (
            f"It waited for {self._contract_wait:g} seconds. Drop a contract at "
            f"{drop.db_name}/schema/{drop.table_name}/contract.json, then this file again."
        )
        return PermanentError(reason.model_copy(update={"remedy": remedy}))


async def _supersede(transaction: LoadTransaction, by: UUID) -> Superseded:
    superseded = Superseded(by)
    await transaction.finish(superseded)
    return superseded


def _in_force(drop: Drop, read: StoredContract, standing: Standing) -> Contract:
    """The contract under which the drop is loaded, if it allows the drop's action.

    Raises:
        TransientError: the contract changed since the file was opened by it.
        PermanentError: the contract does not allow the action.
    """
    if standing.contract is None or standing.contract.contract_id != read.contract_id:
        raise TransientError("the contract changed while the file was opened", retry_after=0)
    if drop.action not in read.contract.allowed_operations:
        raise PermanentError(
            Reason(
                code="operation_not_allowed",
                message=f"The contract of {drop.table} does not allow {drop.action}.",
                remedy=f"It allows: {', '.join(read.contract.allowed_operations) or 'nothing'}. "
                "Use one of these, or change allowed_operations in the contract.",
            )
        )
    return read.contract

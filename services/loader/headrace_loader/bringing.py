"""Brings the rows of one file to their place: the statements of a load, in their order."""

from __future__ import annotations

from headrace_loader.columns import columns_of_file
from headrace_loader.csv_stream import CsvStream
from headrace_loader.ledger import Claim
from headrace_loader.outcomes import Loaded, Superseded, Unloaded
from headrace_loader.placing import Placement, rowless_end
from headrace_loader.staging import Staging
from headrace_loader.standing import Standing
from headrace_loader.transaction import LoadTransaction
from headrace_shared.drop import Action, Drop


async def bring(
    transaction: LoadTransaction,
    drop: Drop,
    file: CsvStream,
    placement: Placement,
    standing: Standing,
    claim: Claim,
) -> Loaded | Superseded | Unloaded:
    """Takes away what the drop takes away, and brings its rows in.

    Raises:
        PermanentError: the header and the contract do not go together.
        CopyRefusedError: a row cannot be taken.
        TransientError: the lake does not go on.
    """
    columns = columns_of_file(file.header, placement.contract.contract)
    if placement.replace_versions:
        await transaction.remove_earlier_versions(placement.shape)
    if drop.action is Action.TRUNCATE:
        await transaction.remove_earlier_rows(keep_later=standing.later_rows)
    dialect = placement.contract.contract.format
    if not placement.staged:
        rows = await transaction.copy(columns, dialect, file.blocks)
        return Loaded(rows, placement.contract.contract_id, run=claim.run)
    staging = await transaction.staging(
        placement.contract.contract, placement.shape, placement.carried
    )
    rows = await transaction.copy(columns, dialect, file.blocks, staged=True)
    inserted = await _from_staging(staging, drop, placement)
    if placement.rowless:
        return rowless_end(standing, claim, rows)
    return Loaded(rows, placement.contract.contract_id, rows - inserted, run=claim.run)


async def _from_staging(staging: Staging, drop: Drop, placement: Placement) -> int:
    upsert = drop.action is Action.UPSERT
    if upsert:
        await staging.keep_last_of_each_key()
    if placement.leave_out_overtaken:
        await staging.leave_out_overtaken()
    if upsert:
        await staging.replace_earlier()
    inserted = 0 if placement.rowless else await staging.insert()
    if upsert:
        await staging.note_removed(all_keys=placement.rowless)
    return inserted

"""Brings the rows of one file to their place: the statements of a load, in their order."""

from __future__ import annotations

from headrace_loader.data_testing import tested
from headrace_loader.files import Rows
from headrace_loader.key_comparing import compared
from headrace_loader.ledger import Claim
from headrace_loader.outcomes import Loaded, Superseded
from headrace_loader.placing import Placement
from headrace_loader.refused_rows import RefusedRows
from headrace_loader.staging import Staging
from headrace_loader.standing import Standing
from headrace_loader.transaction import LoadTransaction
from headrace_shared.drop import Action, Drop


async def bring(
    transaction: LoadTransaction,
    drop: Drop,
    file: Rows,
    placement: Placement,
    standing: Standing,
    claim: Claim,
) -> Loaded | Superseded:
    """Takes away what the drop takes away, and brings its rows in.

    Raises:
        PermanentError: the file has more bad rows than may be set aside, or a test failed.
        CopyRefusedError: a row cannot be taken.
        TransientError: the lake does not go on.
    """
    if placement.replace_versions:
        await transaction.remove_earlier_versions(placement.shape)
    if drop.action is Action.TRUNCATE:
        await transaction.remove_earlier_rows(keep_later=standing.later_rows)
    contract_id = placement.contract.contract_id
    if not (placement.staged or file.extras):
        found = await file.into(transaction, staged=False)
        await file.settle(found)
        return Loaded(
            found.rows, contract_id, aside=found.aside, warnings=found.warnings, run=claim.run
        )
    staging = await transaction.staging(
        placement.contract.contract, placement.shape, placement.carried, file.extras
    )
    found = await file.into(transaction, staged=True)
    found = await compared(staging, placement.contract.contract, file, found)
    found = await tested(transaction, staging, placement.contract.contract, file, found)
    if placement.row_by_row and not placement.rowless:
        search = RefusedRows(staging, placement.contract.contract.on_bad_rows)
        found = await search.without(found, file, lambda: _prepare(staging, drop, placement))
    await file.settle(found)
    keys = await _prepare(staging, drop, placement)
    inserted = 0 if placement.rowless else await staging.insert()
    if drop.action is Action.UPSERT:
        await staging.note_removed(all_keys=placement.rowless)
    if standing.replaced_by is not None:
        return Superseded(standing.replaced_by, contract_id, keys, run=claim.run)
    gone = found.rows - inserted
    return Loaded(
        found.rows,
        contract_id,
        gone,
        aside=found.aside,
        warnings=found.warnings,
        keys=keys,
        run=claim.run,
    )


async def _prepare(staging: Staging, drop: Drop, placement: Placement) -> str | None:
    """Takes away what the staged rows replace; returns the fingerprint of the keys that an upsert
    takes."""
    upsert, keys = drop.action is Action.UPSERT, None
    if upsert:
        await staging.keep_last_of_each_key()
        keys = await staging.keys_fingerprint()
    if placement.leave_out_overtaken:
        await staging.leave_out_overtaken()
    if upsert:
        await staging.replace_earlier()
    return keys

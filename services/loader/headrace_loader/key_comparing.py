"""Rows with another value than the folders of their file's key have are bad rows."""

from __future__ import annotations

from dataclasses import replace

from headrace_loader.files import Rows
from headrace_loader.sifting.batches import BadRecord, Fault, by_number
from headrace_loader.sifting.verdict import Found, refusal
from headrace_loader.sqlstate import shortened
from headrace_loader.staging import KeyFault, Staging
from headrace_shared.contract import Contract


async def compared(staging: Staging, contract: Contract, file: Rows, found: Found) -> Found:
    """The rows that are left when those are taken out that the key contradicts."""
    if not file.extras.compared or refusal(found, contract.on_bad_rows) is not None:
        return found
    most = file.most_bad
    faults = await staging.other_than_key(most + 1)
    if not faults:
        return found
    places = await staging.places(list(faults))
    records = await file.loaded(places.values())
    bad = [
        BadRecord(records[place], tuple(map(_fault, faults[line])))
        for line, place in sorted(places.items())
    ]
    await staging.leave_out(list(faults))
    return replace(
        found,
        rows=found.rows - len(bad),
        bad=by_number([*found.bad, *bad]),
        complete=found.complete and len(bad) <= most,
    )


def _fault(one: KeyFault) -> Fault:
    value = "null" if one.value is None else f'"{shortened(one.value)}"'
    in_key = "null" if one.in_key is None else f'"{shortened(one.in_key)}"'
    return Fault(
        "partition_mismatch",
        f"{value}, where the key of the file has {in_key}",
        one.column,
        None if one.value is None else shortened(one.value),
    )

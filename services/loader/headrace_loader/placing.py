"""What is to be done with the rows of a drop, given what it meets? Decided without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from headrace_loader.ledger import Claim
from headrace_loader.outcomes import Rejected, Superseded
from headrace_loader.standing import Standing, StoredContract
from headrace_shared.contract import Contract, OnReupload
from headrace_shared.drop import CORRECTS, Action, Drop
from headrace_shared.evolution import carried, types_of
from headrace_shared.reasons import Reason

LOADABLE: Final = frozenset({Action.APPEND, Action.TRUNCATE, Action.UPSERT})


@dataclass(frozen=True, slots=True)
class Placement:
    """How the rows of a drop come to their place.

    Args:
        contract: the one under which the file is read.
        shape: the one that the table has the shape of.
        carried: the columns whose values reach the table, with the types that they pass through.
        staged: they go through a staging table, else straight into the table.
        rowless: none of them goes in, for a later version of the file replaced them; what the
            drop takes away it takes away.
        leave_out_overtaken: keys that a later upsert has set are left out.
        replace_versions: rows of earlier versions of the same key give way.
        row_by_row: rows that the table refuses are found and left out.
    """

    contract: StoredContract
    shape: Contract
    carried: Mapping[str, tuple[str, ...]]
    staged: bool
    rowless: bool
    leave_out_overtaken: bool
    replace_versions: bool
    row_by_row: bool = False


def place(drop: Drop, standing: Standing, claim: Claim) -> Placement | Superseded | Rejected:
    """Where the rows go, or why none of them goes anywhere.

    Args:
        standing: what the drop meets; its contract is there.
    """
    stored, in_force = standing.contract, standing.in_force
    assert stored is not None
    assert in_force is not None
    if standing.overtaken_by is not None:
        return Superseded(standing.overtaken_by, stored.contract_id, run=claim.run)
    refusal = _refusal(drop, stored.contract, standing)
    if refusal is not None:
        return Rejected(refusal, stored.contract_id, run=claim.run)
    if standing.replaced_by is not None and drop.action is Action.APPEND:
        return Superseded(standing.replaced_by, stored.contract_id, run=claim.run)
    rowless = standing.replaced_by is not None
    upsert, shape = drop.action is Action.UPSERT, in_force.contract
    overtaken = standing.later_upserts and bool(shape.primary_key)
    passing = carried(types_of(stored.contract), standing.later)
    is_same = _same_shape(stored.contract, shape) and all(
        types == (shape.by_name[name].type,) for name, types in passing.items()
    )
    return Placement(
        contract=stored,
        shape=shape,
        carried=passing,
        staged=upsert
        or rowless
        or overtaken
        or not is_same
        or bool(stored.contract.tests)
        or len(passing) < len(stored.contract.columns),
        rowless=rowless,
        leave_out_overtaken=overtaken,
        replace_versions=stored.contract.on_reupload_of(drop) is OnReupload.REPLACE
        and standing.earlier_version is not None,
    )


def _same_shape(contract: Contract, shape: Contract) -> bool:
    columns = shape.by_name
    return all(
        column.name in columns
        and (column.type, column.nullable)
        == (columns[column.name].type, columns[column.name].nullable)
        for column in contract.columns
    )


def _refusal(drop: Drop, contract: Contract, standing: Standing) -> Reason | None:
    if drop.action not in contract.allowed_operations:
        return Reason(
            code="operation_not_allowed",
            message=f"The contract of {drop.table} does not allow {drop.action}.",
            remedy=f"It allows: {', '.join(contract.allowed_operations) or 'nothing'}. "
            "Use one of these; or change allowed_operations in the contract and replay the drop.",
        )
    if drop.action is Action.UPSERT and not contract.primary_key:
        return Reason(
            code="primary_key_missing",
            message=f"The contract of {drop.table} names no primary_key to merge by.",
            remedy="Name it in the contract and replay the drop; or use append or truncate.",
        )
    if CORRECTS in (standing.corrected_key or ""):
        return Reason(
            code="corrects_a_correction",
            message=f"The drop {drop.corrects} is a correction itself: its rows that are loaded "
            "would be there twice.",
            remedy="Correct the rows in the whole file of that drop, and upload it under its own "
            f"key, {standing.corrected_key!r}: it takes the place of its earlier version.",
        )
    if contract.on_reupload_of(drop) is OnReupload.REJECT and standing.earlier_version is not None:
        return Reason(
            code="reuploaded",
            message=f"The key {drop.key!r} was uploaded before, as the drop "
            f"{standing.earlier_version}, and the contract says on_reupload: reject.",
            remedy="Upload the file under another name; or let the contract say append or replace "
            "and replay the drop.",
        )
    return None

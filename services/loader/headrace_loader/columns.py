"""Which columns does this file have? Decided from its header and the contract, without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from headrace_shared.contract import Column, Contract
from headrace_shared.errors import PermanentError
from headrace_shared.reasons import LoadWarning, Reason

UNFILLED: Final = "columns_unfilled"

_MOST_COLUMNS: Final = 100
"""In a warning: an event has 256 KiB, and a table up to 1,599 columns."""


def columns_of_file(header: Sequence[str] | None, contract: Contract) -> tuple[Column, ...]:
    """The contract's columns in the order in which the file has them.

    Names match in any order and in any case; a nullable column may be missing and becomes null.

    Args:
        header: the file's column names; None for a file without a header line, which has every
            column in the contract's order.

    Raises:
        PermanentError: the header has an unknown or repeated name, or lacks a required one.
    """
    if header is None:
        return contract.columns
    names = [field_name(name.strip()) for name in header]
    _refuse_repeated(names)
    _refuse_unknown(names, contract)
    _refuse_missing(names, contract)
    return tuple(contract.by_name[name] for name in names)


def absent_columns(columns: Sequence[Column], contract: Contract) -> tuple[str, ...]:
    """The contract's columns that are not among these."""
    present = {column.name for column in columns}
    return tuple(name for name in contract.by_name if name not in present)


def unfilled(absent: Sequence[str], rows: int) -> tuple[LoadWarning, ...]:
    """The warning that columns of the contract have no field in a file.

    Args:
        absent: the columns that no record has a field for; a null is a field.
        rows: how many records the file has; a file without any leaves nothing unfilled.
    """
    if not absent or not rows:
        return ()
    kind, null = ("column", "it is") if len(absent) == 1 else ("columns", "they are")
    message = (
        f"No record of the file has a field for the {kind} {_listed(absent)}: {null} null in every "
        "row."
    )
    return (LoadWarning(code=UNFILLED, message=message, columns=tuple(absent[:_MOST_COLUMNS])),)


def field_name(name: str) -> str:
    """The name of a file's field as contracts spell columns: in lower case. A letter that is not
    of ASCII stays, for some become ASCII letters in lower case (the Kelvin sign a k)."""
    return name.lower() if name.isascii() else name


def _refuse_repeated(names: Sequence[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise _refusal(
            f"The header (line 1) names {_listed(repeated)} more than once.",
            "Give every column one name and upload the file again.",
        )


def _refuse_unknown(names: Sequence[str], contract: Contract) -> None:
    unknown = [name for name in names if name not in contract.by_name]
    if unknown:
        raise _refusal(
            f"The header (line 1) has columns that the contract does not: {_listed(unknown)}.",
            f"The contract has: {_listed(contract.by_name)}. Take the others out of the file, or "
            "add them to the contract first.",
        )


def _refuse_missing(names: Sequence[str], contract: Contract) -> None:
    missing = [
        column.name
        for column in contract.columns
        if not column.nullable and column.name not in names
    ]
    if missing:
        raise _refusal(
            f"The header (line 1) lacks columns that must not be null: {_listed(missing)}.",
            "Add them to the file and upload it again.",
        )


_MOST_NAMES_TOLD: Final = 20


def _listed(names: Sequence[str] | dict[str, Column]) -> str:
    told = [repr(name[:63]) for name in list(names)[:_MOST_NAMES_TOLD]]
    more = f" and {len(names) - _MOST_NAMES_TOLD} more" if len(names) > _MOST_NAMES_TOLD else ""
    return ", ".join(told) + more


def _refusal(message: str, remedy: str) -> PermanentError:
    return PermanentError(Reason(code="header_mismatch", message=message, remedy=remedy))

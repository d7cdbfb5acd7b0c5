"""Which columns does this file bring? Decided from its header and the contract, without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from headrace_shared.contract import Column, Contract
from headrace_shared.errors import PermanentError
from headrace_shared.reasons import Reason


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
    names = [name.strip().lower() for name in header]
    _refuse_repeated(names)
    _refuse_unknown(names, contract)
    _refuse_missing(names, contract)
    return tuple(contract.by_name[name] for name in names)


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


_MOST_NAMES_TOLD = 20


def _listed(names: Sequence[str] | dict[str, Column]) -> str:
    told = [repr(name[:63]) for name in list(names)[:_MOST_NAMES_TOLD]]
    more = f" and {len(names) - _MOST_NAMES_TOLD} more" if len(names) > _MOST_NAMES_TOLD else ""
    return ", ".join(told) + more


def _refusal(message: str, remedy: str) -> PermanentError:
    return PermanentError(Reason(code="header_mismatch", message=message, remedy=remedy))

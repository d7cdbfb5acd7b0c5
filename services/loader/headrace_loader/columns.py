"""Which columns does this file have? Decided from its header and the contract, without I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from headrace_loader.column_names import ColumnNames
from headrace_shared.contract import Column, Contract
from headrace_shared.errors import PermanentError
from headrace_shared.field_names import normalised_names
from headrace_shared.file_formats import CsvFormat
from headrace_shared.reasons import LoadWarning, Reason

UNFILLED: Final = "columns_unfilled"

_MOST_COLUMNS: Final = 100
"""In a warning: an event has 256 KiB, and a table up to 1,599 columns."""


@dataclass(frozen=True, slots=True)
class FileColumns:
    """What the fields of a file are.

    Args:
        fields: a column for each field, in the file's order; of a field that is left out it is one
            that no contract has.
        left_out: the names of these.
        absent: the contract's columns that neither the file nor its key has.
    """

    fields: tuple[Column, ...]
    left_out: frozenset[str] = frozenset()
    absent: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names of the columns that the file has."""
        return frozenset(one.name for one in self.fields)


def columns_of_file(
    header: Sequence[str] | None,
    contract: Contract,
    in_key: Collection[str] = (),
    width: int | None = None,
) -> FileColumns:
    """The contract's columns in the order in which the file has them.

    A nullable column may be missing and becomes null.

    Args:
        header: the file's column names; None for a file without a header line.
        in_key: the columns that the file's key has a value for.
        width: how many fields the first record of a file without a header has; None for as many
            as the contract has columns.

    Raises:
        PermanentError: the header has an unknown or repeated name, or lacks a required one.
    """
    if header is None:
        fields = _by_position(contract, in_key, width)
    else:
        fields = _by_name([name.strip() for name in header], contract)
    present = {column.name for column in fields if column}
    has = present.union(in_key)
    _refuse_missing(has, contract)
    if not present:
        raise _refusal(
            "No column of the contract takes a field of the file.",
            "Compare the header of the file with the columns of the contract.",
        )
    columns = tuple(one or _left_out(place, contract) for place, one in enumerate(fields, 1))
    return FileColumns(
        columns,
        frozenset(one.name for one in columns) - present,
        tuple(name for name in contract.by_name if name not in has),
    )


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


def _by_position(
    contract: Contract, in_key: Collection[str], width: int | None
) -> list[Column | None]:
    """The fields of a file without names."""
    positions = _positions(contract)
    if not positions:
        own = [column for column in contract.columns if column.name not in in_key]
        return list(own if in_key and width == len(own) else contract.columns)
    last = max(positions) if width is None else width
    fields = [positions.get(place) for place in range(1, last + 1)]
    unknown = [str(place) for place, column in enumerate(fields, 1) if column is None]
    if unknown and contract.format.unknown == "refuse":
        raise _refusal(
            f"No column of the contract takes the fields at the positions {_joined(unknown)}.",
            'Add columns for them, or write "unknown": "ignore" in the format of the contract.',
        )
    return list(fields)


def _by_name(header: Sequence[str], contract: Contract) -> list[Column | None]:
    positions, names = _positions(contract), ColumnNames(contract.columns)
    plain = _compared(header, contract)
    takers = [
        positions.get(place) or names.column_of(given, name)
        for place, (given, name) in enumerate(zip(header, plain, strict=True), 1)
    ]
    for column in filter(None, dict.fromkeys(takers)):
        _choose(column, header, takers)
    unknown = [name for name, column in zip(header, takers, strict=True) if column is None]
    if unknown and contract.format.unknown == "refuse":
        raise _refusal(
            f"The header (line 1) has columns that the contract does not: {_listed(unknown)}.",
            f"The contract has: {_listed(contract.by_name)}. Take the others out of the file; add "
            'them to the contract, with "from" where the names differ; or write "unknown": '
            '"ignore" in its format.',
        )
    return takers


def _compared(header: Sequence[str], contract: Contract) -> Sequence[str]:
    """The names that are compared with the columns."""
    written = contract.format
    normalise = isinstance(written, CsvFormat) and written.header == "normalise"
    return normalised_names(header) if normalise else header


def _choose(column: Column, header: Sequence[str], takers: list[Column | None]) -> None:
    """Of several fields for one column leaves it the one that `from` names exactly.

    Raises:
        PermanentError: there is none, or more than one.
    """
    places = [place for place, one in enumerate(takers) if one is column]
    exact = [place for place in places if header[place] == column.field]
    if len(places) > 1 and len(exact) != 1:
        raise _refusal(
            f"The header (line 1) names the column {column.name!r} more than once: "
            f"{_listed([header[place] for place in places])}.",
            "Give every column one name and upload the file again; or choose the field in the "
            'contract: "from": {"position": 3}.',
        )
    for place in places:
        takers[place] = column if len(places) == 1 or place in exact else None


def _positions(contract: Contract) -> Mapping[int, Column]:
    return {one.position: one for one in contract.columns if one.position is not None}


def _left_out(place: int, contract: Contract) -> Column:
    name = f"field {place}"
    while name in contract.by_name:
        name += "_"
    return Column.model_construct(name=name, type="text")


def _refuse_missing(has: Collection[str], contract: Contract) -> None:
    missing = [
        column.name for column in contract.columns if not column.nullable and column.name not in has
    ]
    if missing:
        raise _refusal(
            f"The header (line 1) lacks columns that must not be null: {_listed(missing)}.",
            "Add them to the file and upload it again.",
        )


_MOST_NAMES_TOLD: Final = 20


def _listed(names: Sequence[str] | dict[str, Column]) -> str:
    return _joined([repr(name[:63]) for name in names])


def _joined(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES_TOLD
    return ", ".join(names[:_MOST_NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")


def _refusal(message: str, remedy: str) -> PermanentError:
    return PermanentError(Reason(code="header_mismatch", message=message, remedy=remedy))

"""What a contract opens of its table: which columns, by which filters, in which order.

A decision without I/O. Names and types come from the contract alone, which the loader has checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from headrace_shared.api_access import ApiAccess
from headrace_shared.column_references import quoted_columns, quoted_names
from headrace_shared.column_types import is_further
from headrace_shared.contract import Contract
from headrace_shared.identifiers import LINEAGE_COLUMN

NUMBERS: Final = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"})
_OF_A_COLUMN: Final = ("quoted", "name", "type", "nullable")


@dataclass(frozen=True, slots=True)
class OpenColumn:
    """A column, and its type without length or precision: a value that is cut to fit into
    `varchar(3)` would find rows that nobody asked for."""

    name: str
    kind: str
    nullable: bool = True

    @property
    def is_number(self) -> bool:
        """Whether its cells are numbers wherever they go."""
        return self.kind in NUMBERS


LINEAGE: Final = OpenColumn(LINEAGE_COLUMN, "uuid")


@dataclass(frozen=True, slots=True)
class OpenTable:
    """A table whose rows may be read.

    Args:
        shown: the columns that may be shown.
        filters: those that rows may be asked for by; true with ranges.
        key: the columns by which rows are ordered, before their lineage; none where the contract
            has no key, or does not show all of it, for a cursor tells them.
    """

    db_name: str
    table_name: str
    contract_id: UUID
    shown: tuple[OpenColumn, ...]
    filters: Mapping[OpenColumn, bool] = field(hash=False)
    key: tuple[OpenColumn, ...]


def open_table(
    place: tuple[str, str], contract_id: UUID, stored: Mapping[str, Any]
) -> OpenTable | None:
    """What the contract opens; None where that is nothing.

    Args:
        stored: the contract as the warehouse holds it, of which a newer loader may know more.
    """
    if stored.get("api") is None:
        return None
    with quoted_columns(quoted_names(stored)):
        api = ApiAccess.model_validate(stored["api"])
    if not api.shown:
        return None
    contract = Contract.model_validate(
        {
            "columns": [
                {name: column[name] for name in _OF_A_COLUMN if name in column}
                for column in stored["columns"]
            ],
            "primary_key": stored.get("primary_key", ()),
        }
    )
    columns = {
        column.name: OpenColumn(column.name, _kind(column.type), column.nullable)
        for column in contract.columns
    }
    key = contract.primary_key
    ordered = set(key) <= set(api.shown) and not any(
        is_further(contract.by_name[name].type) for name in key
    )
    return OpenTable(
        *place,
        contract_id,
        shown=tuple(columns[name] for name in api.shown),
        filters={columns[one.column]: one.range for one in api.filter_by},
        key=tuple(columns[name] for name in key) if ordered else (),
    )


def _kind(canonical: str) -> str:
    return canonical if is_further(canonical) else canonical.partition("(")[0]

"""What does a contract change about its table? Decided without I/O.

What is safe is applied: a new table, a new nullable column, and everything that does not touch
the columns. The rest is refused as a whole, with the exact difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace_shared.contract import Column, Contract
from headrace_shared.drop import Action
from headrace_shared.errors import PermanentError
from headrace_shared.reasons import Reason


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column as the warehouse has it; `type` in Postgres's canonical spelling."""

    type: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: columns to add (all of them where `create`), and what to tell of it."""

    create: bool
    add: tuple[Column, ...]
    changes: tuple[str, ...]


def plan(
    table: Mapping[str, TableColumn] | None, present: Contract | None, wanted: Contract
) -> Plan:
    """The way from the table as it is to the contract that is wanted.

    Args:
        table: the columns that the warehouse has, lineage left out; None if there is no table.
        present: the contract in force, if any.

    Raises:
        PermanentError: the change is not a safe one, or the present contract allows none.
    """
    if present is not None and Action.SCHEMA not in present.allowed_operations:
        raise _refusal(
            "The present contract does not allow the operation schema.",
            "The contract of this table is final; make a new table instead.",
        )
    if table is None:
        return Plan(create=True, add=wanted.columns, changes=("table created",))
    differences = [
        *_lost(table, wanted),
        *_altered(table, wanted),
        *_key(present, wanted),
    ]
    new = tuple(column for column in wanted.columns if column.name not in table)
    differences += [
        f"the new column {column.name!r} must be nullable" for column in new if not column.nullable
    ]
    if differences:
        raise _refusal(
            f"The contract would change the table in ways that are not safe: "
            f"{'; '.join(differences)}.",
            "Keep the present columns and their types, and only add nullable columns.",
        )
    told = [f"column {column.name} {column.type} added" for column in new]
    return Plan(create=False, add=new, changes=tuple(told + _settings(present, wanted)))


def _lost(table: Mapping[str, TableColumn], wanted: Contract) -> list[str]:
    return [f"column {name!r} is gone" for name in table if name not in wanted.by_name]


def _altered(table: Mapping[str, TableColumn], wanted: Contract) -> list[str]:
    differences = []
    for name, has in table.items():
        column = wanted.by_name.get(name)
        if column is None:
            continue
        if column.type != has.type:
            differences.append(f"column {name!r} is {has.type}, not {column.type}")
        if column.nullable != has.nullable:
            differences.append(
                f"column {name!r} is {'' if has.nullable else 'not '}nullable in the table"
            )
    return differences


def _key(present: Contract | None, wanted: Contract) -> list[str]:
    if present is None or present.primary_key == wanted.primary_key:
        return []
    return [f"the primary key is ({', '.join(present.primary_key)})"]


def _settings(present: Contract | None, wanted: Contract) -> list[str]:
    if present is None:
        return ["contract recorded for the table that was there"]
    return [
        f"{part.replace('_', ' ')} changed"
        for part in ("allowed_operations", "format", "on_bad_rows", "api")
        if getattr(present, part) != getattr(wanted, part)
    ]


def _refusal(message: str, remedy: str) -> PermanentError:
    return PermanentError(Reason(code="contract_change_refused", message=message, remedy=remedy))

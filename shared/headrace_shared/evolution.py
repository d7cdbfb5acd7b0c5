"""What do contracts make of their table? Decided without I/O.

The contracts of a table form a chain: each is held against the table as the accepted ones before
it left it. What is safe is applied: a new nullable column, a wider type, a relaxed null, and
everything that does not touch the rows. The rest is refused as a whole, with the exact
difference, unless the contract itself allows breaking changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from headrace_shared.column_types import widens
from headrace_shared.contract import Column, Contract, Evolution
from headrace_shared.drop import Action
from headrace_shared.reasons import Reason

_SETTINGS: Final = (
    "allowed_operations",
    "format",
    "on_bad_rows",
    "on_reupload",
    "delete_flag",
    "evolution",
    "tests",
    "hard_testing",
    "api",
    "description",
)
"""The parts of a contract that do not touch the rows that are there."""


class Fill(StrEnum):
    """What the database puts into a column that a row leaves out; IDENTITY and GENERATED are
    columns that no row may name."""

    NULL = "null"
    DEFAULT = "default"
    IDENTITY = "identity"
    GENERATED = "generated"


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column as the warehouse has it; `type` in Postgres's canonical spelling."""

    type: str
    nullable: bool
    fill: Fill = Fill.NULL


Columns = Mapping[str, TableColumn]
"""A table's columns by name, in their order, the lineage column left out."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one contract: `refusal` is None where it was accepted."""

    contract_id: UUID
    changes: tuple[str, ...]
    refusal: Reason | None


@dataclass(frozen=True, slots=True)
class Chain:
    """The verdict on each contract, the columns after the last accepted one, and which that is."""

    verdicts: tuple[Verdict, ...]
    columns: Columns | None
    in_force: UUID | None


@dataclass(frozen=True, slots=True)
class Reshape:
    """What to do to a table: all of it, or (`create`) make it with the columns of `add`."""

    create: bool
    add: tuple[tuple[str, TableColumn], ...]
    drop: tuple[str, ...]
    retype: tuple[tuple[str, str], ...]
    relax: tuple[str, ...]
    tighten: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Difference:
    """One difference: how it is told where it is applied, and where it is refused.

    Args:
        remedy: what to do where no load can succeed, whatever changes are allowed.
    """

    applied: str
    refused: str
    safe: bool
    remedy: str = ""


def fold(before: Columns | None, contracts: Sequence[tuple[UUID, Contract]]) -> Chain:
    """The chain of a table's contracts.

    Args:
        before: the columns that the table had before Headrace knew it; None if it was not there.
        contracts: in the order of their drop ids.
    """
    assert list(contracts) == sorted(contracts, key=lambda one: one[0])
    verdicts: list[Verdict] = []
    columns, present, in_force = before, None, None
    others = frozenset(before or ())
    for contract_id, wanted in contracts:
        verdict = judge(contract_id, columns, present, wanted, others)
        verdicts.append(verdict)
        if verdict.refusal is None:
            columns = _after(columns, present, wanted, others)
            others -= wanted.by_name.keys()
            present, in_force = wanted, contract_id
    return Chain(tuple(verdicts), columns, in_force)


def reshape(has: Columns | None, wants: Columns, owned: Collection[str]) -> Reshape:
    """The way from one shape of a table to another one.

    Args:
        owned: the columns that a contract of the table has declared; the others were made by hand
            and stay as they are.
    """
    wants = {name: column for name, column in wants.items() if name in owned}
    has = has if has is None else {name: has[name] for name in has if name in owned}
    if has is None:
        return Reshape(
            create=True, add=tuple(wants.items()), drop=(), retype=(), relax=(), tighten=()
        )
    both = [name for name in wants if name in has]
    return Reshape(
        create=False,
        add=tuple((name, column) for name, column in wants.items() if name not in has),
        drop=tuple(name for name in has if name not in wants),
        retype=tuple(
            (name, wants[name].type) for name in both if has[name].type != wants[name].type
        ),
        relax=tuple(name for name in both if wants[name].nullable and not has[name].nullable),
        tighten=tuple(name for name in both if has[name].nullable and not wants[name].nullable),
    )


def carried(
    columns: Mapping[str, str], later: Sequence[Contract], others: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """The columns whose values reach the table, each with the types that the values pass through.

    A column that one of the later contracts does not have loses its values there, even if another
    one brings it back; and made narrower, they do not become what they were when it is made wide
    again.

    Args:
        columns: name -> type, under the contract by which the values were read.
        later: the accepted contracts after it, in their order.
        others: columns that no contract had declared before: they keep their values as long as
            none declares them.
    """
    passed: dict[str, tuple[str, ...]] = {name: (kind,) for name, kind in columns.items()}
    kept = set(others)
    for contract in later:
        kept -= contract.by_name.keys()
        passed = {
            name: _passing(types, contract.by_name[name].type) if name not in kept else types
            for name, types in passed.items()
            if name in kept or name in contract.by_name
        }
    return passed


def reread(
    columns: Mapping[str, str],
    before: Sequence[Contract],
    now: Sequence[Contract],
    others: Collection[str] = (),
) -> dict[str, tuple[str, ...] | None]:
    """The columns whose values in the table are not what the chain makes of them, once the table
    is given the shape of the chain's last contract: name -> how they pass (None: they are lost).

    Args:
        columns: name -> type, as they were read.
        before, now: the accepted contracts after that, before and after the chain has changed.
        others: as in `carried`.
    """
    last = types_of(now[-1]) if now else columns
    present = {
        name: _passing(types, last[name])
        for name, types in carried(columns, before, others).items()
        if name in last
    }
    wanted = {name: types for name, types in carried(columns, now, others).items() if name in last}
    return {
        name: wanted.get(name)
        for name in {**present, **wanted}
        if present.get(name) != wanted.get(name)
    }


def types_of(contract: Contract) -> dict[str, str]:
    """Name -> type of a contract's columns."""
    return {column.name: column.type for column in contract.columns}


def _passing(types: tuple[str, ...], kind: str) -> tuple[str, ...]:
    if kind == types[-1]:
        return types
    if len(types) > 1 and widens(types[-2], types[-1]) and widens(types[-1], kind):
        return (*types[:-1], kind)
    return (*types, kind)


def judge(
    contract_id: UUID,
    columns: Columns | None,
    present: Contract | None,
    wanted: Contract,
    others: Collection[str] = (),
) -> Verdict:
    """What becomes of one contract.

    Args:
        columns: those of the table as it is; None if it is not there.
        present: the contract in force, if there is one.
        others: the columns of the table that no contract has declared.
    """
    if present is not None and Action.SCHEMA not in present.allowed_operations:
        reason = _refusal(
            "The present contract does not allow the operation schema.",
            "The contract of this table is final; make a new table instead.",
        )
        return Verdict(contract_id, (), reason)
    if columns is None:
        return Verdict(contract_id, ("table created",), None)
    differences = [*_columns(columns, present, wanted, others), *_key(present, wanted)]
    unfit = [one for one in differences if one.remedy]
    if unfit:
        return Verdict(contract_id, (), _unfit(unfit))
    breaking = wanted.evolution is Evolution.ALLOW_BREAKING
    refused = [
        one.refused for one in differences if not one.safe and not (breaking and one.applied)
    ]
    if refused:
        return Verdict(contract_id, (), _unsafe(refused))
    told = [one.applied for one in differences] + _settings(present, wanted, others)
    return Verdict(contract_id, tuple(told), None)


def columns_of(contract: Contract) -> dict[str, TableColumn]:
    """The columns of a table that has the shape of this contract."""
    return {column.name: TableColumn(column.type, column.nullable) for column in contract.columns}


def _after(
    columns: Columns | None, present: Contract | None, wanted: Contract, others: Collection[str]
) -> Columns:
    """The table keeps the order of its columns, and those that no contract has declared; new ones
    come last."""
    own, has = columns_of(wanted), columns or {}
    kept = {
        name: _taken_over(column, own[name], present, name) if name in own else column
        for name, column in has.items()
        if name in own or name in others
    }
    return {**kept, **{name: column for name, column in own.items() if name not in kept}}


def _taken_over(
    has: TableColumn, own: TableColumn, present: Contract | None, name: str
) -> TableColumn:
    nullable = own.nullable and (has.nullable or _relaxes(present, name))
    return TableColumn(own.type, nullable, has.fill)


def _relaxes(present: Contract | None, name: str) -> bool:
    """Whether a contract that lets a column be null takes a `not null` away: only one that a
    contract has put there. What was made by hand stays."""
    return present is not None and name in present.by_name and not present.by_name[name].nullable


def _columns(
    columns: Columns, present: Contract | None, wanted: Contract, others: Collection[str]
) -> Iterator[_Difference]:
    for name, has in columns.items():
        if name not in wanted.by_name:
            yield from _left_out(name, has, others)
    for column in wanted.columns:
        if column.name in columns:
            yield from _altered(columns[column.name], column, present)
        else:
            yield from _added(column, others)


def _left_out(name: str, has: TableColumn, others: Collection[str]) -> Iterator[_Difference]:
    if name not in others:
        yield _Difference(f"column {name} dropped", f"column {name!r} is gone", safe=False)
    elif not has.nullable and has.fill is Fill.NULL:
        yield _Difference(
            "",
            f"the table's column {name!r} must not be null and has no default",
            safe=False,
            remedy="Declare the column in the contract, or give it a default in the table.",
        )


def _added(column: Column, others: Collection[str]) -> Iterator[_Difference]:
    alike = [name for name in others if name.lower() == column.name.lower()]
    if alike:
        yield _Difference(
            "",
            f"the table has the column {alike[0]!r}, not {column.name!r}",
            safe=False,
            remedy="Give the column the same name in the contract and in the table.",
        )
    elif column.nullable:
        yield _Difference(f"column {column.name} {column.type} added", "", safe=True)
    else:
        # Refused in any case: there is no value for the rows that are there.
        yield _Difference("", f"the new column {column.name!r} must be nullable", safe=False)


def _altered(has: TableColumn, column: Column, present: Contract | None) -> Iterator[_Difference]:
    name = column.name
    if has.fill in (Fill.IDENTITY, Fill.GENERATED):
        yield _Difference(
            "",
            f"the database itself fills the column {name!r} ({has.fill} always)",
            safe=False,
            remedy="Leave the column out of the contract and of the files.",
        )
    if column.type != has.type:
        yield _Difference(
            f"column {name} {has.type} -> {column.type}",
            f"column {name!r} is {has.type}, not {column.type}",
            safe=widens(has.type, column.type),
        )
    if column.nullable and not has.nullable and _relaxes(present, name):
        yield _Difference(f"column {name} may be null now", "", safe=True)
    if has.nullable and not column.nullable:
        yield _Difference(
            f"column {name} must not be null now",
            f"column {name!r} is nullable in the table",
            safe=False,
        )


def _key(present: Contract | None, wanted: Contract) -> Iterator[_Difference]:
    if present is None or present.primary_key == wanted.primary_key:
        return
    old, new = (f"({', '.join(one.primary_key)})" for one in (present, wanted))
    yield _Difference(
        f"primary key {old} -> {new}" if present.primary_key else f"primary key {new}",
        f"the primary key is {old}, not {new}",
        safe=not present.primary_key,
    )


def _settings(present: Contract | None, wanted: Contract, others: Collection[str]) -> list[str]:
    if present is None:
        left = sorted(set(others) - wanted.by_name.keys())
        stay = [f"not in the contract, as they are: {', '.join(left)}"] if left else []
        return ["contract recorded for the table that was there", *stay]
    return [
        f"{part.replace('_', ' ')} changed"
        for part in _SETTINGS
        if getattr(present, part) != getattr(wanted, part)
    ] + [
        f"column {name} is read otherwise"
        for name, column in wanted.by_name.items()
        if name in present.by_name and _reading(present.by_name[name]) != _reading(column)
    ]


def _reading(column: Column) -> tuple[object, ...]:
    """How a column's values are found in a file and written there."""
    return column.taken_from, column.formats


def _unfit(differences: Sequence[_Difference]) -> Reason:
    what = "; ".join(one.refused for one in differences)
    return _refusal(
        f"The contract does not fit the table: {what}.",
        " ".join(dict.fromkeys(one.remedy for one in differences)),
    )


def _unsafe(differences: Sequence[str]) -> Reason:
    return _refusal(
        f"The contract would change the table in ways that are not safe: {'; '.join(differences)}.",
        "Keep the present columns, widen types only as docs/contracts.md lists, add nullable "
        'columns; or say "evolution": "allow_breaking" in this contract.',
    )


def _refusal(message: str, remedy: str) -> Reason:
    return Reason(code="contract_change_refused", message=message, remedy=remedy)

"""The chain of a table's contracts: what is safe is applied, the rest is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_shared.column_types import canonical_type, widens
from headrace_shared.contract import Contract, parse_contract
from headrace_shared.evolution import (
    Chain,
    Columns,
    Fill,
    Reshape,
    TableColumn,
    Verdict,
    columns_of,
    fold,
    judge,
    reread,
    reshape,
)

ID = {"name": "id", "type": "bigint", "nullable": False}
NAME = {"name": "name", "type": "varchar(10)"}
NOTE = {"name": "note", "type": "text"}

TYPES = [
    canonical_type(text)
    for text in (
        *("smallint", "int", "bigint", "numeric", "numeric(5,2)", "numeric(7,2)", "numeric(7,4)"),
        *("real", "float8", "text", "varchar", "varchar(5)", "varchar(9)", "char(5)"),
        *("date", "timestamp", "json", "jsonb", "boolean"),
    )
]

columns = st.dictionaries(
    st.sampled_from("abcd"), st.builds(TableColumn, st.sampled_from(TYPES), st.booleans())
)


def a_contract(*parts: dict[str, Any], **fields: Any) -> Contract:
    return parse_contract(json.dumps({"columns": list(parts or (ID, NAME)), **fields}).encode())


def chained(*contracts: Contract, before: Columns | None = None) -> Chain:
    return fold(before, [(UUID(int=place + 1), one) for place, one in enumerate(contracts)])


def last(*contracts: Contract) -> Verdict:
    return chained(*contracts).verdicts[-1]


def has(reshaped: Reshape) -> list[str]:
    return [
        name for name in ("add", "drop", "retype", "relax", "tighten") if getattr(reshaped, name)
    ]


def test_first_contract_makes_the_table() -> None:
    chain = chained(a_contract())
    assert chain.verdicts == (Verdict(UUID(int=1), ("table created",), None),)
    assert chain.columns == {
        "id": TableColumn("bigint", nullable=False),
        "name": TableColumn("character varying(10)", nullable=True),
    }
    assert chain.in_force == UUID(int=1)


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        (a_contract(ID, NAME, NOTE), ("column note text added",)),
        (a_contract(NOTE, NAME, ID), ("column note text added",)),
        (
            a_contract(ID, {**NAME, "type": "varchar(20)"}),
            ("column name character varying(10) -> character varying(20)",),
        ),
        (a_contract({**ID, "nullable": True}, NAME), ("column id may be null now",)),
        (a_contract(primary_key=["id"]), ("primary key (id)",)),
        (a_contract(format={"delimiter": ";"}), ("format changed",)),
        (a_contract(on_reupload="reject"), ("on reupload changed",)),
        (a_contract(), ()),
    ],
)
def test_safe_change_is_applied_and_named(wanted: Contract, changes: tuple[str, ...]) -> None:
    assert last(a_contract(), wanted) == Verdict(UUID(int=2), changes, None)


UNSAFE = [
    (a_contract(ID), "column 'name' is gone", "column name dropped"),
    (
        a_contract(ID, {**NAME, "type": "integer"}),
        "column 'name' is character varying(10), not integer",
        "column name character varying(10) -> integer",
    ),
    (
        a_contract(ID, {**NAME, "nullable": False}),
        "column 'name' is nullable in the table",
        "column name must not be null now",
    ),
    (
        a_contract(primary_key=["name"]),
        "the primary key is (id), not (name)",
        "primary key (id) -> (name)",
    ),
]


@pytest.mark.parametrize(("wanted", "refused", "applied"), UNSAFE)
def test_unsafe_change_is_refused_with_the_difference_unless_it_is_allowed(
    wanted: Contract, refused: str, applied: str
) -> None:
    present = a_contract(primary_key=["id"]) if wanted.primary_key else a_contract()
    refusal = last(present, wanted).refusal
    assert refusal is not None
    assert refused in refusal.message
    breaking = Contract.model_validate({**wanted.model_dump(), "evolution": "allow_breaking"})
    assert last(present, breaking).changes == (applied, "evolution changed")


def test_new_column_that_must_not_be_null_is_refused_in_any_case() -> None:
    wanted = a_contract(ID, NAME, {**NOTE, "nullable": False}, evolution="allow_breaking")
    refusal = last(a_contract(), wanted).refusal
    assert refusal is not None
    assert "'note' must be nullable" in refusal.message


def test_contract_without_schema_among_its_operations_is_the_last() -> None:
    assert last(a_contract(allowed_operations=["append"]), a_contract()).refusal is not None


def test_refused_contract_leaves_the_table_to_the_one_before() -> None:
    chain = chained(a_contract(), a_contract(ID), a_contract(ID, NAME, NOTE))
    assert [verdict.refusal is None for verdict in chain.verdicts] == [True, False, True]
    assert list(chain.columns or ()) == ["id", "name", "note"]
    assert chain.in_force == UUID(int=3)


def test_table_that_was_there_is_taken_over_if_it_fits() -> None:
    before = {"name": TableColumn("character varying(10)", nullable=True)}
    chain = chained(a_contract(NAME), a_contract(NAME, NOTE), before=before)
    assert chain.verdicts[0].changes == ("contract recorded for the table that was there",)
    assert list(chain.columns or ()) == ["name", "note"]


OTHERS: dict[str, TableColumn] = {
    "made": TableColumn("timestamp with time zone", nullable=False, fill=Fill.DEFAULT),
    "number": TableColumn("integer", nullable=False, fill=Fill.IDENTITY),
    "upper": TableColumn("text", nullable=True, fill=Fill.GENERATED),
    "address": TableColumn("inet", nullable=True),
}


def test_columns_that_no_contract_has_declared_stay_as_they_are() -> None:
    before = {**columns_of(a_contract()), **OTHERS}
    breaking = a_contract(ID, evolution="allow_breaking")
    chain = chained(a_contract(), breaking, before=before)
    assert chain.verdicts[0].changes == (
        "contract recorded for the table that was there",
        "not in the contract, as they are: address, made, number, upper",
    )
    assert chain.verdicts[1].changes == ("column name dropped", "evolution changed")
    way = reshape(before, chain.columns or {}, ["id", "name"])
    assert (has(way), way.drop) == (["drop"], ("name",))


UNFIT = [
    (NOTE, {"note": TableColumn("text", True, Fill.GENERATED)}, "fills the column 'note'"),
    (NOTE, {"note": TableColumn("text", False, Fill.IDENTITY)}, "fills the column 'note'"),
    (NOTE, {"must": TableColumn("text", nullable=False)}, "'must' must not be null"),
    (NOTE, {"Note": TableColumn("text", nullable=True)}, "has the column 'Note', not 'note'"),
]


@pytest.mark.parametrize(("part", "before", "message"), UNFIT)
def test_table_that_no_row_of_the_contract_can_fill_is_refused_with_a_remedy(
    part: dict[str, Any], before: Columns, message: str
) -> None:
    contract = a_contract(part, evolution="allow_breaking")
    refusal = chained(contract, before=before).verdicts[0].refusal
    assert refusal is not None
    assert message in refusal.message
    assert "allow_breaking" not in refusal.remedy


def test_not_null_made_by_hand_stays_until_a_contract_says_it_and_then_does_not() -> None:
    before = {"id": TableColumn("bigint", nullable=False)}
    loose = {**ID, "nullable": True}
    chain = chained(a_contract(loose), a_contract(loose, NOTE), before=before)
    assert chain.columns is not None
    assert chain.columns["id"] == TableColumn("bigint", nullable=False)
    relaxed = chained(a_contract(ID), a_contract(loose), before=before)
    assert relaxed.columns == {"id": TableColumn("bigint", nullable=True)}


CONTRACTS = st.lists(
    st.sampled_from(
        [
            a_contract(),
            a_contract(ID),
            a_contract(ID, NAME, NOTE),
            a_contract(ID, NOTE, evolution="allow_breaking"),
            a_contract(ID, {**NAME, "type": "text"}),
            a_contract(primary_key=["id"]),
        ]
    ),
    max_size=6,
)


before_tables = st.dictionaries(
    st.sampled_from(["id", "name", "note", "x", "y"]),
    st.builds(
        TableColumn,
        st.sampled_from(["bigint", "text", "character varying(10)", "inet"]),
        st.booleans(),
        st.sampled_from(Fill),
    ),
)


@given(before_tables, st.data())
def test_no_chain_of_contracts_touches_what_none_of_them_has_declared(
    before: Columns, data: st.DataObject
) -> None:
    contracts = data.draw(CONTRACTS)
    chain = chained(*contracts, before=before)
    accepted = [contracts[one.contract_id.int - 1] for one in chain.verdicts if one.refusal is None]
    owned = {name for one in accepted for name in one.by_name}
    way = reshape(before, chain.columns or {}, owned)
    touched = {name for name, *_ in (*way.add, *way.retype)}
    touched |= {*way.drop, *way.relax, *way.tighten}
    assert touched <= owned
    types = {name: has.type for name, has in before.items()}
    assert reread(types, [], accepted, others=types.keys()).keys() <= owned


@given(CONTRACTS, st.data())
def test_beginning_of_a_chain_does_not_depend_on_its_end(
    contracts: Sequence[Contract], data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, len(contracts)))
    beginning, whole = chained(*contracts[:count]), chained(*contracts)
    assert whole.verdicts[:count] == beginning.verdicts


@given(CONTRACTS)
def test_columns_are_those_of_the_contract_in_force(contracts: Sequence[Contract]) -> None:
    chain = chained(*contracts)
    if chain.in_force is None:
        assert chain.columns is None
        return
    wanted = contracts[chain.in_force.int - 1]
    assert chain.columns == {
        one.name: TableColumn(one.type, one.nullable) for one in wanted.columns
    }


@given(columns)
def test_no_difference_asks_for_nothing(shape: Columns) -> None:
    assert has(reshape(shape, shape, shape)) == []


@given(columns, columns)
def test_reshape_leads_from_one_shape_to_the_other(old: Columns, new: Columns) -> None:
    way = reshape(old, new, {*old, *new})
    found = {name: column for name, column in old.items() if name not in way.drop}
    for name, kind in way.retype:
        found[name] = TableColumn(kind, found[name].nullable)
    for name in (*way.relax, *way.tighten):
        found[name] = TableColumn(found[name].type, nullable=name in way.relax)
    assert found | dict(way.add) == new


@given(*[st.sampled_from(TYPES)] * 3)
def test_widening_twice_is_a_widening(first: str, second: str, third: str) -> None:
    if widens(first, second) and widens(second, third):
        assert widens(first, third)


@given(*[st.sampled_from(TYPES)] * 2)
def test_widening_there_and_back_is_the_same_type(first: str, second: str) -> None:
    assert widens(first, first)
    if widens(first, second) and widens(second, first):
        assert first == second


def test_types_that_lose_something_are_no_widening() -> None:
    losing = [
        ("character(5)", "text"),
        ("json", "jsonb"),
        ("date", "timestamp without time zone"),
        ("bigint", "double precision"),
        ("text", "character varying(5)"),
        ("numeric(7,2)", "numeric(7,4)"),
        ("numeric", "numeric(7,4)"),
    ]
    assert not [pair for pair in losing if widens(*pair)]


def test_how_a_column_is_read_is_told_as_a_change() -> None:
    before = parse_contract(b'{"columns": [{"name": "a", "type": "date"}]}')
    after = parse_contract(
        b'{"columns": [{"name": "a", "type": "date", "formats": ["%d.%m.%Y"]}], '
        b'"hard_testing": false}'
    )
    verdict = judge(UUID(int=1), columns_of(before), before, after)
    assert verdict.refusal is None
    assert verdict.changes == ("hard testing changed", "column a is read otherwise")

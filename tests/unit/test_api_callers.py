"""What a caller sees follows from patterns of tables alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_api.callers import ANYBODY, EVERY_TABLE, Caller, PatternError, Scope, TablePattern

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("pattern", "covered", "others"),
    [
        ("sales.orders", ["sales.orders"], ["sales.orders2", "sales2.orders", "hr.orders"]),
        ("sales.*", ["sales.orders", "sales.x"], ["sales2.orders", "hr.orders"]),
        ("Sales.daily_*", ["sales.daily_", "sales.daily_x"], ["sales.dail", "hr.daily_x"]),
        ("*.*", ["a.b", "hr.salaries"], []),
    ],
)
def test_pattern_covers_its_tables(pattern: str, covered: list[str], others: list[str]) -> None:
    made = TablePattern.of(pattern)
    assert all(made.covers(*one.split(".")) for one in covered)
    assert not any(made.covers(*one.split(".")) for one in others)


@pytest.mark.parametrize("text", ["", "sales", "sales.", ".x", "a.b.c", "*a.b", "a-b.c", "a.b*c"])
def test_other_texts_are_no_patterns(text: str) -> None:
    with pytest.raises(PatternError, match=r"write db_name\.table_name"):
        TablePattern.of(text)


@given(db_name=NAMES, table_name=NAMES, other=NAMES)
def test_table_of_another_database_is_never_seen(db_name: str, table_name: str, other: str) -> None:
    caller = Caller("one", frozenset({Scope.READ}), (TablePattern.of(f"{db_name}.*"),))
    assert caller.sees(db_name, table_name)
    assert caller.sees(other, table_name) == (other == db_name)


def test_what_is_of_no_table_is_for_those_who_see_everything() -> None:
    caller = Caller("one", frozenset({Scope.READ}), (TablePattern.of("a*.*"),))
    assert not caller.sees(None, None)
    assert ANYBODY.sees(None, None)
    assert str(EVERY_TABLE) == "*.*"

"""Names that come from users: all of Unicode, one rule."""

from __future__ import annotations

import string
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_shared.api_keys import PatternError, TablePattern
from headrace_shared.identifiers import safe_column, safe_identifier, safe_schema

ALLOWED = string.ascii_letters + string.digits + "_"


def test_no_character_beyond_ascii_is_part_of_a_name() -> None:
    """Some lower-case to an ASCII letter: the Kelvin sign U+212A to k."""
    every = (chr(number) for number in range(sys.maxunicode + 1))
    taken = [one for one in every if safe_identifier(f"a{one}") is not None]
    assert sorted(taken) == sorted(ALLOWED)


@given(st.text(max_size=70))
def test_safe_name_is_ascii_and_differs_from_its_text_by_case_alone(name: str) -> None:
    for rule in (safe_identifier, safe_schema, safe_column):
        safe = rule(name)
        if safe is not None:
            assert name.isascii()
            assert safe == name.lower()
            assert rule(safe) == safe


@pytest.mark.parametrize(
    "name", ["public", "PUBLIC", "headrace", "information_schema", "pg_catalog", "pg_temp", "pg_x"]
)
def test_schemas_of_the_server_and_of_headrace_are_no_databases(name: str) -> None:
    assert safe_schema(name) is None


def test_pattern_of_tables_is_not_folded_either() -> None:
    with pytest.raises(PatternError):
        TablePattern.of("\u212aeys.*")
    assert str(TablePattern.of("Keys.*")) == "keys.*"

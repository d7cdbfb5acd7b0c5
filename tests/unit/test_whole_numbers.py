"""Whole numbers, however they are written."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.sifting.whole_numbers import whole

NUMBERS = st.one_of(
    st.integers().map(lambda one: f"{one}.0"),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str),
    st.from_regex(r"[+-]?[0-9]{0,6}\.?[0-9]{0,4}([eE][+-]?[0-9]{1,2})?", fullmatch=True),
)


@given(NUMBERS)
def test_whole_number_keeps_its_value_and_others_stay_as_they_are(text: str) -> None:
    found = whole(text)
    if found != text:
        assert found.removeprefix("-").isdigit()
        assert Decimal(found) == Decimal(text)
    elif "." in text and any(one.isdigit() for one in text.lower().partition("e")[0]):
        assert Decimal(text) != Decimal(text).to_integral_value()


@given(st.text(max_size=8))
def test_what_is_no_number_stays_as_it_is(text: str) -> None:
    try:
        Decimal(text)
    except ArithmeticError:
        assert whole(text) == text


def test_number_with_a_huge_exponent_costs_nothing() -> None:
    assert whole("1e999999999") == "1e999999999"
    assert whole("1e400") == f"1{'0' * 400}"

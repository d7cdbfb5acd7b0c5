"""Numbers and booleans as a contract says that they are written."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace_loader.sifting.number_texts import boolean_reader, number_reader
from headrace_shared.file_formats import CsvFormat

ALL = CsvFormat(thousands=",", percent=True, currency=("$", "EUR"), accounting=True)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12%", "0.12"),
        ("1,234.5 %", "12.345"),
        ("$1,234.50", "1234.50"),
        ("-$5", "-5"),
        ("5 EUR", "5"),
        ("(1,234.50)", "-1234.50"),
        ("($5)", "-5"),
        ("12-", "-12"),
        ("7", "7"),
    ],
)
def test_number_is_read_as_the_contract_says(text: str, number: str) -> None:
    assert Decimal(number_reader(ALL)(text)) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["12%%", "(5", "5)", "$$5", "(-5)", "-5-", "GBP 5", "%", "()", "$"]
)
def test_text_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        number_reader(ALL)(text)


@pytest.mark.parametrize("text", ["12%", "$5", "(5)", "5-"])
def test_sign_that_the_contract_does_not_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        number_reader(CsvFormat(thousands=","))(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9))
def test_percent_keeps_every_digit(number: Decimal) -> None:
    text = f"{number:f}"
    assert Fraction(number_reader(ALL)(f"{text}%")) * 100 == Fraction(text)


def test_words_for_booleans() -> None:
    read = boolean_reader(CsvFormat(true=("Ja",), false=("nein",)))
    assert [read(text) for text in ("JA", " nein ", "t", "maybe")] == [
        "true",
        "false",
        "t",
        "maybe",
    ]


@pytest.mark.parametrize(
    "wrong", [{"true": ["x"], "false": ["X"]}, {"currency": [""]}, {"currency": ["1"]}]
)
def test_words_that_are_not_clear_are_refused(wrong: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError):
        CsvFormat.model_validate(wrong)

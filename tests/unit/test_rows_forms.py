"""The form of an answer is the one that a client likes best; no cell of a CSV is a formula."""

from __future__ import annotations

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_api.problems import ApiError
from headrace_api.rows.access import OpenColumn
from headrace_api.rows.forms import Form, csv_head, csv_line, defused, wanted_form

NAME, NUMBER = OpenColumn("name", "text"), OpenColumn("number", "numeric")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ([], Form.JSON),
        ([""], Form.JSON),
        (["*/*"], Form.JSON),
        (["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Form.JSON),
        (["text/csv"], Form.CSV),
        (["TEXT/CSV; charset=utf-8"], Form.CSV),
        (["text/*"], Form.CSV),
        (["application/x-ndjson"], Form.NDJSON),
        (["application/json;q=0.5, text/csv"], Form.CSV),
        (["application/json;q=0.5", "application/x-ndjson;q=0.6"], Form.NDJSON),
        (["*/*, application/json;q=0"], Form.CSV),
        (["application/*;q=0.9, text/csv;q=0.8"], Form.JSON),
    ],
)
def test_form_is_the_one_that_is_liked_best(accept: list[str], form: Form) -> None:
    assert wanted_form(accept) is form


@pytest.mark.parametrize(
    "accept",
    ["text/html", "application/json;q=0", "json", "'; drop table users --", "*/json", "text/csv2"],
)
def test_form_that_is_not_ours_is_refused_with_those_that_are(accept: str) -> None:
    with pytest.raises(ApiError) as caught:
        wanted_form([accept])
    assert caught.value.problem.status == 406
    assert all(form in caught.value.problem.detail for form in Form)


@given(st.text(max_size=200))
def test_any_accept_is_answered_or_refused(accept: str) -> None:
    with suppress(ApiError):
        assert wanted_form([accept]) in Form


@given(st.lists(TEXTS | st.none(), min_size=1))
def test_csv_is_read_back_with_every_formula_defused(cells: list[str | None]) -> None:
    line = csv_line([NAME] * len(cells), cells)
    (row,) = csv.reader(io.StringIO(line, newline=""), strict=True)
    assert row == ["" if cell is None else defused(cell) for cell in cells]
    assert not [cell for cell in row if cell.startswith(FORMULAS)]


@given(TEXTS)
def test_defusing_changes_only_what_begins_like_a_formula(text: str) -> None:
    safe = defused(text)
    assert safe in {text, f"'{text}"}
    assert defused(safe) == safe


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])  # noqa: RUF001
def test_formula_is_defused_and_quoted(formula: str) -> None:
    assert csv_line([NAME], [formula]) == f'"\'{formula}"\r\n'


def test_number_stays_a_number() -> None:
    assert csv_line([NUMBER, NAME], ["-5.10", "-5.10"]) == '-5.10,"\'-5.10"\r\n'


def test_null_is_told_from_an_empty_text() -> None:
    assert csv_line([NAME, NAME, NUMBER], [None, "", None]) == ',"",\r\n'


def test_row_of_one_null_is_no_empty_line() -> None:
    assert csv_line([NAME], [None]) == '""\r\n'


def test_what_might_separate_cells_somewhere_is_quoted() -> None:
    assert csv_line([NAME], ["a;=1+1"]) == '"a;=1+1"\r\n'


def test_head_is_the_names() -> None:
    assert csv_head([NAME, NUMBER]) == "name,number\r\n"

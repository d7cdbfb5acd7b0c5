"""Formats of dates and times in contracts: each makes a value of its type, or is refused."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace_shared.contract import Column
from headrace_shared.date_formats import refuse_bad_format

CODES = st.lists(st.sampled_from("YymbBdjHIpMSfzZaxXcUGVu"), min_size=1, max_size=6, unique=True)
KINDS = ("date", "timestamp without time zone", "time without time zone")


@given(codes=CODES, kind=st.sampled_from(KINDS))
@example(codes=["Y", "G"], kind="date")
@example(codes=["y", "m", "G", "u"], kind="date")
def test_format_that_is_taken_keeps_what_its_type_needs(codes: list[str], kind: str) -> None:
    form = " ".join(f"%{code}" for code in codes)
    try:
        refuse_bad_format(form, kind)
    except ValueError:
        return
    moment = dt.datetime(2008, 2, 29, 22, 0, tzinfo=dt.UTC)
    read = dt.datetime.strptime(moment.strftime(form), form)  # noqa: DTZ007
    if not kind.startswith("time "):
        assert read.date() == moment.date()
    if kind.startswith("time ") or any(code in codes for code in "HIXcMSf"):
        assert read.hour == moment.hour


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("date", "%d.%m.%Y"),
        ("date", "%Y%j"),
        ("date", "%G-W%V-%u"),
        ("date", "%m/%d/%Y %I:%M %p"),
        ("timestamp", "%Y-%m-%d"),
        ("timestamptz", "%d/%b/%Y:%H:%M:%S %z"),
        ("time", "%H%M"),
    ],
)
def test_sound_format_is_taken(kind: str, form: str) -> None:
    assert Column(name="a", type=kind, formats=(form,)).formats == (form,)

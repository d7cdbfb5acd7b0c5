"""Which texts of dates and times go to Postgres as they are."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.plain_dates import have_clear_dates
from headrace_loader.sifting.date_columns import columns_of_times, unclear
from headrace_loader.sifting.date_texts import CLEAR_TEXTS, text_check
from headrace_loader.sifting.structure import RecordScanner
from headrace_shared.contract import Column
from headrace_shared.file_formats import CsvFormat

KINDS = ("date", "time", "timestamp", "timestamptz")
LIKE_ISO = st.one_of(
    st.datetimes().map(str),
    st.datetimes(timezones=st.just(dt.UTC)).map(lambda one: one.isoformat()),
    st.dates().map(str),
    st.times().map(str),
)
ODD = st.text(st.sampled_from("0129-:./ TZ+now"), max_size=26)


def spoiled(text: str, place: int, other: str) -> str:
    place %= len(text) + 1
    return text[:place] + other + text[place + 1 :]


TEXTS = st.one_of(
    LIKE_ISO, ODD, st.builds(spoiled, LIKE_ISO, st.integers(0, 30), st.sampled_from("0:-+Zx ,/."))
)


@given(
    texts=st.lists(TEXTS, min_size=1, max_size=30),
    quoted=st.booleans(),
    kind=st.sampled_from(KINDS),
)
def test_what_is_clear_at_a_glance_has_no_fault(texts: list[str], quoted: bool, kind: str) -> None:
    columns = [Column(name="v", type=kind), Column(name="w", type=kind)]
    dialect = CsvFormat(header=False, null="-")
    texts = [text for text in texts if "," not in text]
    mark = '"' if quoted else ""
    body = "".join(f"{mark}{text}{mark},-\n" for text in texts).encode()
    check = text_check(columns[0])
    assert check is not None
    # What Postgres refuses by itself may stay for it.
    faulty = {text for text in texts if (fault := check(text)) and fault.code != "type"}
    scanner = RecordScanner(dialect, 2, 10_000)
    for records in [*scanner.feed(body), *scanner.finish()]:
        rows = np.arange(len(records))
        for place, column_type in columns_of_times(columns).items():
            found = unclear(records, rows, place, column_type, dialect).tolist()
            clear = {text for row, text in enumerate(texts) if row not in found}
            assert not (clear & faulty if place == 0 else found)
    assert not any(CLEAR_TEXTS[columns[0].type].fullmatch(text.encode()) for text in faulty)


@given(st.lists(st.datetimes(), min_size=1))
def test_iso_is_clear_at_a_glance(moments: list[dt.datetime]) -> None:
    columns = [Column(name=f"c{n}", type=kind) for n, kind in enumerate(KINDS)]
    body = "".join(
        f"{one.date()},{one.time()},{one},{one.isoformat()}+02:00\n" for one in moments
    ).encode()
    assert have_clear_dates(body, columns, CsvFormat())
    assert not have_clear_dates(body + b"today,,,\n", columns, CsvFormat())


@pytest.mark.parametrize("length", [1_000, 100_000])
@pytest.mark.parametrize("part", ["1", " ", "a", "1-", "a+", "12:34 a", "jan "])
def test_long_text_is_judged_at_once(length: int, part: str) -> None:
    check = text_check(Column(name="v", type="timestamptz"))
    assert check is not None
    fault = check(part * length)
    assert fault is not None
    assert len(fault.reason) < 300

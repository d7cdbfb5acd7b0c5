"""Records of CSV files: found wherever blocks are cut, each at its place, and no byte is lost."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.sifting import structure
from headrace_loader.sifting.csv_batches import CsvBatch, CsvBatcher
from headrace_loader.sifting.rewriting import Layout
from headrace_shared.contract import Column
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import CsvFormat

ONE, TWO = Column(name="a", type="text"), Column(name="b", type="text")
PLAIN = CsvFormat()
MOST = 10_000


@pytest.fixture(autouse=True, scope="module")
def _scans_little_at_a_time() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structure, "SCAN_BYTES", 8)
        yield


def batches(
    blocks: Sequence[bytes], columns: tuple[Column, ...], dialect: CsvFormat = PLAIN
) -> list[CsvBatch]:
    names = tuple(column.name for column in columns) if dialect.header else None
    layout = Layout(dialect, columns, leading=int(names is not None), header=names)
    batcher = CsvBatcher(layout, most_bytes=MOST)
    found = [batch for block in blocks for batch in batcher.feed(block)]
    return [*found, *batcher.finish()]


def cut(content: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[start:end] for start, end in pairwise(edges)]


def sent(found: list[CsvBatch]) -> list[tuple[int, int | None, int | None, list[str | None]]]:
    return [
        (record.number, record.line, record.byte_offset, list(fields))
        for batch in found
        for record, fields in map(batch.sent, range(batch.rows))
    ]


def bad(found: list[CsvBatch]) -> list[tuple[int, int | None, str]]:
    return [
        (one.record.number, one.record.line, fault.code)
        for batch in found
        for one in batch.bad
        for fault in one.faults
    ]


values = st.text(st.sampled_from("ab ,\"\n\r'\\é"), max_size=6)


@given(
    rows=st.lists(st.tuples(values, values), min_size=1, max_size=8),
    line_end=st.sampled_from(["\n", "\r\n"]),
    places=st.lists(st.integers(0, 10_000), max_size=6),
)
def test_good_records_are_found_wherever_blocks_are_cut(
    rows: list[tuple[str, str]], line_end: str, places: list[int]
) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator=line_end).writerows(
        [("a", "b"), *rows]
    )
    content = written.getvalue().encode()
    found = batches(cut(content, places), (ONE, TWO))
    assert bad(found) == []
    told = sent(found)
    assert [[text or "" for text in fields] for *_, fields in told] == [list(row) for row in rows]
    assert [number for number, *_ in told] == list(range(1, len(rows) + 1))
    for (_, line, offset, _), row in zip(told, rows, strict=True):
        assert offset is not None
        before = content[:offset].decode()
        assert line == 1 + len(before.replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1
        assert content[offset:].startswith(b'"' + row[0].replace('"', '""').encode() + b'"')


@given(content=st.binary(max_size=200), places=st.lists(st.integers(0, 200), max_size=4))
def test_any_bytes_are_cut_alike_and_none_is_lost(content: bytes, places: list[int]) -> None:
    whole, parts = batches([content], (ONE, TWO)), batches(cut(content, places), (ONE, TWO))
    assert sent(whole) == sent(parts)
    assert bad(whole) == bad(parts)
    kept = b"".join(batch.payload for batch in parts)
    assert kept.count(b"\n") == sum(batch.lines for batch in parts)


@given(
    text=st.text(st.sampled_from('a,"\\\n'), max_size=40),
    dialect=st.sampled_from(
        [PLAIN, CsvFormat(escape="\\"), CsvFormat(quote="'"), CsvFormat(comment="a")]
    ),
)
def test_rows_sent_are_rows_that_copy_takes(text: str, dialect: CsvFormat) -> None:
    """What is sent has the right width by the reader that COPY's rules were written after."""
    for batch in batches([text.encode()], (ONE, TWO), dialect.model_copy(update={"header": False})):
        width = batch.payload.count(b"\n")
        assert width >= batch.rows
        for line in batch.payload.split(b"\n")[:-1] if dialect == PLAIN else []:
            assert line.count(b'"') % 2 == 0 or batch.rows < width


def test_quote_that_is_never_closed_costs_its_own_line() -> None:
    found = batches([b'a,b\n1,x\n2,"y\n3,z\n4,w\n'], (ONE, TWO))
    assert bad(found) == [(2, 3, "bad_quoting")]
    assert [fields for *_, fields in sent(found)] == [["1", "x"], ["3", "z"], ["4", "w"]]


def test_quote_that_is_not_closed_within_the_limit_costs_its_own_line() -> None:
    rows = b"".join(b"%d,x\n" % number for number in range(5_000))
    found = batches([b'a,b\n1,"y\n' + rows], (ONE, TWO))
    assert bad(found) == [(1, 2, "bad_quoting")]
    assert sum(batch.rows for batch in found) == 5_000


def test_escape_of_another_kind() -> None:
    dialect = CsvFormat(escape="\\", header=False)
    found = batches([b'"a\\"b,\\\\",c\n"x","y"\n\\,z\n'], (ONE, TWO), dialect)
    assert bad(found) == []
    assert [batch.rows for batch in found if batch.rows] != []
    assert sum(batch.rows for batch in found) == 3


@pytest.mark.parametrize("content", [b"x" * (MOST + 1), b"a,b\n" + b"x" * (MOST + 1) + b"\n1,2\n"])
def test_line_longer_than_the_limit_ends_the_reading(content: bytes) -> None:
    with pytest.raises(PermanentError) as raised:
        batches(cut(content, [1_000, 5_000]), (ONE, TWO))
    assert raised.value.reason.code == "line_too_long"


def test_null_where_none_may_be_is_told_with_its_column() -> None:
    strict = Column(name="b", type="text", nullable=False)
    found = batches([b'a,b\n1,\n2,""\n,x\n3,NULL\n'], (ONE, strict))
    assert bad(found) == [(1, 2, "null")]
    found = batches([b"a,b\n1,NULL\n2,\n"], (ONE, strict), CsvFormat(null="NULL"))
    assert bad(found) == [(1, 2, "null")]


def test_empty_lines_are_no_rows() -> None:
    assert [fields for *_, fields in sent(batches([b"a,b\n\n1,2\n\n"], (ONE, TWO)))] == [["1", "2"]]
    read: list[Any] = [fields for *_, fields in sent(batches([b'a\n\n1\n""\n\n'], (ONE,)))]
    assert read == [["1"], [""]]


def test_header_comes_after_comments_longer_than_a_block() -> None:
    comments = b"# one comment, longer than a block\n# and another one\n"
    found = batches([comments, b"a,b\n1,x\n"], (ONE, TWO), CsvFormat(comment="#"))
    assert len(found) > 1
    assert sent(found) == [(1, 4, len(comments) + 4, ["1", "x"])]


def test_value_as_long_as_the_null_text_is_a_value() -> None:
    strict = Column(name="b", type="text", nullable=False)
    found = batches([b"a,b\n1,ABCD\n2,NULL\n"], (ONE, strict), CsvFormat(null="NULL"))
    assert [fields for *_, fields in sent(found)] == [["1", "ABCD"]]
    assert bad(found) == [(2, 3, "null")]


def test_nul_byte_costs_its_own_row_and_is_named_with_its_place() -> None:
    found = batches([b"a,b\n1,x\n2,y\0\0z\n3,\0\n4,w\n"], (ONE, TWO))
    assert bad(found) == [(2, 3, "bad_encoding"), (3, 4, "bad_encoding")]
    faults = [fault.reason for batch in found for one in batch.bad for fault in one.faults]
    assert ["byte position 11" in faults[0], "byte position 17" in faults[1]] == [True, True]
    assert [fields for *_, fields in sent(found)] == [["1", "x"], ["4", "w"]]


def test_nul_byte_in_a_comment_costs_nothing() -> None:
    found = batches([b"#\0\na,b\n1,x\n"], (ONE, TWO), CsvFormat(comment="#"))
    assert (bad(found), len(sent(found))) == ([], 1)


def test_quote_not_closed_in_a_comment_costs_no_row() -> None:
    found = batches([b'a,b\n1,x\n# 2" pipe\n2,y\n3,"z"\n'], (ONE, TWO), CsvFormat(comment="#"))
    assert bad(found) == []
    assert [fields for *_, fields in sent(found)] == [["1", "x"], ["2", "y"], ["3", "z"]]


def test_records_come_out_as_soon_as_a_block_is_there() -> None:
    batcher = CsvBatcher(Layout(PLAIN, (ONE, TWO), leading=1), most_bytes=MOST)
    rows = [batcher.feed(b"%d,x\n" % number) for number in range(1_000)]
    waiting = 0
    for found in rows:
        waiting = 0 if found else waiting + 1
        assert waiting * len(b"999,x\n") <= 4 * structure.SCAN_BYTES


def test_delimiter_at_the_end_of_a_line_is_no_field_where_the_contract_says_so() -> None:
    dialect = CsvFormat(trailing_delimiter=True)
    found = batches([b'a,b,\r\n1,2,\r\n"x,",,\r\n3,4\r\n5,6,7\r\n\xff,8,\r\n'], (ONE, TWO), dialect)
    assert [fields for *_, fields in sent(found)] == [["1", "2"], ["x,", None], ["3", "4"]]
    assert bad(found) == [(4, 5, "too_many_fields"), (5, 6, "bad_encoding")]
    offsets = [one.record.byte_offset for batch in found for one in batch.bad]
    assert offsets == [25, 32]


def test_lone_delimiter_of_one_column_is_not_lost() -> None:
    found = batches([b"a,\n1,\n,\n2\n"], (ONE,), CsvFormat(trailing_delimiter=True))
    assert [fields for *_, fields in sent(found)] == [["1"], ["2"]]
    assert bad(found) == [(2, 3, "too_many_fields")]


def test_reason_of_too_many_fields_names_a_quote_after_a_blank() -> None:
    found = batches([b'a,b\n1, "x",y\n'], (ONE, TWO))
    (fault,) = [fault for batch in found for one in batch.bad for fault in one.faults]
    assert fault.code == "too_many_fields"
    assert "a quote after a blank opens no field" in fault.reason

"""The pure parts of the diagnosis: line numbers, bad bytes, and what is told of them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.diagnosis import MOST_BAD_ROWS, RecordReader, invalid_byte, merged
from headrace_loader.sqlstate import MAX_VALUE_CHARACTERS, shortened
from headrace_shared.contract import CsvFormat
from headrace_shared.reasons import BadRow


async def stream(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


def records(content: bytes, *, skip_header: bool = True) -> list[tuple[int, int, list[str]]]:
    reader = RecordReader(CsvFormat(), skip_header=skip_header)
    found = reader.records(io.BytesIO(content))  # type: ignore[arg-type]
    return [(one.first_line, one.last_line, list(one.fields)) for one in found]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_records_know_the_physical_lines_that_they_span(line_end: bytes) -> None:
    content = line_end.join([b"a,b", b'1,"x', b"y", b'z"', b"2,w", b'"3', b'",v'])
    assert [(first, last) for first, last, _ in records(content)] == [(2, 4), (5, 5), (6, 7)]


def test_header_that_spans_lines_is_left_out_whole() -> None:
    assert records(b'"a\nb",c\n1,2\n') == [(3, 3, ["1", "2"])]


def test_file_without_header_begins_at_line_1() -> None:
    assert records(b"1,2\n", skip_header=False) == [(1, 1, ["1", "2"])]


def test_empty_line_is_a_record_of_one_empty_field() -> None:
    assert records(b"a\n1\n\n2\n") == [(2, 2, ["1"]), (3, 3, [""]), (4, 4, ["2"])]


def test_quote_that_is_never_closed_stops_the_reader_with_its_line() -> None:
    reader = RecordReader(CsvFormat(), skip_header=True)
    content = b'a,b\n1,2\n"' + b"3,4\n" * 400_000
    assert len(list(reader.records(io.BytesIO(content)))) == 1  # type: ignore[arg-type]
    assert reader.stopped_by is not None
    assert reader.stopped_by.line == 3


def test_line_without_end_stops_the_reader() -> None:
    reader = RecordReader(CsvFormat(), skip_header=True)
    list(reader.records(io.BytesIO(b"a\n" + b"x" * 1_500_000)))  # type: ignore[arg-type]
    assert reader.stopped_by is not None
    assert reader.stopped_by.line == 2


@pytest.mark.parametrize(
    ("content", "line", "position", "byte"),
    [
        (b"a\nna\xefve\n", 2, 4, "0xef"),
        ("é\n日".encode() + b"\xff", 2, 6, "0xff"),
        (b"a\nb\n\0", 3, 4, "0x00"),
        (b"a\0\xff", 1, 1, "0x00"),
        (b"a\xff\0", 1, 1, "0xff"),
        (b"a\n\xe2\x82", 2, 2, "0xe2"),
        (b"\xe2\0", 1, 0, "0xe2"),
        (b"\xf0\x9f\x98a", 1, 0, "0xf0"),
    ],
)
async def test_first_bad_byte_is_placed_wherever_the_blocks_are_cut(
    content: bytes, line: int, position: int, byte: str
) -> None:
    cuts = [(content[:cut], content[cut:]) for cut in range(len(content) + 1)]
    for blocks in [*cuts, tuple(bytes([one]) for one in content)]:
        bad = await invalid_byte(stream(*blocks))
        assert bad is not None
        assert (bad.line, bad.value) == (line, byte)
        assert f"byte position {position} " in bad.reason


@given(st.binary(max_size=60), st.integers(0, 60))
def test_bad_byte_is_found_just_where_python_finds_it(content: bytes, cut: int) -> None:
    bad = asyncio.run(invalid_byte(stream(content[:cut], content[cut:])))
    places = [content.index(b"\0")] if b"\0" in content else []
    try:
        content.decode()
    except UnicodeDecodeError as error:
        places.append(error.start)
    if not places:
        assert bad is None
    else:
        assert bad is not None
        assert f"byte position {min(places)} " in bad.reason
        assert bad.line == 1 + content.count(b"\n", 0, min(places))


def row(line: int, reason: str = "found") -> BadRow:
    return BadRow(line=line, reason=reason)


def test_what_copy_said_stands_among_the_others_in_the_files_order() -> None:
    rows = merged(row(5, "copy"), [(3, row(3)), (9, row(8))])
    assert [(one.line, one.reason) for one in rows] == [(3, "found"), (5, "copy"), (8, "found")]


def test_record_that_both_readers_found_is_told_once() -> None:
    # COPY names the record's last line (4), the second pass its first (2).
    assert merged(row(4, "copy"), [(4, row(2))]) == (row(2),)


def test_no_more_than_ten_rows_are_told() -> None:
    assert len(merged(row(1), [(line, row(line)) for line in range(2, 30)])) == MOST_BAD_ROWS


@given(st.text(max_size=400))
def test_value_is_cut_and_holds_no_nul(value: str) -> None:
    told = shortened(value)
    assert "\0" not in told
    assert len(told) <= MAX_VALUE_CHARACTERS + len("...")
    if "\0" not in value and len(value) <= MAX_VALUE_CHARACTERS:
        assert told == value

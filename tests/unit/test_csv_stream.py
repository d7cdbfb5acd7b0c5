"""A CSV file as it streams by, however it is cut into blocks and packed."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace_loader.csv_stream import (
    MAX_HEADER_BYTES,
    open_csv,
    parse_record,
    unpacked,
    without_end_marker,
    without_mark,
)
from headrace_shared.contract import CsvFormat
from headrace_shared.errors import PermanentError

PLAIN = CsvFormat()
MARK = b"\xef\xbb\xbf"
HEADERS = [
    pytest.param(b"a,b", ("a", "b"), id="plain"),
    pytest.param(b'"a","b"', ("a", "b"), id="quoted"),
    pytest.param(b'"a\nb",c', ("a\nb", "c"), id="line end in quotes"),
    pytest.param(b'"a\r\nb","c""d"', ("a\r\nb", 'c"d'), id="CRLF and quote in quotes"),
    pytest.param("é,日本".encode(), ("é", "日本"), id="unicode"),
    pytest.param(b"a,", ("a", ""), id="empty last name"),
]


async def stream(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


async def drained(blocks: AsyncIterator[bytes]) -> bytes:
    return b"".join([block async for block in blocks])


async def opened(
    blocks: Iterable[bytes], file: str = "a.csv", dialect: CsvFormat = PLAIN
) -> tuple[tuple[str, ...] | None, bytes]:
    csv = await open_csv(stream(*blocks), file, dialect)
    return csv.header, await drained(csv.blocks)


async def refusal(
    blocks: Iterable[bytes], file: str = "a.csv", dialect: CsvFormat = PLAIN
) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        await opened(blocks, file, dialect)
    return raised.value


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", MARK])
@pytest.mark.parametrize(("header", "names"), HEADERS)
async def test_header_is_read_wherever_the_blocks_are_cut(
    header: bytes, names: tuple[str, ...], mark: bytes, line_end: bytes
) -> None:
    content = header + line_end + b"1,2" + line_end
    file = mark + content
    for cut in range(len(file) + 1):
        blocks = [block for block in (file[:cut], file[cut:]) if block]
        assert await opened(blocks) == (names, content)
    assert await opened([bytes([byte]) for byte in file]) == (names, content)


@pytest.mark.parametrize(("header", "names"), HEADERS)
async def test_header_without_a_line_end_is_the_whole_file(
    header: bytes, names: tuple[str, ...]
) -> None:
    assert await opened([header]) == (names, header)


async def test_escaped_quote_does_not_end_a_quoted_name() -> None:
    dialect = CsvFormat(escape="\\")
    file = b'"a\\"\nb",c\n1,2\n'
    for cut in range(1, len(file)):
        assert await opened([file[:cut], file[cut:]], dialect=dialect) == (('a"\nb', "c"), file)


async def test_file_without_header_passes_untouched() -> None:
    dialect = CsvFormat(header=False)
    assert await opened([MARK + b"1,2\n", b"3,4"], dialect=dialect) == (None, b"1,2\n3,4")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file_empty"),
        (MARK, "file_empty"),
        (b"  ", "file_empty"),
        (b"\n1,2\n", "header_unreadable"),
        (b"\r\n1,2\r\n", "header_unreadable"),
        (b"na\xefve,b\n", "encoding_invalid"),
        (b"\xff\xfea\0,\0b\0\n\0", "encoding_invalid"),
        (b"\xfe\xff\0a\0\n", "encoding_invalid"),
    ],
)
async def test_unreadable_header_is_refused(content: bytes, code: str) -> None:
    blocks = [content[:1], content[1:]] if content.strip() else [content]
    assert (await refusal(blocks)).reason.code == code


async def test_refusal_of_latin_1_names_the_byte_position() -> None:
    reason = (await refusal([b"id,na\xefve\n1,2\n"])).reason
    assert "0xef at byte position 5" in reason.message


async def test_header_longer_than_the_limit_is_refused() -> None:
    block = b"a" * (256 * 1024)
    reason = (await refusal([block] * (MAX_HEADER_BYTES // len(block) + 1))).reason
    assert reason.code == "header_unreadable"
    assert f"{MAX_HEADER_BYTES:,}" in reason.message


async def test_quote_never_closed_before_many_short_lines_is_refused_in_one_pass() -> None:
    # Counting quotes anew at each of half a million line ends would hold the loop for minutes.
    block = b"\n" * (256 * 1024)
    error = await refusal([b'"', *[block] * 5])
    assert error.reason.code == "header_unreadable"


def test_a_name_longer_than_python_reads_is_refused() -> None:
    with pytest.raises(PermanentError, match="header_unreadable"):
        parse_record(b"a" * 2_000_000, PLAIN)


@settings(deadline=None)
@given(
    content=st.binary(max_size=200),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    members=st.integers(1, 3),
)
@example(content=b"", cuts=[], members=1)
def test_gzip_of_any_members_cut_anywhere_gives_the_content(
    content: bytes, cuts: list[int], members: int
) -> None:
    packed = gzip.compress(content) * members
    places = sorted({0, len(packed), *(cut for cut in cuts if cut < len(packed))})
    blocks = [packed[start:end] for start, end in pairwise(places)]
    assert asyncio.run(drained(unpacked(stream(*blocks), "A.CSV.GZ"))) == content * members


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("megabytes", [1, 2])
async def test_gzip_that_unpacks_to_whole_megabytes_is_complete(megabytes: int, extra: int) -> None:
    content = b"a" * (megabytes * 1_048_576 + extra)
    assert await drained(unpacked(stream(gzip.compress(content)), "a.csv.gz")) == content


async def test_gzip_unpacks_in_blocks_of_bounded_size() -> None:
    packed = gzip.compress(bytes(5_000_000))
    sizes = [len(block) async for block in unpacked(stream(packed), "a.csv.gz")]
    assert sum(sizes) == 5_000_000
    assert max(sizes) <= 1_048_576


async def test_gzip_cut_off_anywhere_is_told() -> None:
    packed = gzip.compress(b"a,b\n1,2\n")
    for length in range(len(packed)):
        error = await refusal([packed[:length]] if length else [], "a.csv.gz")
        assert error.reason.code == "file_truncated"


async def test_gzip_whose_second_member_is_cut_off_is_told() -> None:
    packed = gzip.compress(b"a,b\n") + gzip.compress(b"1,2\n")[:-4]
    assert (await refusal([packed], "a.csv.gz")).reason.code == "file_truncated"


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", gzip.compress(b"a,b\n", mtime=0) + b"trailing"])
async def test_what_is_not_gzip_is_told(content: bytes) -> None:
    assert (await refusal([content], "a.csv.gz")).reason.code == "file_not_gzip"


async def test_gzip_damaged_inside_is_told() -> None:
    packed = bytearray(gzip.compress(b"a,b\n1,2\n"))
    packed[-6] ^= 0xFF
    assert (await refusal([bytes(packed)], "a.csv.gz")).reason.code == "file_not_gzip"


async def test_mark_inside_the_gzip_is_taken_off() -> None:
    packed = gzip.compress(MARK + b"a\n1\n")
    assert await opened([packed], "a.csv.gz") == (("a",), b"a\n1\n")


@given(content=st.binary(max_size=8), cut=st.integers(0, 8))
def test_only_the_first_mark_is_taken_off(content: bytes, cut: int) -> None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff", MARK)):
        return
    file = MARK + content
    blocks = [block for block in (file[:cut], file[cut:]) if block]
    assert asyncio.run(drained(without_mark(stream(*blocks)))) == content


@pytest.mark.parametrize("content", [b"a\n\\.\n1\n", b"a\r\n\\.\r\n", b"a\n\\.", b"\\.\n"])
async def test_line_that_older_servers_take_for_the_end_is_refused(content: bytes) -> None:
    for cut in range(len(content)):
        with pytest.raises(PermanentError) as refused:
            await drained(without_end_marker(stream(content[:cut], content[cut:])))
        assert refused.value.reason.code == "end_marker"


@pytest.mark.parametrize("content", [b"a\n\\.,1\n", b"a\n1,\\.\n", b"a\n\\.."])
async def test_other_backslashes_pass_untouched(content: bytes) -> None:
    for cut in range(len(content)):
        assert await drained(without_end_marker(stream(content[:cut], content[cut:]))) == content

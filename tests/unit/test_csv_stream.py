"""A CSV file as it streams by, however it is cut into blocks and packed."""

from __future__ import annotations

import asyncio
import codecs
import gzip
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.csv_stream import (
    MAX_HEADER_BYTES,
    open_csv,
    refuse_end_marker,
    without_end_marker,
)
from headrace_loader.text_decoding import decoded
from headrace_loader.unpacking import DEFAULT_LIMITS, unpacked
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import CsvFormat

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


async def in_utf8(blocks: AsyncIterator[bytes], encoding: str) -> bytes:
    return await drained((await decoded(blocks, encoding)).blocks)


async def opened(
    blocks: Iterable[bytes], file: str = "a.csv", dialect: CsvFormat = PLAIN
) -> tuple[tuple[str, ...] | None, bytes]:
    csv = await open_csv(unpacked(stream(*blocks), file, DEFAULT_LIMITS), dialect)
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
        (b"\n\n", "file_empty"),
        (b'"a"b,c\n1,2\n', "header_unreadable"),
        (b'"a,b', "header_unreadable"),
        (b"na\xefve,b\n", "encoding_invalid"),
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


async def test_mark_inside_the_gzip_is_taken_off() -> None:
    packed = gzip.compress(MARK + b"a\n1\n")
    assert await opened([packed], "a.csv.gz") == (("a",), b"a\n1\n")


@given(content=st.binary(max_size=8), cut=st.integers(0, 8))
def test_only_the_first_mark_is_taken_off(content: bytes, cut: int) -> None:
    file = MARK + content
    blocks = [block for block in (file[:cut], file[cut:]) if block]
    assert asyncio.run(in_utf8(stream(*blocks), "utf-8")) == content


TEXT = "name,city\nJürgen,Köln €\n"
ENCODED = {
    "utf-8": [TEXT.encode(), MARK + TEXT.encode()],
    "utf-16": [TEXT.encode("utf-16"), codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be")],
    "cp1252": [TEXT.encode("cp1252"), MARK + TEXT.encode()],
    "latin-1": [TEXT.replace("€", "").encode("latin-1"), TEXT.encode("utf-16")],
}


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
async def test_every_encoding_cut_anywhere_becomes_utf8(encoding: str, size: int) -> None:
    for content in ENCODED[encoding]:
        blocks = [content[at : at + size] for at in range(0, len(content), size)]
        text = (await in_utf8(stream(*blocks), encoding)).decode()
        assert text in (TEXT, TEXT.replace("€", ""))


async def test_mark_of_utf16_is_believed_where_the_contract_says_nothing() -> None:
    assert await opened([TEXT.encode("utf-16")]) == (("name", "city"), TEXT.encode())


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


@pytest.mark.parametrize("lines", [b"\\.\n", b"1,a\n\\.\n2,b\n", b'"a\n\\.\nb"\n'])
def test_end_marker_in_whole_lines_is_refused(lines: bytes) -> None:
    with pytest.raises(PermanentError) as raised:
        refuse_end_marker(lines)
    assert raised.value.reason.code == "end_marker"


@pytest.mark.parametrize("lines", [b"", b"\\.,1\n", b"1,\\.\n", b"\\..\n"])
def test_what_only_looks_like_an_end_marker_is_not(lines: bytes) -> None:
    refuse_end_marker(lines)


@pytest.mark.parametrize("before", [b"\n", b"\r\n\r\n", b"sep=,\r\n", b"SEP=,\n\n"])
async def test_empty_lines_and_a_line_that_names_the_delimiter_come_before_the_header(
    before: bytes,
) -> None:
    file = before + b"a,b\n1,2\n"
    for cut in range(1, len(file)):
        assert await opened([file[:cut], file[cut:]]) == (("a", "b"), file)


async def test_line_that_names_another_delimiter_is_refused_with_both() -> None:
    error = await refusal([b"sep=;\n", b"a;b\n"])
    assert error.reason.code == "delimiter_mismatch"
    assert "';'" in error.reason.message
    assert "','" in error.reason.message


async def test_header_may_have_one_delimiter_more_where_the_contract_says_so() -> None:
    dialect = CsvFormat(trailing_delimiter=True)
    assert (await opened([b"a,b,\n1,2\n"], dialect=dialect))[0] == ("a", "b")
    assert (await opened([b"a,b\n1,2,\n"], dialect=dialect))[0] == ("a", "b")
    assert (await opened([b"a,b,,\n"], dialect=dialect))[0] == ("a", "b", "")

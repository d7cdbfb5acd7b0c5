"""Lines that are the header again, found in bytes wherever they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.csv_fields import QuotingError, fields_of, quoted, record_of
from headrace_loader.header_lines import HeaderLines
from headrace_loader.plain_look import NotPlainError, PlainLook
from headrace_shared.file_formats import CsvFormat

PLAIN = CsvFormat()
names = st.lists(st.text(st.sampled_from("abé ,\"'"), max_size=4), min_size=1, max_size=3)


def looks_plain(content: bytes, cut: int, *header: str) -> bool:
    look = PlainLook(PLAIN, header, has_empty_lines=len(header) == 1)
    try:
        for start, end in pairwise((0, cut, len(content))):
            look.see(content[start:end])
        look.finish()
    except NotPlainError:
        return False
    return True


@given(header=names, form=st.lists(st.booleans(), min_size=3, max_size=3), others=st.lists(names))
def test_header_again_is_found_however_it_is_quoted(
    header: list[str], form: list[bool], others: list[list[str]]
) -> None:
    again = ",".join(
        quoted(name, PLAIN) if is_quoted else record_of([name], PLAIN)
        for name, is_quoted in zip(header, form, strict=False)
    )
    lines = [*(record_of(other, PLAIN) for other in others), again]
    data = ("\n" + "\n".join(lines) + "\n").encode()
    place = len(data) - len(again.encode()) - 1
    assert place in HeaderLines(header, PLAIN).places(data)


@given(header=names, line=st.text(st.sampled_from("abé ,\"'"), max_size=8))
def test_only_lines_with_the_fields_of_the_header_are_found(header: list[str], line: str) -> None:
    try:
        fields = fields_of(line.encode(), PLAIN)
    except QuotingError:
        fields = []
    found = HeaderLines(header, PLAIN).places(f"\n{line}\n".encode())
    assert found == ([1] if fields == header else [])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("again", ["id,t", '"id",t', '"id","t"', "\ufeffid,t", '\ufeff"id",t'])
def test_header_again_is_found_wherever_blocks_are_cut(end: str, again: str) -> None:
    lines = ["id,t", "1,a", again, "2,b"]
    for content in (end.join([*lines, ""]).encode(), end.join(lines[:3]).encode()):
        assert not any(looks_plain(content, cut, "id", "t") for cut in range(len(content) + 1))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("body", ["1{0}{0}2{0}", "{0}1{0}", "1{0}{0}"])
def test_empty_line_of_one_column_is_found_wherever_blocks_are_cut(end: str, body: str) -> None:
    content = f"t{end}{body.format(end)}".encode()
    assert not any(looks_plain(content, cut, "t") for cut in range(len(content) + 1))


@pytest.mark.parametrize("body", [b"1\n2\n", b"1\r\n2\r\n", b"1\r2", b'""\n1\n', b"tt\n t\n"])
def test_file_without_either_is_plain(body: bytes) -> None:
    end = b"\r\n" if b"\r\n" in body else b"\r" if b"\r" in body else b"\n"
    content = b"t" + end + body
    assert all(looks_plain(content, cut, "t") for cut in range(len(content) + 1))


def test_header_of_the_contract_may_be_a_row() -> None:
    look = PlainLook(CsvFormat(repeated_header="accept"), ("t",), has_empty_lines=False)
    look.see(b"t\nt\n")
    look.finish()

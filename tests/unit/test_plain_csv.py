"""Files that may share a COPY: only those where a line is surely a row."""

from __future__ import annotations

import csv
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.plain_csv import plain_file
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import CsvFormat

DROP_ID = UUID("6b003640-0000-8000-8000-03b2c64d5e5b")
COMMA = CsvFormat()


def test_each_row_is_told_its_drop() -> None:
    file = plain_file(b"a,b\n1,2\n3,4", COMMA)
    assert file is not None
    assert file.header == ("a", "b")
    assert file.rows == 2
    assert file.tagged(DROP_ID, COMMA) == f"1,2,{DROP_ID}\n3,4,{DROP_ID}\n".encode()


def test_line_ends_and_mark_of_windows_are_plain() -> None:
    file = plain_file(b"\xef\xbb\xbfa,b\r\n1,2\r\n", COMMA)
    assert file is not None
    assert (file.header, file.body) == (("a", "b"), b"1,2\n")


def test_file_without_header_begins_with_its_first_row() -> None:
    file = plain_file(b"1;2\n", CsvFormat(header=False, delimiter=";"))
    assert file is not None
    assert (file.header, file.rows) == (None, 1)
    assert file.tagged(DROP_ID, CsvFormat(delimiter=";")) == f"1;2;{DROP_ID}\n".encode()


@pytest.mark.parametrize(
    "content",
    [
        b'a,b\n"1",2\n',
        b"a,b\r1,2\r",
        b"a,b\n1,\0\n",
        b"a\n\\.\n",
        b"",
        b"\n",
        "a,b\n1,2\n".encode("utf-16"),
    ],
)
def test_what_is_not_plain_takes_the_ordinary_road(content: bytes) -> None:
    assert plain_file(content, COMMA) is None


def test_header_that_is_not_utf8_is_told() -> None:
    with pytest.raises(PermanentError):
        plain_file(b"caf\xe9\n1\n", COMMA)


@given(st.lists(st.lists(st.text("ab ,é;", max_size=3), min_size=2, max_size=2), max_size=5))
def test_tagged_rows_hold_the_fields_of_the_file_and_the_drop_id(rows: list[list[str]]) -> None:
    lines = "".join(",".join(row).replace(",", ";", 0) + "\n" for row in rows)
    file = plain_file(b"x,y\n" + lines.encode(), COMMA)
    assert file is not None
    tagged = file.tagged(DROP_ID, COMMA).decode().splitlines()
    plain = list(csv.reader(lines.splitlines()))
    assert list(csv.reader(tagged)) == [[*(row or [""]), str(DROP_ID)] for row in plain]

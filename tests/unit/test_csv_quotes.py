"""Quotes of CSV files: read by one rule on the plain path, when validating, and in headers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace_loader.csv_fields import QuotingError, fields_of, record_of, value_of
from headrace_loader.plain_look import NotPlainError, PlainLook
from headrace_loader.sifting import structure
from headrace_loader.sifting.csv_batches import CsvBatch, CsvBatcher
from headrace_loader.sifting.rewriting import Layout
from headrace_shared.contract import Column
from headrace_shared.file_formats import CsvFormat

ONE, TWO = Column(name="a", type="text"), Column(name="b", type="text")
COLUMNS = (ONE, TWO)
PLAIN = CsvFormat(header=False)
DIALECTS = [
    PLAIN,
    CsvFormat(header=False, escape="\\"),
    CsvFormat(header=False, quote="'", delimiter=";"),
]


@pytest.fixture(autouse=True, scope="module")
def _scans_little_at_a_time() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structure, "SCAN_BYTES", 8)
        yield


@dataclass
class Read:
    """What a reader makes of a file: its records, as far as the first that is not sound."""

    records: list[list[str]] = field(default_factory=list)
    is_sound: bool = True
    unclear: int = 0
    """How many records are left out, for a delimiter stands between two quotes within values."""


def read_by_the_rule(text: str, dialect: CsvFormat) -> Read:
    """A reader that goes from character to character."""
    read, at = Read(), 0
    while at < len(text):
        fields: list[str] = []
        strays: list[int] = []
        while True:
            begins_quoted = text[at : at + 1] == dialect.quote
            value, at, is_sound = _field(text, at, dialect)
            if not is_sound:
                return Read(read.records, is_sound=False)
            strays += [len(fields)] * (0 if begins_quoted else value.count(dialect.quote))
            fields.append(value)
            if at < len(text) and text[at] == dialect.delimiter:
                at += 1
                continue
            break
        at += 2 if text[at : at + 2] == "\r\n" else 1
        if len(strays) % 2 == 0 and strays[::2] != strays[1::2]:
            read.unclear += 1
        elif fields != [""] or text[at - 2 : at - 1] == dialect.quote:
            read.records.append(fields)
    return read


def _field(text: str, at: int, dialect: CsvFormat) -> tuple[str, int, bool]:
    ends, value = (dialect.delimiter, "\n", "\r"), ""
    if text[at : at + 1] != dialect.quote:
        while at < len(text) and text[at] not in ends:
            value, at = value + text[at], at + 1
        return value, at, True
    at += 1
    while at < len(text):
        escapes = text[at] == dialect.escape_character
        if escapes and text[at + 1 : at + 2] in (dialect.quote, dialect.escape_character):
            value, at = value + text[at + 1], at + 2
        elif text[at] == dialect.quote:
            return value, at + 1, at + 1 == len(text) or text[at + 1] in ends
        else:
            value, at = value + text[at], at + 1
    return value, at, False


def read_as_copy_does(text: str, dialect: CsvFormat) -> list[list[str]]:
    """As CopyReadLineText and CopyReadAttributesCSV: quotes open and close wherever they stand."""
    records, fields, value, inside, at = list[list[str]](), list[str](), "", False, 0
    while at < len(text):
        one, two = text[at], text[at + 1 : at + 2]
        if inside and one == dialect.escape_character and two in (
            dialect.quote, dialect.escape_character
        ):  # fmt: skip
            value, at = value + two, at + 1
        elif one == dialect.quote:
            inside = not inside
        elif not inside and one == dialect.delimiter:
            fields, value = [*fields, value], ""
        elif not inside and one in "\r\n":
            records.append([*fields, value])
            fields, value = [], ""
            at += one + two == "\r\n"
        else:
            value += one
        at += 1
    return [*records, [*fields, value]] if fields or value else records


def batches(text: str, dialect: CsvFormat, places: Sequence[int] = ()) -> list[CsvBatch]:
    content = text.encode()
    edges = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    batcher = CsvBatcher(Layout(dialect, COLUMNS), most_bytes=10_000)
    found = [batch for start, end in pairwise(edges) for batch in batcher.feed(content[start:end])]
    return [*found, *batcher.finish()]


def sent(found: list[CsvBatch]) -> list[list[str]]:
    return [
        [text or "" for text in batch.sent(place)[1]]
        for batch in found
        for place in range(batch.rows)
    ]


def bad(found: list[CsvBatch]) -> list[tuple[int | None, str]]:
    return [
        (one.record.line, fault.code)
        for batch in found
        for one in batch.bad
        for fault in one.faults
    ]


def texts(dialect: CsvFormat) -> st.SearchStrategy[str]:
    special = dialect.quote + dialect.delimiter + dialect.escape_character
    return st.text(
        st.sampled_from(f"ab \n{special}{dialect.quote}{dialect.delimiter}"), max_size=30
    )


dialects_and_texts = st.sampled_from(DIALECTS).flatmap(
    lambda dialect: st.tuples(st.just(dialect), texts(dialect))
)


@given(case=dialects_and_texts, places=st.lists(st.integers(0, 40), max_size=3))
@example(case=(PLAIN, '5" x,p\n6" y,q\n'), places=[])
@example(case=(PLAIN, '5" x,6" y\na"b"c,d\n'), places=[])
@example(case=(PLAIN, '"a\nb",c\nd"e,"f"\n'), places=[3])
@example(case=(DIALECTS[1], '\\,z\n"a\\"b",c\\\n5" \\x,y\n'), places=[])
def test_sound_records_are_read_by_the_rule(case: tuple[CsvFormat, str], places: list[int]) -> None:
    dialect, text = case
    read = read_by_the_rule(text, dialect)
    if not read.is_sound:
        return
    found = batches(text, dialect, places)
    codes = [code for _, code in bad(found)]
    if all(len(one) == len(COLUMNS) for one in read.records):
        assert (sent(found), codes) == (read.records, ["bad_quoting"] * read.unclear)
    assert "bad_quoting" not in codes or read.unclear or "\n" in text[:-1]


@given(case=dialects_and_texts, places=st.lists(st.integers(0, 40), max_size=3))
@example(case=(PLAIN, '1,5" x\n"a"b,2\n"c",3\n'), places=[])
def test_what_copy_gets_it_reads_by_the_rule(
    case: tuple[CsvFormat, str], places: list[int]
) -> None:
    """Of any file: no character of a row is lost, and no two records become one row."""
    dialect, text = case
    found = batches(text, dialect, places)
    payload = b"".join(batch.payload for batch in found).decode()
    assert read_as_copy_does(payload, dialect) == sent(found)
    assert all(len(fields) == len(COLUMNS) for fields in sent(found))
    for fields in sent(found):
        for value in fields:
            assert (
                value in text
                or dialect.escape_character + dialect.quote in text
                or (dialect.escape_character * 2 in text)
            )


@given(case=dialects_and_texts, places=st.lists(st.integers(0, 40), max_size=3))
@example(case=(PLAIN, '"a ""b" c\n'), places=[])
@example(case=(PLAIN, 'a,"""b"""\n"",""\n'), places=[4])
def test_file_that_looks_plain_is_one_that_copy_reads_by_the_rule(
    case: tuple[CsvFormat, str], places: list[int]
) -> None:
    dialect, text = case
    if text and not text.endswith("\n"):
        text += "\n"
    read = read_by_the_rule(text, dialect)
    if not looks_plain(text.encode(), dialect, places):
        return
    if read.is_sound:
        records = [one for one in read_as_copy_does(text, dialect) if one != [""]]
        assert records == [one for one in read.records if one != [""]]
    else:
        # COPY says itself that a quote is not closed.
        assert text.replace(dialect.escape_character * 2, "").count(dialect.quote) % 2 == 1


def looks_plain(content: bytes, dialect: CsvFormat, places: Sequence[int] = ()) -> bool:
    edges = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    look = PlainLook(dialect, None, has_empty_lines=False)
    try:
        for start, end in pairwise(edges):
            look.see(content[start:end])
        look.finish()
    except NotPlainError:
        return False
    return True


@given(
    rows=st.lists(st.tuples(st.text("ab,\"\n\r\\'; "), st.text("ab,\"\n\r\\'; ")), max_size=5),
    dialect=st.sampled_from(DIALECTS),
    places=st.lists(st.integers(0, 100), max_size=3),
)
def test_file_with_proper_quotes_looks_plain(
    rows: list[tuple[str, str]], dialect: CsvFormat, places: list[int]
) -> None:
    content = "".join(f"{record_of(row, dialect)}\n" for row in rows).encode()
    has_escapes = dialect.escape is not None and dialect.escape.encode() in content
    assert looks_plain(content, dialect, places) or has_escapes


@given(st.sampled_from(DIALECTS), st.lists(st.text("ab,\"\n\r\\'; "), min_size=1, max_size=4))
def test_record_written_is_read_as_the_same_fields(dialect: CsvFormat, fields: list[str]) -> None:
    assert fields_of(record_of(fields, dialect).encode(), dialect) == fields


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (b'5" x,p', ['5" x', "p"]),
        (b'q"r"s,p', ['q"r"s', "p"]),
        (b'z, "p"', ["z", ' "p"']),
        (b'z, "p, q"', ["z", ' "p', ' q"']),
        (b'"a ""b"" c",""', ['a "b" c', ""]),
        (b'"a "b" c",d', None),
        (b'"a",b"c"d,"e', None),
    ],
)
def test_fields_of_a_record(record: bytes, fields: list[str] | None) -> None:
    if fields is None:
        with pytest.raises(QuotingError):
            fields_of(record, PLAIN)
    else:
        assert fields_of(record, PLAIN) == fields


@pytest.mark.parametrize(
    ("text", "lines", "loaded"),
    [
        # Text after a closing quote costs its own line.
        ('1,"a "b" c"\n2,5" x\n3,d\n', [1], ["2", "3"]),
        ('1,"a ""b" c\n2,d\n', [1], ["2"]),
        # A quote never closed costs its own line, whatever comes later.
        ('1,"a\n2,b\n3,c\n', [1], ["2", "3"]),
        ('1,"a\n2,"b"\n3,"c\nd"\n', [1], ["2", "3"]),
        ('1,"a\n2,q"r"s\n3,d\n', [1], ["2", "3"]),
        # What may be the rest of a text of several lines is no row.
        ('"a\nb" c,1\nd,2\n', [1, 2], ["d"]),
        ('"a "b\nc,x\nd",1\ne,2\n', [1, 2, 3], ["e"]),
        ('1,"a' + "\n2,b" * 30 + '\n3,5" c\n', [1], ["2"] * 30 + ["3"]),
    ],
)
def test_lines_that_a_bad_quote_costs(text: str, lines: list[int], loaded: list[str]) -> None:
    found = batches(text, PLAIN)
    assert bad(found) == [(line, "bad_quoting") for line in lines]
    assert [first for first, _ in sent(found)] == loaded


def test_record_of_several_lines_with_a_field_too_many_is_one_bad_row() -> None:
    found = batches('1,"a\nb",c\n2,d\n', PLAIN)
    assert bad(found) == [(1, "too_many_fields")]
    assert sent(found) == [["2", "d"]]


def test_null_is_null_in_quotes_only_where_the_contract_says_so() -> None:
    quoted = CsvFormat(null="NA", null_quoted=True)
    assert [value_of(b"NA", PLAIN), value_of(b'""', PLAIN), value_of(b"", PLAIN)] == [
        "NA",
        "",
        None,
    ]
    assert [value_of(field, quoted) for field in (b"NA", b'"NA"', b'""')] == [None, None, ""]

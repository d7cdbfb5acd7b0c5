"""Files of any encoding as UTF-8: undecodable bytes become marks, and nothing is guessed."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.text_decoding import Decoded, SourceEncoding, decoded
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import CsvFormat
from headrace_shared.text_encodings import canonical_encoding, encoded, marked, marks

ENCODINGS = [
    *("cp1250", "cp1251", "cp1252", "cp1254", "iso8859-2", "koi8-r", "mac-roman", "latin-1"),
    *("shift_jis", "cp932", "euc_jp", "euc_kr", "gb18030", "big5"),
    *("utf-16", "utf-16-be", "utf-32", "utf-32-le"),
]
LETTERS = {
    "cp1251": "Москва",
    "koi8-r": "Псков",
    "cp1250": "Zażółć",
    "iso8859-2": "gęślą",
    "cp1254": "İstanbul ğ",
    "shift_jis": "東京都",
    "cp932": "髙島屋①",
    "euc_jp": "北海道",
    "euc_kr": "서울",
    "gb18030": "北京𠀀",
    "big5": "臺北",
    "utf-16": "é𠀀",
}


async def stream(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


async def _read(blocks: list[bytes], encoding: str) -> tuple[Decoded, bytes]:
    file = await decoded(stream(*blocks), encoding)
    return file, b"".join([block async for block in file.blocks])


def read(blocks: list[bytes], encoding: str) -> tuple[Decoded, bytes]:
    return asyncio.run(_read(blocks, encoding))


def refusal(content: bytes) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        read(cut(content, 100), "detect")
    assert raised.value.reason.code == "encoding_undecided"
    return raised.value


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("size", [1, 2, 3, 1_000])
def test_declared_encoding_is_read_wherever_blocks_are_cut(encoding: str, size: int) -> None:
    text = f"id,t\n1,{LETTERS.get(encoding, 'é')}\n"
    _, content = read(cut(text.encode(encoding), size), encoding)
    assert content.decode() == text


@given(
    encoding=st.sampled_from(ENCODINGS),
    content=st.binary(max_size=40),
    size=st.integers(1, 50),
)
def test_any_bytes_are_decoded_alike_and_no_byte_is_lost(
    encoding: str, content: bytes, size: int
) -> None:
    whole, parts = read([content], encoding)[1], read(cut(content, size), encoding)[1]
    assert whole == parts
    assert not marks(marked(whole)) or not _is_sound(content, encoding)


def _is_sound(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("encoding", "before", "bad"),
    [
        ("cp1252", "1,é\n2,", b"\x81"),
        ("shift_jis", "1,東\n2,", b"\x81"),
        ("gb18030", "1,北\n2,", b"\x81"),
        ("euc_kr", "1,서\n2,", b"\xff"),
        ("utf-16-le", "1,é𠀀\n2,", b"\x00\xd8"),
        ("utf-32-be", "1,é\n2,", b"\x00\x11\x00\x00"),
    ],
)
def test_undecodable_bytes_are_marked_at_their_place(
    encoding: str, before: str, bad: bytes
) -> None:
    head = before.encode(encoding)
    file, content = read([head + bad + "\n".encode(encoding)], encoding)
    text = marked(content)
    assert text.startswith(before)
    assert text.endswith("\n")
    assert marks(text) == bad
    assert file.source.length(before.encode()) == len(head)
    assert encoded(text, encoding) == head + bad + "\n".encode(encoding)


@pytest.mark.parametrize(
    ("mark", "encoding", "written"),
    [
        (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32"),
    ],
)
@pytest.mark.parametrize("declared", ["cp1252", "detect"])
def test_byte_order_mark_is_believed(
    mark: bytes, encoding: str, written: str, declared: str
) -> None:
    file, content = read(cut(mark + "a\né\n".encode(encoding), 3), declared)
    assert content.decode() == "a\né\n"
    expected = "utf-8" if (encoding, declared) == ("utf-8", "detect") else written
    assert file.source == SourceEncoding(encoding, expected, len(mark))


@given(st.text(st.sampled_from("aé東𠀀,\n"), max_size=50), st.integers(1, 20))
def test_utf8_is_detected(text: str, size: int) -> None:
    assert read(cut(text.encode(), size), "detect")[1].decode() == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["id,t\n1,é\n", "id\n東\n", "id,t\r\n"])
def test_wide_encoding_without_a_mark_is_detected(encoding: str, text: str) -> None:
    assert read([text.encode(encoding)], "detect")[1].decode() == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("crème brûlée", "cp1252"),
        ("año", "latin-1"),
        ("Ålesund", "cp1252"),
        ("Москва улица Ленина", "cp1251"),
        ("Zażółć gęślą jaźń", "cp1250"),
        ("Türkçe ığş", "cp1254"),
        ("名前", "cp932"),
        ("서울", "euc_kr"),
        ("北京", "gb18030"),
    ],
)
@pytest.mark.parametrize("rows", [0, 500])
def test_other_encodings_are_never_guessed(text: str, encoding: str, rows: int) -> None:
    head = "id,t\n" + "1,plain\n" * rows + "2,"
    reason = refusal(f"{head}{text}\n".encode(encoding)).reason
    first = len(head) + next(at for at, one in enumerate(text) if not one.isascii())
    assert f"first byte that is not ASCII is at byte position {first}." in reason.message
    assert canonical_encoding(encoding) in reason.message or encoding == "latin-1"


@pytest.mark.parametrize("tail", [b"\xe9\n", b"\xe9"])
def test_byte_that_is_not_utf8_is_found_far_behind_the_first_megabyte(tail: bytes) -> None:
    content = b"id,t\n" + "1,é\n".encode() * 400_000 + b"2," + tail
    with pytest.raises(PermanentError) as raised:
        read(cut(content, 262_144), "detect")
    assert raised.value.reason.code == "encoding_undecided"
    assert f"byte position {len(content) - len(tail)}" in raised.value.reason.message


def test_letters_of_iso_2022_are_not_taken_for_ascii() -> None:
    reason = refusal(b"id,t\n1," + "名前".encode("iso2022_jp") + b"\n").reason
    assert "byte position 7 " in reason.message


@pytest.mark.parametrize(
    ("named", "name"),
    [
        ("UTF8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("ISO-8859-1", "latin-1"),
        ("latin1", "latin-1"),
        ("Windows-1252", "cp1252"),
        ("windows_1251", "cp1251"),
        ("windows-31j", "cp932"),
        ("ISO_8859-2", "iso8859-2"),
        ("Shift-JIS", "shift_jis"),
        ("x-mac-roman", "mac-roman"),
        ("UTF-16LE", "utf-16-le"),
        ("KOI8-U", "koi8-u"),
        ("Detect", "detect"),
    ],
)
def test_encoding_may_be_named_in_any_spelling(named: str, name: str) -> None:
    assert CsvFormat(encoding=named).encoding == name


@pytest.mark.parametrize(
    "named",
    [
        *("zlib", "hex", "rot13", "base64", "uu", "bz2", "quopri"),
        *("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"),
        *("utf-7", "iso-2022-jp", "iso2022_kr", "hz", "charmap", "", "ebcdic", "utf\0"),
    ],
)
def test_what_is_no_encoding_of_text_is_refused(named: str) -> None:
    with pytest.raises(ValueError, match="no encoding of text"):
        CsvFormat(encoding=named)

"""The encodings that a contract can name, and text in them that may hold undecodable bytes.

A byte that the encoding does not have becomes a *mark*: the lone surrogate U+DC00 plus the byte.
In UTF-8 a mark is three bytes that no valid text has, so that it is found there as any bad byte is;
and it holds the byte, so that the text can be written again as it was.
"""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from typing import Final

MARKING: Final = "headrace.marking"
"""The error handler that decodes an undecodable byte to its mark, and encodes it back."""

_LEAST_MARK: Final = 0xDC00
_MOST_MARK: Final = 0xDCFF

_A_MARK: Final = re.compile(rb"\xed[\xb0-\xb3][\x80-\xbf]")

_STATEFUL: Final = ("iso2022", "hz", "utf-7")
"""Encodings in which a byte's meaning depends on bytes long before it."""
_NO_ENCODINGS: Final = frozenset(
    {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"}
    | {"charmap", "unicode-internal"}
)
_NAMES: Final = {"utf-8-sig": "utf-8", "iso8859-1": "latin-1"}
"""Names that differ from Python's own."""

_OTHER_NAMES: Final = {"windows-31j": "cp932"}
"""Names that are in use and that Python does not know."""

_UNMARKED: Final = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}
"""What is written for an encoding whose byte order a mark at the file's head gives."""


def canonical_encoding(name: str) -> str:
    """The one name of a text encoding that has many.

    Raises:
        ValueError: there is no such encoding of text, or it is a stateful one.
    """
    found = _looked_up(name)
    if found is None:
        raise ValueError(_unknown(name))
    plain = found.name.replace("_", "-")
    # Python has no public way to ask; str.encode refuses by the same attribute.
    if not found._is_text_encoding or plain in _NO_ENCODINGS or plain.startswith(_STATEFUL):  # noqa: SLF001
        raise ValueError(_unknown(name))
    return _NAMES.get(found.name, found.name)


def encoded(text: str, encoding: str) -> bytes:
    """A part of a file, without a byte-order mark; marks become the bytes that they are for.

    Raises:
        UnicodeEncodeError: the encoding does not have a character.
    """
    return text.encode(_UNMARKED.get(encoding, encoding.removesuffix("-sig")), MARKING)


def byte_order_mark(encoding: str) -> bytes:
    """What a file in this encoding begins with, so that it is read in the right byte order."""
    return {
        "utf-8-sig": codecs.BOM_UTF8,
        "utf-16": codecs.BOM_UTF16_LE,
        "utf-32": codecs.BOM_UTF32_LE,
    }.get(encoding, b"")


def marked(raw: bytes) -> str:
    """The text of UTF-8 that may hold marks; other bytes that are not UTF-8 become marks."""
    return raw.decode("utf-8", MARKING)


def marks(text: str) -> bytes:
    """The undecodable bytes of a text, in their order."""
    return bytes(ord(one) - _LEAST_MARK for one in text if _is_mark(one))


def _looked_up(name: str) -> codecs.CodecInfo | None:
    plain = name.strip().lower().replace("_", "-")
    plain = _OTHER_NAMES.get(plain, plain)
    for spelled in (plain, plain.replace("windows-", "cp"), plain.removeprefix("x-")):
        with suppress(LookupError, ValueError):
            return codecs.lookup(spelled)
    return None


def _mark(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeDecodeError):
        return _decoded(error)
    if isinstance(error, UnicodeEncodeError):
        return _encoded(error)
    raise error


def _decoded(error: UnicodeDecodeError) -> tuple[str, int]:
    if error.encoding == "utf-8" and _A_MARK.match(error.object, error.start):
        return error.object[error.start : error.start + 3].decode("utf-8", "surrogatepass"), (
            error.start + 3
        )
    bad = error.object[error.start : error.end]
    return "".join(chr(_LEAST_MARK + byte) for byte in bad), error.end


def _encoded(error: UnicodeEncodeError) -> tuple[bytes, int]:
    text, end = error.object, error.start
    while end < len(text) and _is_mark(text[end]):
        end += 1
    if end == error.start:
        raise error
    held = marks(text[error.start : end])
    if error.encoding.startswith("utf-16"):
        held += bytes(len(held) % 2)  # such text has no half of a character
    elif error.encoding.startswith("utf-32"):
        held += bytes(-len(held) % 4)
    return held, end


def _is_mark(one: str) -> bool:
    return _LEAST_MARK <= ord(one) <= _MOST_MARK


def _unknown(name: str) -> str:
    return (
        f"{name!r} is no encoding of text that can be read: name one that Python knows, such as "
        "utf-8, utf-16, cp1252, iso-8859-2, koi8-r, shift_jis or gb18030, or `detect`"
    )


codecs.register_error(MARKING, _mark)

"""A file of any encoding as UTF-8, without a byte-order mark.

A byte that the encoding does not have becomes a mark (`headrace_shared.text_encodings`), which is
no UTF-8 either: the reader of the records finds it, and it costs its own record.
"""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from headrace_loader.text_detecting import DETECT, DETECT_BYTES, surely_utf8, wide_encoding
from headrace_loader.unpacking import rejoined
from headrace_shared.text_encodings import MARKING, encoded, marked, marks

Blocks = AsyncIterator[bytes]

BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
"""In an order in which no mark is the beginning of a later one."""

_LONGEST_MARK: Final = 4
_BYTE_ORDER_MARK: Final = "\ufeff"
_UNMARKED: Final = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}
"""The byte order of a file without a mark: little-endian, which nearly all such files are."""


@dataclass(frozen=True, slots=True)
class SourceEncoding:
    """What a file is encoded in.

    Args:
        written: what rows of it have to be written in, to be read again as it was.
        start: so many bytes of the file are a byte-order mark.
    """

    name: str
    written: str
    start: int = 0

    def length(self, data: bytes) -> int:
        """How many bytes of the file became these, which begin and end with characters."""
        if self.name == "utf-8":
            return len(data)
        try:
            return len(encoded(marked(data), self.name))
        except UnicodeEncodeError:
            # A few codecs decode what they do not encode.
            return len(data)

    def bad_byte(self, data: bytes) -> int:
        """The byte of the file that became the beginning of these, which is no UTF-8."""
        return data[0] if self.name == "utf-8" else marks(marked(data))[0]


UTF_8: Final = SourceEncoding("utf-8", "utf-8")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file as UTF-8."""

    blocks: Blocks
    source: SourceEncoding


async def decoded(blocks: Blocks, encoding: str, delimiter: str = ",") -> Decoded:
    """The file as UTF-8; a byte-order mark is believed whatever the contract says.

    Args:
        encoding: as the contract names it.
        delimiter: what stands between fields.

    Raises:
        PermanentError: while the blocks are taken: the encoding has to be detected, and the bytes
            do not decide it.
    """
    head, enough = b"", DETECT_BYTES if encoding == DETECT else _LONGEST_MARK
    async for block in blocks:
        head += block
        if len(head) >= enough:
            break
    whole = rejoined(head, blocks)
    for mark, name in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            source = SourceEncoding(name, _written(name, encoding), len(mark))
            return Decoded(_recoded(_without(whole, len(mark)), name), source)
    if encoding == DETECT:
        found = wide_encoding(head, delimiter)
        if found is None:
            return Decoded(surely_utf8(whole), UTF_8)
        return Decoded(_recoded(whole, found), SourceEncoding(found, found))
    name = _UNMARKED.get(encoding, encoding)
    return Decoded(_recoded(whole, name), SourceEncoding(name, encoding))


def _written(name: str, declared: str) -> str:
    if name == "utf-8":
        return name if declared in ("utf-8", DETECT) else "utf-8-sig"
    return name.removesuffix("-le").removesuffix("-be")


async def _without(blocks: Blocks, count: int) -> Blocks:
    async for block in blocks:
        yield block[count:]
        count = max(0, count - len(block))


async def _recoded(blocks: Blocks, encoding: str) -> Blocks:
    if encoding == "utf-8":
        async for block in blocks:
            yield block
        return
    decoder, is_first = codecs.getincrementaldecoder(encoding)(MARKING), True
    async for block in blocks:
        text = decoder.decode(block)
        if is_first and text:
            text, is_first = text.removeprefix(_BYTE_ORDER_MARK), False
        yield text.encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")

"""What is a file encoded in? Answered only where its bytes decide it."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import AsyncIterator
from typing import Final

from headrace_shared.errors import PermanentError
from headrace_shared.reasons import Reason

DETECT: Final = "detect"
"""What a contract says, in place of an encoding, to have it detected."""

DETECT_BYTES: Final = 1_048_576

_WIDE: Final = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}
_CANDIDATES: Final = (
    *("cp1252", "iso8859-15", "cp1250", "iso8859-2", "cp1251", "koi8-r", "cp1253", "cp1254"),
    *("cp1255", "cp1256", "cp1257", "cp874", "mac-roman", "cp437", "cp850", "cp866"),
    *("cp932", "euc_jp", "gb18030", "big5", "euc_kr"),
)
_SAMPLE_BYTES: Final = 65_536
_SWITCH: Final = re.compile(rb"\x1b(?:\$[@AB(]|\([BIJ])")
"""How ISO 2022 switches to other letters, in bytes that are all ASCII."""


def wide_encoding(head: bytes, delimiter: str) -> str | None:
    """The one of UTF-16 and UTF-32 in which the head of a file is text; None if it is in none, or
    in more than one."""
    if b"\0" not in head:
        return None
    found = [name for name, size in _WIDE.items() if _is_text(head, name, size, delimiter)]
    return found[0] if len(found) == 1 else None


def _is_text(head: bytes, encoding: str, size: int, delimiter: str) -> bool:
    whole = head[: len(head) - len(head) % size]
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(whole)
    except UnicodeDecodeError:
        return False
    has_shape = delimiter in text or "\n" in text or "\r" in text
    return has_shape and not any(_is_no_text(one) for one in set(text))


def _is_no_text(character: str) -> bool:
    if character in "\t\n\r\f\v":
        return False
    return unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs")


async def surely_utf8(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The blocks as they come.

    Raises:
        PermanentError: they are not UTF-8 to the last byte.
    """
    decoder, position, first = codecs.getincrementaldecoder("utf-8")(), 0, None
    async for block in blocks:
        if first is None and not block.isascii():
            first = position + _first_other(block)
        _check(decoder, block, position, first)
        position += len(block)
        yield block
    _check(decoder, b"", position, first, final=True)


def _check(
    decoder: codecs.IncrementalDecoder,
    block: bytes,
    position: int,
    first: int | None,
    *,
    final: bool = False,
) -> None:
    """Takes a block.

    Args:
        position: of its first byte.
        first: the place of the first byte that is not ASCII.
    """
    switch, pending = _SWITCH.search(block), len(decoder.getstate()[0])
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError as error:
        sample = _sample(error.object, error.start)
        place = position - pending + error.start
        raise _undecided(
            f"byte 0x{error.object[error.start]:02x} at byte position {place} is not UTF-8, and "
            f"the first byte that is not ASCII is at byte position {first}",
            [name for name in _CANDIDATES if could_be(sample, name)],
        ) from None
    if switch is not None:
        place = position + switch.start()
        raise _undecided(
            f"the bytes from byte position {place} on switch to other letters, as in ISO 2022",
            ["iso2022_jp, which has to be converted first"],
        )


def _sample(data: bytes, place: int) -> bytes:
    """The lines about a place."""
    start = max(data.rfind(b"\n", 0, place), data.rfind(b"\r", 0, place)) + 1
    return data[start : start + _SAMPLE_BYTES]


def could_be(sample: bytes, encoding: str) -> bool:
    """Whether bytes that may end anywhere are text without control characters in an encoding."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    return not any(_is_no_text(one) for one in set(text))


def _first_other(block: bytes) -> int:
    found = re.search(rb"[\x80-\xff]", block)
    assert found is not None
    return found.start()


def _undecided(what: str, candidates: list[str]) -> PermanentError:
    could = f"It could be {', '.join(candidates)}." if candidates else "No common one fits."
    return PermanentError(
        Reason(
            code="encoding_undecided",
            message=f"The bytes of the file do not decide its encoding: {what}. {could}",
            remedy="Name the encoding in the contract's format and replay the drop; or save the "
            "file as UTF-8 and upload it again.",
        )
    )

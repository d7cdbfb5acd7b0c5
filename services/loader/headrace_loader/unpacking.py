"""What a file is packed in, and its content as it streams by.

The content decides, whatever the name says; only bytes that are no text, under a name that says
that they are packed, are refused. What unpacks to more than the limits is a bomb.
"""

from __future__ import annotations

import asyncio
import bz2
import lzma
import re
import tempfile
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Final, Protocol

import zstandard

from headrace_shared.errors import PermanentError
from headrace_shared.reasons import Reason

Blocks = AsyncIterator[bytes]


class Packing(StrEnum):
    """What a file can be packed in; the value is the end of its name."""

    GZIP = ".gz"
    ZSTD = ".zst"
    BZIP2 = ".bz2"
    XZ = ".xz"
    ZIP = ".zip"


_BEGINNINGS: Final[Mapping[Packing, bytes]] = {
    Packing.GZIP: b"\x1f\x8b\x08",
    Packing.ZSTD: b"\x28\xb5\x2f\xfd",
    Packing.BZIP2: b"BZh",
    Packing.XZ: b"\xfd7zXZ\x00",
    Packing.ZIP: b"PK\x03\x04",
}
_LONGEST_BEGINNING: Final = max(map(len, _BEGINNINGS.values()))
_COLUMNAR: Final = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_CONTROL: Final = re.compile(rb"[\0\x04-\x06\x0e-\x1a]")
"""Beside the ends of lines and pages, and what Hive and ASCII have for separators."""

_BLOCK_BYTES: Final = 1_048_576
_ZSTD_PIECE_BYTES: Final = 1_024
"""What is fed to zstd at a time: it gives everything at once, and four bytes can be 128 KiB."""

_PADDED: Final = frozenset({Packing.GZIP, Packing.XZ})
"""Zeros may follow what is packed: the block of a tape is filled up with them. The manual of gzip
and the format of xz allow them: https://tukaani.org/xz/xz-file-format.txt (2.2)"""

_WORKBOOK: Final = "xl/workbook.xml"

_GZIP_WINDOW: Final = 31
"""zlib's code for a gzip member: https://docs.python.org/3/library/zlib.html#zlib.decompressobj"""

_DICTIONARY_BYTES: Final = 128 * 1_048_576
"""The most memory that a file may ask for to be unpacked; `xz -9` asks for 65 MB."""


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """What a packed file may become.

    Args:
        most_bytes: unpacked.
        most_ratio: unpacked bytes for each packed one.
        small_bytes: unpacked; up to here no ratio is a bomb, for a file of one repeated line packs
            very well.
    """

    most_bytes: int = 100 * 2**30
    most_ratio: float = 1_000
    small_bytes: int = 64 * 1_048_576


DEFAULT_LIMITS: Final = UnpackLimits()


class _Decompressor(Protocol):
    """As Python's own bz2 and lzma have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def packing_of(beginning: bytes) -> Packing | None:
    """What the bytes at the beginning of a file say that it is packed in."""
    for packing, mark in _BEGINNINGS.items():
        if beginning.startswith(mark):
            return packing
    return None


def is_text(beginning: bytes) -> bool:
    """Whether bytes at the beginning of a file can be text: without control characters, or with
    the byte-order mark of UTF-16, and not the first bytes of something packed."""
    if any(mark.startswith(beginning) for mark in _BEGINNINGS.values()):
        return False
    return beginning.startswith(_UTF16) or not _CONTROL.search(beginning)


def packing_named(file: str) -> Packing | None:
    """What the name of a file says that it is packed in."""
    return next((one for one in Packing if file.lower().endswith(one)), None)


async def unpacked(blocks: Blocks, file: str, limits: UnpackLimits) -> Blocks:
    """The bytes of the file itself, in blocks of a bounded size.

    Args:
        file: its name.

    Raises:
        PermanentError: it is not what it says, was cut off, or unpacks to more than the limits.
    """
    head = b""
    async for block in blocks:
        head += block
        if len(head) >= _LONGEST_BEGINNING:
            break
    found, named = packing_of(head), packing_named(file)
    whole = rejoined(head, blocks)
    if found is Packing.ZIP:
        whole = _unzipped(whole, limits)
    elif found is not None:
        whole = _unpacked(whole, found, limits)
    elif named is not None and not (is_text(head) or head.startswith(_COLUMNAR)):
        raise _not_packed(head, named)
    async for block in whole:
        yield block


async def _unpacked(blocks: Blocks, packing: Packing, limits: UnpackLimits) -> Blocks:
    # Unpacking runs in a thread: in the loop it would hold up every heartbeat.
    make, gauge = _MAKERS[packing], _Gauge(limits)
    member = make()
    async for block in blocks:
        gauge.packed += len(block)
        data = block
        while data or not (member.needs_input or member.eof):
            if member.eof:
                data = data.lstrip(b"\0") if packing in _PADDED else data
                if not data:
                    break
                member = make()
            plain = await asyncio.to_thread(_step, member, data, packing)
            data = member.unused_data if member.eof else b""
            gauge.add(len(plain))
            if plain:
                yield plain
    if not member.eof:
        raise _cut_off(packing)


def _step(member: _Decompressor, data: bytes, packing: Packing) -> bytes:
    try:
        return member.decompress(data, _BLOCK_BYTES)
    except (zlib.error, OSError, ValueError, lzma.LZMAError, zstandard.ZstdError) as error:
        raise _damaged(packing, error) from None


async def _unzipped(blocks: Blocks, limits: UnpackLimits) -> Blocks:
    """A zip's table of contents is at its end: it is kept on disk until it is all there."""
    gauge = _Gauge(limits)
    with tempfile.TemporaryFile() as spool:
        async for block in blocks:
            gauge.packed += len(block)
            await asyncio.to_thread(spool.write, block)
        try:
            with zipfile.ZipFile(spool) as archive, archive.open(_only_member(archive)) as member:
                while plain := await asyncio.to_thread(_read, member):
                    gauge.add(len(plain))
                    yield plain
        # NotImplementedError is zipfile's word for a compression that it does not know.
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise _damaged(Packing.ZIP, error) from None


def _read(member: IO[bytes]) -> bytes:
    return member.read(_BLOCK_BYTES)


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [one for one in archive.infolist() if not (one.is_dir() or _is_beside(one))]
    if any(one.filename == _WORKBOOK for one in members):
        raise _refusal(
            "file_type_mismatch",
            "The file is an Excel workbook.",
            "Save its sheet as CSV (UTF-8) and upload that.",
        )
    if len(members) != 1:
        names = ", ".join(repr(one.filename) for one in members[:5])
        raise _refusal(
            "zip_members",
            f"The zip file holds {len(members)} files, not one{f': {names}' if names else ''}.",
            "Upload each file by itself.",
        )
    if members[0].flag_bits & 1:
        raise _refusal("zip_encrypted", "The zip file is encrypted.", "Upload it without.")
    return members[0]


def _is_beside(member: zipfile.ZipInfo) -> bool:
    """Whether a member is what a Mac adds to every file."""
    *folders, name = member.filename.split("/")
    return "__MACOSX" in folders or name == ".DS_Store" or name.startswith("._")


class _Gzip:
    """zlib's decompressor, as the others are."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._may_have_more = False

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return not (self._may_have_more or self._member.unconsumed_tail)

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        plain = self._member.decompress(self._member.unconsumed_tail + data, max_length)
        self._may_have_more = len(plain) == max_length
        return plain


class _Zstd:
    """zstd's decompressor, as the others are; what it gives at once is bounded by what it is
    fed."""

    def __init__(self) -> None:
        maker = zstandard.ZstdDecompressor(max_window_size=_DICTIONARY_BYTES)
        self._frame = maker.decompressobj()
        self._waiting = b""

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        return not self._waiting

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data + self._waiting

    def decompress(self, data: bytes, max_length: int) -> bytes:
        waiting, plain = memoryview(self._waiting + data), bytearray()
        while waiting and not self._frame.eof and len(plain) < max_length:
            plain += self._frame.decompress(waiting[:_ZSTD_PIECE_BYTES])
            waiting = waiting[_ZSTD_PIECE_BYTES:]
        self._waiting = bytes(waiting)
        return bytes(plain)


_MAKERS: Final[Mapping[Packing, Callable[[], _Decompressor]]] = {
    Packing.GZIP: _Gzip,
    Packing.ZSTD: _Zstd,
    Packing.BZIP2: bz2.BZ2Decompressor,
    Packing.XZ: lambda: lzma.LZMADecompressor(memlimit=_DICTIONARY_BYTES),
}


class _Gauge:
    """Counts what a file unpacks to."""

    def __init__(self, limits: UnpackLimits) -> None:
        self.packed = 0
        self._unpacked = 0
        self._limits = limits

    def add(self, plain: int) -> None:
        """So many bytes more came out.

        Raises:
            PermanentError: it is too much.
        """
        self._unpacked += plain
        most = self._limits.most_bytes
        if self._unpacked > self._limits.small_bytes:
            most = min(most, round(self.packed * self._limits.most_ratio))
        if self._unpacked > max(most, min(self._limits.small_bytes, self._limits.most_bytes)):
            raise _refusal(
                "unpacks_to_too_much",
                f"The file unpacks to more than {most:,} bytes; {self.packed:,} packed bytes were "
                "read so far.",
                "If it is what it should be, raise HEADRACE_UNPACKED_BYTES_LIMIT or "
                "HEADRACE_UNPACKED_RATIO_LIMIT of the loader, and replay the drop.",
            )


async def rejoined(head: bytes, rest: Blocks) -> Blocks:
    """What was read ahead, and the rest."""
    if head:
        yield head
    async for block in rest:
        yield block


def _not_packed(head: bytes, named: Packing) -> PermanentError:
    if not head or any(mark.startswith(head) for mark in _BEGINNINGS.values()):
        return _cut_off(named)
    return _refusal(
        "file_not_packed",
        f"The file's name ends in {named}, but its content is not packed in any way that is "
        "known here.",
        f"Pack it ({', '.join(Packing)}), or leave {named} out of its name, and upload it again.",
    )


def _damaged(packing: Packing, error: Exception) -> PermanentError:
    return _refusal(
        "file_damaged",
        f"The file is packed ({packing}), but cannot be unpacked: {error}.",
        "Pack it anew and upload it again.",
    )


def _cut_off(packing: Packing) -> PermanentError:
    return _refusal(
        "file_truncated",
        f"The packed file ({packing}) ends early: it was cut off on its way.",
        "Upload it again.",
    )


def _refusal(code: str, message: str, remedy: str) -> PermanentError:
    return PermanentError(Reason(code=code, message=message, remedy=remedy))

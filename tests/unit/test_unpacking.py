"""A packed file as it streams by: however it is cut, packed again or broken."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import pairwise

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace_loader.unpacking import (
    DEFAULT_LIMITS,
    Packing,
    UnpackLimits,
    packing_of,
    unpacked,
)
from headrace_shared.errors import PermanentError

MEGABYTE = 1_048_576


def zipped(content: bytes, name: str = "a.csv") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


STREAMED: dict[Packing, Callable[[bytes], bytes]] = {
    Packing.GZIP: gzip.compress,
    Packing.ZSTD: zstandard.compress,
    Packing.BZIP2: bz2.compress,
    Packing.XZ: lzma.compress,
}
PACKERS = {**STREAMED, Packing.ZIP: zipped}


async def stream(blocks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


async def content_of(
    blocks: Iterable[bytes], file: str = "a.csv", limits: UnpackLimits = DEFAULT_LIMITS
) -> list[bytes]:
    return [block async for block in unpacked(stream(blocks), file, limits)]


async def refusal(
    blocks: Iterable[bytes], file: str = "a.csv", limits: UnpackLimits = DEFAULT_LIMITS
) -> str:
    with pytest.raises(PermanentError) as raised:
        await content_of(blocks, file, limits)
    assert raised.value.reason.remedy
    return raised.value.reason.code


def cut(content: bytes, places: Iterable[int]) -> list[bytes]:
    ends = sorted({0, len(content), *(place for place in places if place < len(content))})
    return [content[start:end] for start, end in pairwise(ends)]


@settings(deadline=None)
@given(
    packing=st.sampled_from(sorted(PACKERS)),
    content=st.binary(max_size=200),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
@example(packing=Packing.ZSTD, content=b"", cuts=[])
def test_content_comes_out_however_it_is_packed_and_cut(
    packing: Packing, content: bytes, cuts: list[int]
) -> None:
    packed = PACKERS[packing](content)
    blocks = cut(packed, cuts)
    # The content decides, whatever the name says.
    for name in ("a.csv", f"A.CSV{packing.upper()}", "a.csv.gz"):
        assert b"".join(asyncio.run(content_of(blocks, name))) == content


@settings(deadline=None)
@given(
    packing=st.sampled_from(sorted(STREAMED)),
    parts=st.lists(st.binary(max_size=50), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_several_members_are_one_content(
    packing: Packing, parts: list[bytes], cuts: list[int]
) -> None:
    packed = b"".join(map(PACKERS[packing], parts))
    assert b"".join(asyncio.run(content_of(cut(packed, cuts)))) == b"".join(parts)


@settings(deadline=None)
@given(content=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_what_is_not_packed_passes_untouched(content: bytes, cuts: list[int]) -> None:
    if packing_of(content) is None:
        assert b"".join(asyncio.run(content_of(cut(content, cuts)))) == content


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("extra", [-1, 0, 1])
async def test_whole_megabytes_come_out_whole_and_in_bounded_blocks(
    packing: Packing, extra: int
) -> None:
    content = bytes(3 * MEGABYTE + extra)
    blocks = await content_of([PACKERS[packing](content)])
    assert b"".join(blocks) == content
    # zstd gives what four bytes of it hold at once: up to 128 KiB, for each fed kilobyte.
    assert max(map(len, blocks)) <= (33 * MEGABYTE if packing is Packing.ZSTD else MEGABYTE)


@pytest.mark.parametrize("packing", PACKERS)
async def test_file_cut_off_anywhere_is_told(packing: Packing) -> None:
    packed = PACKERS[packing](b"a,b\n1,2\n" * 20)
    codes = {
        await refusal([packed[:length]] if length else [], f"a.csv{packing}")
        for length in range(len(packed))
    }
    assert codes <= {"file_truncated", "file_damaged"}
    assert packing is Packing.ZIP or codes == {"file_truncated"}


@pytest.mark.parametrize("packing", STREAMED)
async def test_second_member_that_is_cut_off_is_told(packing: Packing) -> None:
    packed = PACKERS[packing](b"a,b\n") + PACKERS[packing](os.urandom(99))[:-4]
    assert await refusal([packed]) == "file_truncated"


@pytest.mark.parametrize("packing", PACKERS)
async def test_damage_inside_is_told(packing: Packing) -> None:
    packed = bytearray(PACKERS[packing](os.urandom(5_000)))
    packed[len(packed) // 2] ^= 0xFF
    if packing is Packing.ZSTD:
        packed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(os.urandom(99)))
        packed[-1] ^= 0xFF
    assert await refusal([bytes(packed)]) in ("file_damaged", "file_truncated")


@pytest.mark.parametrize("packing", Packing)
async def test_name_that_promises_what_is_not_there_is_told(packing: Packing) -> None:
    assert await refusal([b"\0\5 no text at all"], f"a.csv{packing}") == "file_not_packed"


@pytest.mark.parametrize("packing", Packing)
async def test_text_is_read_as_it_is_whatever_its_name_promises(packing: Packing) -> None:
    for content in (
        b"a\x01b\n1,2\n",
        "\ufeffa,b\n".encode("utf-16-le"),
        b"PAR1\x15\x04",
        b"a\n1\n",
    ):
        assert await content_of([content], f"a.csv{packing}") == [content]


@pytest.mark.parametrize("packing", PACKERS)
async def test_bomb_stops_at_the_limits(packing: Packing) -> None:
    packed = PACKERS[packing](bytes(24 * MEGABYTE))
    many = UnpackLimits(most_bytes=10 * MEGABYTE)
    assert await refusal([packed], limits=many) == "unpacks_to_too_much"
    steep = UnpackLimits(most_ratio=2, small_bytes=8 * MEGABYTE)
    assert await refusal([packed], limits=steep) == "unpacks_to_too_much"


@pytest.mark.parametrize("packing", PACKERS)
async def test_steep_file_that_stays_small_is_no_bomb(packing: Packing) -> None:
    content = bytes(8 * MEGABYTE)
    limits = UnpackLimits(most_ratio=2, small_bytes=len(content))
    blocks = await content_of([PACKERS[packing](content)], limits=limits)
    assert sum(map(len, blocks)) == len(content)
    smaller = UnpackLimits(most_ratio=2, small_bytes=len(content) - 1)
    assert await refusal([PACKERS[packing](content)], limits=smaller) == "unpacks_to_too_much"


def test_default_limits_let_a_small_file_be_steep() -> None:
    assert UnpackLimits(100 * 2**30, 1_000, 64 * MEGABYTE) == DEFAULT_LIMITS


async def test_file_that_packs_well_is_no_bomb() -> None:
    packed = gzip.compress(b"1,2\n" * 10_000_000)
    assert sum(map(len, await content_of([packed]))) == 40_000_000


async def test_xz_that_asks_for_much_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 512 * MEGABYTE}]
    packed = lzma.compress(b"a,b\n", filters=filters)
    assert await refusal([packed]) == "file_damaged"


async def test_what_a_mac_adds_to_a_zip_is_no_member() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("__MACOSX/._f.csv", "x/f.csv", "x/.DS_Store", "x/__MACOSX/f", "._f.csv"):
            archive.writestr(name, "a,b\n" if name == "x/f.csv" else "\0\5")
    assert b"".join(await content_of([out.getvalue()])) == b"a,b\n"


@pytest.mark.parametrize("packing", [Packing.GZIP, Packing.XZ])
@given(
    members=st.lists(st.binary(max_size=40), min_size=1, max_size=3),
    zeros=st.integers(0, 200).map(lambda number: 4 * number),
    places=st.lists(st.integers(0, 900), max_size=6),
)
def test_zeros_after_what_is_packed_are_padding(
    packing: Packing, members: list[bytes], zeros: int, places: list[int]
) -> None:
    packed = b"".join(PACKERS[packing](one) + bytes(zeros) for one in members)
    assert b"".join(asyncio.run(content_of(cut(packed, places)))) == b"".join(members)


async def test_other_bytes_after_what_is_packed_are_damage() -> None:
    packed = PACKERS[Packing.GZIP](b"a")
    assert await refusal([packed, bytes(8), b"xyz"]) == "file_damaged"


async def test_workbook_is_named_as_what_it_is() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr("xl/workbook.xml", "")
    assert await refusal([out.getvalue()]) == "file_type_mismatch"


async def test_zip_of_several_files_names_them() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.mkdir("folder")
        for name in ("a.csv", "folder/b.csv"):
            archive.writestr(name, "a,b\n")
    with pytest.raises(PermanentError, match=r"zip_members: .*'a\.csv', 'folder/b\.csv'"):
        await content_of([packed.getvalue()])


async def test_zip_of_one_file_in_a_folder_is_that_file() -> None:
    assert await content_of([zipped(b"a,b\n", "folder/a.csv")]) == [b"a,b\n"]

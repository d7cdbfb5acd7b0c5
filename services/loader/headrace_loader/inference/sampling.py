"""The beginning of a file, unpacked, on disk; and what kind of file it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from headrace_loader.inference.errors import InferenceError
from headrace_loader.kinds import HEAD_BYTES, Kind, kind_of
from headrace_loader.unpacking import DEFAULT_LIMITS, unpacked
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import CsvFormat

SAMPLE_BYTES: Final = 64 * 2**20
_BLOCK_BYTES: Final = 2**20


@dataclass(frozen=True)
class Sample:
    """A file without its packing.

    Args:
        name: what the user calls the file.
        whole: nothing was left out.
    """

    path: Path
    name: str
    kind: Kind
    whole: bool


@contextmanager
def sample_of(file: Path, name: str = "", most_bytes: int = SAMPLE_BYTES) -> Iterator[Sample]:
    """The file's beginning, or all of a Parquet or Arrow file; it is gone with the block.

    Args:
        name: what the user calls it; by default the file's own name.

    Raises:
        InferenceError: the file cannot be read.
    """
    name = name or file.name
    with TemporaryDirectory(prefix="headrace-sample-") as folder:
        path = Path(folder) / "sample"
        try:
            size = asyncio.run(_unpack(file, name, path, most_bytes))
        except OSError as error:
            raise InferenceError(
                f"The file cannot be read: {error.strerror}.", "Name a file that is there."
            ) from None
        except PermanentError as error:
            raise InferenceError(error.reason.message, error.reason.remedy) from None
        if not size:
            raise InferenceError("The file is empty.", "Name a file that has rows.")
        yield Sample(path, name, _kind(path, name), whole=size <= most_bytes)


async def _unpack(file: Path, name: str, path: Path, most_bytes: int) -> int:
    """How many bytes were read. Only Parquet and Arrow are read beyond `most_bytes`."""
    size, enough = 0, None
    with file.open("rb") as source, path.open("wb") as target:

        async def blocks() -> AsyncIterator[bytes]:
            while block := source.read(_BLOCK_BYTES):
                yield block

        async for block in unpacked(blocks(), name, DEFAULT_LIMITS):
            if enough is None:
                enough = most_bytes if _is_text(block, name) else 2**62
            target.write(block[: max(enough - size, 0)])
            size += len(block)
            if size > enough:
                break
    return size


def _is_text(head: bytes, name: str) -> bool:
    kind = kind_of(head[:HEAD_BYTES], name, CsvFormat())
    return kind not in (Kind.PARQUET, Kind.ARROW)


def _kind(path: Path, name: str) -> Kind:
    with path.open("rb") as file:
        head = file.read(_BLOCK_BYTES)
    kind = kind_of(head[:HEAD_BYTES], name, CsvFormat())
    return Kind.JSON if kind is Kind.CSV and _looks_like_json(head) else kind


def _looks_like_json(head: bytes) -> bool:
    """Whether the first line, or the whole, is an object or an array of JSON."""
    stripped = head.removeprefix(b"\xef\xbb\xbf").strip()
    if stripped[:1] not in (b"{", b"["):
        return False
    for text in (stripped.partition(b"\n")[0], stripped):
        try:
            msgspec.json.decode(text, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
        except msgspec.DecodeError:
            continue
        return True
    return stripped[1:].lstrip()[:1] in (b'"', b"{", b"[")

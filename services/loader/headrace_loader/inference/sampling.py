"""The beginning of a file as plain UTF-8 on disk, whatever it is packed in and encoded as."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final

import zstandard

from headrace_loader.inference.errors import InferenceError

SAMPLE_BYTES: Final = 64 * 2**20
_BLOCK_BYTES: Final = 2**20


@dataclass(frozen=True)
class Sample:
    """A plain file.

    Args:
        encoding: what the original is in, as a contract names it.
        guessed: the encoding is the likeliest one, not a certain one.
        whole: nothing was left out.
    """

    path: Path
    encoding: str
    guessed: bool
    whole: bool


@contextmanager
def sample_of(file: Path, most_bytes: int = SAMPLE_BYTES) -> Iterator[Sample]:
    """The file's beginning; it is gone with the block.

    Raises:
        InferenceError: the file cannot be read.
    """
    try:
        with _opened(file) as source:
            content = source.read(most_bytes + 1)
    except (OSError, EOFError, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile) as error:
        raise InferenceError(
            f"The file cannot be read: {getattr(error, 'strerror', None) or error}.",
            "Name a CSV file, plain or packed with gzip, zstd, bzip2, xz or zip.",
        ) from None
    whole = len(content) <= most_bytes
    encoding, guessed = _encoding_of(content[:most_bytes], whole=whole)
    with TemporaryDirectory(prefix="headrace-sample-") as folder:
        path = Path(folder) / "sample.csv"
        path.write_bytes(_plain(content[:most_bytes], encoding, whole=whole))
        yield Sample(path, encoding, guessed, whole)


def _opened(file: Path) -> IO[bytes]:
    with file.open("rb") as plain:
        beginning = plain.read(8)
    openers: dict[bytes, Callable[[Path], Any]] = {
        b"\x1f\x8b": gzip.open,
        b"\x28\xb5\x2f\xfd": zstandard.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ": lzma.open,
        b"PK\x03\x04": _only_member,
    }
    for mark, opener in openers.items():
        if beginning.startswith(mark):
            opened: IO[bytes] = opener(file)
            return opened
    return file.open("rb")


def _only_member(path: Path) -> IO[bytes]:
    with zipfile.ZipFile(path) as archive:
        members = [one for one in archive.infolist() if not one.is_dir()]
        if len(members) != 1:
            raise zipfile.BadZipFile(f"it holds {len(members)} files, not one")
        return archive.open(members[0])


def _encoding_of(content: bytes, *, whole: bool) -> tuple[str, bool]:
    """The encoding, and whether it is a guess."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content, final=whole)
    except UnicodeDecodeError:
        return "cp1252", True
    return "utf-8", False


def _plain(content: bytes, encoding: str, *, whole: bool) -> bytes:
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)
    text = decoder("replace").decode(content, final=whole)
    if not whole:
        text = text[: text.rfind("\n") + 1]
    return text.encode()

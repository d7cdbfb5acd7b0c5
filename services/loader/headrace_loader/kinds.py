"""What is this file? Decided by its content and the contract; a name decides only whether a file
that begins as JSON does is JSON in a table of CSV files. Without I/O."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from headrace_loader.unpacking import Packing, is_text
from headrace_shared.drop import CORRECTS
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import ColumnarFormat, CsvFormat, FileFormat, JsonFormat
from headrace_shared.reasons import Reason

HEAD_BYTES: Final = 64
"""So much of a file is looked at."""

_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_SPACE: Final = b" \t\r\n\0"
"""Of JSON, and the half of each character of it in UTF-16."""

_PARQUET: Final = b"PAR1"
_ARROW_FILE: Final = b"ARROW1"
_ARROW_STREAM: Final = b"\xff\xff\xff\xff"
"""The continuation marker: https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format"""

_JSON_NAMES: Final = (".json", ".ndjson", ".jsonl")
_COLUMNAR_NAMES: Final = {
    ".parquet": "Parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".ipc": "Arrow",
}
_KEPT_NAMES: Final = tuple(f"{name}.csv" for name in _COLUMNAR_NAMES)
"""The corrected rows of a columnar file: `a.corrects-<drop id>.parquet.csv`. In a table of columnar
files any corrected file that is text is one."""

_COLUMNAR: Final = CsvFormat(repeated_header="accept")
"""A columnar file is read as CSV of this kind."""


class Kind(StrEnum):
    """What a file can be."""

    CSV = "csv"
    PLAIN_CSV = "plain csv"
    """With commas, double quotes, a header and in UTF-8, whatever the contract says."""
    JSON = "json"
    PARQUET = "parquet"
    ARROW = "arrow"


def kind_of(head: bytes, file: str, written: FileFormat) -> Kind:
    """What a file is.

    A Parquet or an Arrow file needs no options, so it is taken whatever the contract says; and a
    file that is called JSON and begins as JSON does, in a table whose files are CSV, is taken for
    JSON.

    Args:
        head: its first bytes, unpacked.
        file: its name.
        written: what the contract says.

    Raises:
        PermanentError: it is not what the contract says, and cannot be.
    """
    if head.startswith(_PARQUET):
        return Kind.PARQUET
    if head.startswith((_ARROW_FILE, _ARROW_STREAM)):
        return Kind.ARROW
    if bare_name(file).endswith(_KEPT_NAMES):
        return Kind.PLAIN_CSV
    if isinstance(written, ColumnarFormat) and CORRECTS in file and is_text(head):
        return Kind.PLAIN_CSV
    if isinstance(written, ColumnarFormat):
        raise _mismatch(head, written.type, "as the contract says, or change the contract's format")
    ending = PurePosixPath(bare_name(file)).suffix
    if ending in _COLUMNAR_NAMES and not is_text(head):
        raise _mismatch(head, _COLUMNAR_NAMES[ending], "as its name says, or name it as it is")
    if isinstance(written, JsonFormat):
        return Kind.JSON
    return Kind.JSON if _is_called_json(file) and _begins_as_json(head) else Kind.CSV


def format_of(kind: Kind, written: FileFormat) -> CsvFormat | JsonFormat:
    """How a file of this kind is read under a contract."""
    if kind is Kind.CSV:
        return written if isinstance(written, CsvFormat) else CsvFormat(unknown=written.unknown)
    if kind is Kind.JSON and isinstance(written, JsonFormat):
        return written
    if kind is Kind.JSON:
        return JsonFormat(type="json", unknown=written.unknown)
    return _COLUMNAR


def bare_name(file: str) -> str:
    """A file's name in lower case, without the ending of what it is packed in."""
    name = file.lower()
    for packing in Packing:
        name = name.removesuffix(packing)
    return name


def is_called_csv(file: str) -> bool:
    """Whether nothing in a file's name says that it is something else than CSV as it is."""
    others = (*_JSON_NAMES, *_COLUMNAR_NAMES, *_KEPT_NAMES, *Packing)
    return not file.lower().endswith(others)


def _is_called_json(file: str) -> bool:
    return bare_name(file).endswith(_JSON_NAMES)


def _begins_as_json(head: bytes) -> bool:
    for mark in _MARKS:
        head = head.removeprefix(mark)
    beginning = head.lstrip(_SPACE)[:1]
    return beginning in (b"", b"{", b"[")


def _mismatch(head: bytes, kind: str, remedy: str) -> PermanentError:
    return PermanentError(
        Reason(
            code="file_type_mismatch",
            message=f"The file is not {kind}: it begins with {head!r}.",
            remedy=f"Write it {remedy}, and upload it again.",
        )
    )

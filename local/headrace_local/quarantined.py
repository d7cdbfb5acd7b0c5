"""The quarantine's file of one drop, read."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from headrace_local.api_client import DropItem
from headrace_local.aws_errors import told_aws_errors
from headrace_local.errors import PlatformError, UserError
from headrace_local.runs import drop_of
from headrace_local.target import Target, lake_client
from headrace_shared.drop import CORRECTS
from headrace_shared.quarantine import FORMAT, quarantine_key
from headrace_shared.reasons import BadRow
from headrace_shared.text_encodings import byte_order_mark, encoded

_PACKED: Final = re.compile(r"\.(gz|zst|bz2|xz|zip)\Z", re.IGNORECASE)
_COLUMNAR: Final = re.compile(r"\.(parquet|arrow|feather|ipc)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Quarantined:
    """The bad rows of a drop, and what is said of it."""

    about: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]

    def bad_rows(self) -> Iterator[BadRow]:
        """Each fault of each row."""
        for row in self.rows:
            place = {name: row.get(name) for name in ("record", "line", "byte_offset")}
            for fault in row["faults"]:
                yield BadRow.model_validate({**place, **fault})


def quarantined(target: Target, item: DropItem) -> Quarantined:
    """The rows of a drop that are in the quarantine, which is the target's bucket.

    Raises:
        UserError: there are none.
        PlatformError: the file is not one that this version can read.
    """
    key = quarantine_key(drop_of(item))
    client = lake_client(target)
    where = f"s3://{target.bucket}/{key}"
    with told_aws_errors(where, right="s3:GetObject", named_by="--bucket"):
        try:
            content = client.get_object(Bucket=target.bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            raise UserError(
                "This drop has no rows in the quarantine.",
                where,
                f"See what became of it: headrace show {item.drop_id}",
            ) from None
    about, *rows = map(json.loads, gzip.decompress(content).decode().splitlines())
    if about.get("format") != FORMAT:
        raise PlatformError(
            "The quarantine's file is of another version.", where, "Use that version's headrace."
        )
    return Quarantined(about, rows)


def exported(kept: Quarantined) -> bytes:
    """The rows as they stood in their file, each once, under its header and in its encoding."""
    encoding = str(kept.about.get("encoding", "utf-8"))
    header = kept.about.get("header")
    lines = [encoded(header, encoding)] if header else []
    seen: set[Any] = set()
    for row in kept.rows:
        if row["record"] not in seen:
            seen.add(row["record"])
            lines.append(_raw(row, encoding))
    return byte_order_mark(encoding) + encoded("\n", encoding).join([*lines, b""])


def correcting_name(item: DropItem) -> str:
    """The file name that marks a file as one that corrects quarantined rows of the drop."""
    name = PurePosixPath(_PACKED.sub("", item.file or item.key)).name
    stem, _, ending = name.rpartition(".")
    # Rows of a columnar file are kept as CSV, which its name has to tell.
    more = ".csv" if _COLUMNAR.search(name) else ""
    return f"{stem or ending}{CORRECTS}{item.drop_id}.{ending}{more}"


def correcting_key(item: DropItem) -> str:
    """The same behind the folders of the drop's file that give columns their values."""
    folders = (item.file or item.key).split("/")[:-1]
    return "/".join([*(one for one in folders if "=" in one), correcting_name(item)])


def _raw(row: Mapping[str, Any], encoding: str) -> bytes:
    if "raw" in row:
        return encoded(str(row["raw"]), encoding)
    return base64.b64decode(row["raw_base64"])

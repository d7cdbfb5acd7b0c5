"""What the readers of the three kinds of files hand on: the fields of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SourceField:
    """One field of the files.

    Args:
        name: what the file calls it; empty for a header that is empty.
        origin: what a column's `from` has to be, if `name` itself is no column name: the text of
            the header, a JSON path, or a position counted from 1.
        kind: the type, where the file itself says it (Parquet, Arrow, a JSON array).
    """

    name: str
    origin: str | int
    kind: str | None = None
    nullable: bool = True


@dataclass(frozen=True)
class Fields:
    """The fields of a sample.

    Args:
        fields: in the order of the file; the values of the n-th are in `columns[n]`, if there are
            any to look at.
        format: the part `format` of the contract.
        rows: how many rows were looked at.
        unsure: sentences on what the user should look at.
    """

    fields: Sequence[SourceField]
    format: Mapping[str, Any]
    rows: int
    unsure: Sequence[str] = field(default=())

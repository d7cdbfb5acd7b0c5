"""Objects beside data: the markers of Spark, Hadoop and desktops. They are no drops."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Annotated, Final

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

DEFAULT_IGNORED_NAMES: Final = ("_*", ".*", "*.crc", "*_$folder$", "Thumbs.db", "desktop.ini")
"""`_SUCCESS`, `_committed_*`, `_temporary/`, `.f.csv.crc`, `.DS_Store` and their like."""

_PLACE_PARTS: Final = 3
"""The parts of a key before its file."""


def is_ignored(key: str, names: Collection[str], *, whole_key: bool = False) -> bool:
    """Whether a file of the key, or one of its folders after the table, has an ignored name.

    A folder that holds a value (`_day=2026-01-01`) is not ignored.

    Args:
        whole_key: all folders are looked at; no part of the key is the name of a table.
    """
    parts, first = key.split("/"), 0 if whole_key else _PLACE_PARTS
    return any(
        fnmatchcase(part, name)
        for place, part in enumerate(parts)
        for name in names
        if place == len(parts) - 1 or (place >= first and "=" not in part)
    )


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(name.strip() for name in value.split(",") if name.strip())


IgnoredNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Patterns of names, separated by commas: `*` stands for any text, `?` for one character."""

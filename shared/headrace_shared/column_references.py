"""The names by which the parts of a contract refer to its columns.

A name is lower-cased, as the columns' own names are, unless it is exactly that of a quoted column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

_QUOTED: Final = ContextVar[frozenset[str]]("quoted columns", default=frozenset())


@contextmanager
def quoted_columns(names: Collection[str]) -> Iterator[None]:
    """While it is open, these names are those of quoted columns."""
    token = _QUOTED.set(frozenset(names))
    try:
        yield
    finally:
        _QUOTED.reset(token)


def quoted_names(document: object) -> frozenset[str]:
    """The names of the quoted columns of a contract's document."""
    columns = document.get("columns") if isinstance(document, Mapping) else None
    return frozenset(_quoted(columns)) if isinstance(columns, list | tuple) else frozenset()


def is_quoted(name: str) -> bool:
    """Whether a quoted column has this name."""
    return name in _QUOTED.get()


def referred(name: str) -> str:
    """The name of the column that is meant."""
    return name if is_quoted(name) else name.lower()


def _quoted(columns: Collection[Any]) -> Iterator[str]:
    for column in columns:
        if isinstance(column, Mapping) and column.get("quoted") is True:
            name = column.get("name")
            if isinstance(name, str):
                yield name

"""One measurement as a row of the table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    what: str
    figure: str
    beside: str


def table_of(figures: Iterable[Figure]) -> str:
    """The figures as a table."""
    rows = [f"| {one.what} | {one.figure} | {one.beside} |" for one in figures]
    return "\n".join(["| what | figure | beside |", "|---|---|---|", *rows])

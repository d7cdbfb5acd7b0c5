"""Files to load: made once, the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

COLUMNS: Final = {
    "id": "bigint",
    "name": "text",
    "amount": "integer",
    "price": "numeric(12,2)",
    "day": "date",
    "at": "timestamp",
    "flag": "boolean",
    "note": "text",
    "code": "varchar(8)",
    "qty": "smallint",
}
CONTRACT: Final[dict[str, Any]] = {
    "columns": [{"name": name, "type": kind} for name, kind in COLUMNS.items()]
}


def csv_of(folder: Path, megabytes: int) -> Path:
    """A CSV file of ten typed columns and about so many megabytes."""
    path = folder / f"{megabytes}.csv"
    with path.open("w") as file:
        file.write(",".join(COLUMNS) + "\n")
        number = 0
        while file.tell() < megabytes * 1_000_000:
            file.writelines(_row(one) for one in range(number, number + 10_000))
            number += 10_000
    return path


def small_csv(rows: int, start: int) -> str:
    """A small file of the same columns."""
    return ",".join(COLUMNS) + "\n" + "".join(_row(start + one) for one in range(rows))


def _row(number: int) -> str:
    return (
        f"{number},name{number % 9999},{number * 37 % 100_000},{number * 7919 % 1_000_000 / 100},"
        f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d},"
        f"2026-01-01T{number % 24:02d}:{number % 60:02d}:00,{'t' if number % 2 else 'f'},"
        f"some note text number {number},{number % 97:04d},{number % 1000}\n"
    )

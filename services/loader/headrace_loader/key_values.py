"""The values that the folders of a key give to columns: `dt=2026-01-01/`. Without I/O.

So Hive, Spark and Athena write the columns that a table is partitioned by.
https://spark.apache.org/docs/latest/sql-data-sources-parquet.html#partition-discovery
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from headrace_loader.column_names import ColumnNames
from headrace_loader.sifting.converting import converters_of
from headrace_loader.sifting.date_texts import text_check
from headrace_loader.sqlstate import shortened
from headrace_shared.contract import Column, Contract
from headrace_shared.errors import PermanentError
from headrace_shared.field_names import folded
from headrace_shared.reasons import Reason

_NULL: Final = "__HIVE_DEFAULT_PARTITION__"

Values = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Extras:
    """What a file has beside fields that go into columns one by one. Its rows are staged.

    Args:
        left_out: columns of the staging for fields that no column of the contract takes.
        filled: the values of columns that the key has and the file has not.
        compared: the values of columns that the key has and the rows may have too.
    """

    left_out: frozenset[str] = frozenset()
    filled: Values = field(default_factory=dict)
    compared: Values = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.left_out or self.filled or self.compared)

    @property
    def in_key(self) -> Values:
        """All values of the key."""
        return {**self.filled, **self.compared}


NO_EXTRAS: Final = Extras()


def values_in_key(file: str, contract: Contract) -> dict[str, str | None]:
    """The values of the contract's columns in the folders of a key; None is null.

    A folder whose name is no column of the contract says nothing.

    Args:
        file: what follows the table in the key.

    Raises:
        PermanentError: a value cannot be read, or a column has two.
    """
    found: dict[str, str | None] = {}
    for folder in file.split("/")[:-1]:
        name, is_value, written = folder.partition("=")
        column = _column(name, contract) if is_value else None
        if column is None:
            continue
        value = _value(written, column, folder)
        if found.get(column.name, value) != value:
            raise refusal(folder, f"the key has another value for the column {column.name!r} too")
        if value is None and not column.nullable:
            raise refusal(folder, f"the column {column.name!r} must not be null")
        if value is not None:
            value = _converted(value, column, contract)
            _refuse_changed(value, column, folder)
        found[column.name] = value
    return found


def refusal(folder: str, why: str) -> PermanentError:
    """The rejection of a file for a folder of its key."""
    return PermanentError(
        Reason(
            code="partition_value",
            message=f"The folder {shortened(folder)!r} of the key: {why}.",
            remedy="Upload the file again under a key whose folders have values of the columns' "
            "types; or change the column in the contract and replay the drop.",
        )
    )


def _column(name: str, contract: Contract) -> Column | None:
    try:
        plain = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return None
    named = {folded(one.name): one for one in contract.columns}
    return ColumnNames(contract.columns).column_of(plain) or named.get(folded(plain))


def _value(written: str, column: Column, folder: str) -> str | None:
    if written == _NULL:
        return None
    try:
        value = unquote(written, errors="strict")
    except UnicodeDecodeError:
        raise refusal(folder, "its value is not UTF-8") from None
    if "\0" in value:
        raise refusal(folder, f"no value of the column {column.name!r} holds a NUL")
    return value


def _converted(value: str, column: Column, contract: Contract) -> str:
    """The value as Postgres reads it; in a key it may be in ISO form whatever `formats` says."""
    convert = converters_of((column,), contract.format).get(0) if column.formats else None
    try:
        return value if convert is None else convert(value)
    except ValueError:
        return value


def _refuse_changed(value: str, column: Column, folder: str) -> None:
    check = text_check(column)
    fault = check(value) if check is not None else None
    if fault is not None:
        raise refusal(folder, fault.reason)

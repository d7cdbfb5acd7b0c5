"""The tests that a contract may ask for: what may be said of the rows of a drop.

Each is an object with the one key that names it, `{"not_null": "email"}`, and beside it, if
wanted, `severity` and `name`. A null passes every test but `not_null`. Whether the columns exist,
and what their types bear, is for the contract that holds the tests to say.
"""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import (
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from headrace_shared.data_test_fields import (
    AllowedValues,
    Bounds,
    ColumnName,
    Columns,
    Counts,
    Lengths,
    Newest,
    Pattern,
    Reference,
    TestName,
    Text,
    read_duration,
)
from headrace_shared.file_formats import Part

_ROWS: Final = re.compile(r"\{\{\s*rows\s*\}\}")


class Severity(StrEnum):
    """What it means for the drop that a test fails."""

    ERROR = "error"
    WARN = "warn"


class _Test(Part):
    """What every test has."""

    kind: ClassVar[str]

    severity: Severity = Field(
        Severity.ERROR, description="`error` fails the drop or its rows; `warn` only tells."
    )
    name: TestName | None = Field(None, description="What results call the test.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the drop that the test names, lower-cased."""
        return ()

    @property
    def label(self) -> str:
        """The test's name, or what it does: `not_null(email)`."""
        of_columns = f"({', '.join(self.columns)})" if self.columns else ""
        return self.name or f"{self.kind}{of_columns}"


class NotNull(_Test):
    """No value of the column is null."""

    kind = "not_null"

    not_null: ColumnName = Field(description="The column.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.not_null,)


class Unique(_Test):
    """No two rows have the same values in the columns; of those that do, each one fails."""

    kind = "unique"

    unique: Columns = Field(description="The column, or the columns together.")
    within: Literal["drop", "table"] = Field(
        "drop", description="Among the rows of the drop, or of the whole table."
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are compared together."""
        return self.unique

    @property
    def label(self) -> str:
        """As of every test; says where it looks beyond the drop."""
        return self.name or super().label + (" within table" if self.within == "table" else "")


class AcceptedValues(_Test):
    """Every value of the column is one of a list."""

    kind = "accepted_values"

    accepted_values: AllowedValues

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.accepted_values.column,)


class Range(_Test):
    """Every value of the column is within limits, which are inclusive."""

    kind = "range"

    range: Bounds

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.range.column,)


class Length(_Test):
    """Every value of the column, as text, has so many characters."""

    kind = "length"

    length: Lengths

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.length.column,)


class Matches(_Test):
    """Every value of the column, as text, matches a regular expression."""

    kind = "matches"

    matches: Pattern

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.matches.column,)


class References(_Test):
    """Every value of the columns is there in another table."""

    kind = "references"

    references: Reference

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the drop."""
        return self.references.column


class RowCount(_Test):
    """The drop has so many rows."""

    kind = "row_count"

    row_count: Counts


class Freshness(_Test):
    """The greatest value of the column is not older than so long before the drop landed."""

    kind = "freshness"

    freshness: Newest

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.freshness.column,)

    @property
    def within(self) -> timedelta:
        """How long before the drop landed its greatest value may lie."""
        return read_duration(self.freshness.within)


class Sql(_Test):
    """A select over `{{rows}}` answers with no row: those that it answers with fail.

    Rows can be set aside one by one where it keeps their column `"line number"`, as `select *`
    does.
    """

    kind = "sql"

    sql: Text = Field(description="One select over {{rows}}, which are the rows of the drop.")
    name: TestName = Field(description="What results call the test.")

    @field_validator("sql")
    @classmethod
    def _over_the_rows(cls, text: str) -> str:
        if not _ROWS.search(text):
            raise ValueError("must select from {{rows}}, which are the rows of the drop")
        return text

    @property
    def parts(self) -> tuple[str, ...]:
        """The text around each `{{rows}}`, without a semicolon at its end."""
        return tuple(_ROWS.split(self.sql.rstrip().removesuffix(";")))


_Any = (
    NotNull
    | Unique
    | AcceptedValues
    | Range
    | Length
    | Matches
    | References
    | RowCount
    | Freshness
    | Sql
)

_MODELS: Final[dict[str, type[_Test]]] = {model.kind: model for model in get_args(_Any)}

KINDS: Final = tuple(_MODELS)


def _read(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    # Not left to a union, whose faults would tell of every kind that the test is not, or have
    # the kind in their place twice.
    if isinstance(value, _Test):
        return handler(value)
    return _MODELS[_kind(value)].model_validate(value)


DataTest = Annotated[_Any, WrapValidator(_read)]
"""One test, read from its JSON form by the one key that names its kind."""


def _kind(value: object) -> str:
    keys = list(value) if isinstance(value, dict) else None
    if keys is None:
        raise ValueError('a test is an object, such as {"not_null": "email"}')
    named = [key for key in keys if key in _MODELS]
    if len(named) > 1:
        raise ValueError(f"names {' and '.join(named)}; make them tests of their own")
    if named:
        return str(named[0])
    others = [repr(key)[:80] for key in keys if key not in ("severity", "name")]
    told = f"{others[0]} is no test" if others else "names no test"
    raise ValueError(f"{told}; there are {', '.join(KINDS)}")

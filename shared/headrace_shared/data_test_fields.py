"""What a data test may say of its columns: names, values, limits, patterns, durations."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from headrace_shared.column_references import is_quoted
from headrace_shared.file_formats import Part
from headrace_shared.identifiers import RULE, safe_column, safe_identifier, safe_schema

_MOST: Final = 2**63 - 1
"""Postgres counts in bigint."""

_MOST_BITS: Final = 1_024
"""Beyond every number that a column is likely to hold, and within what Python turns into text."""

_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(second|minute|hour|day)s?\Z")
_LONGEST: Final = timedelta(days=36_525)


def _column(name: str) -> str:
    if is_quoted(name):
        return name
    safe = safe_column(name)
    if safe is None:
        raise ValueError(f"{name!r} cannot be a column name; use {RULE}")
    return safe


def _table(name: str) -> str:
    schema, _, table = name.partition(".")
    safe = safe_schema(schema), safe_identifier(table)
    if None in safe:
        raise ValueError(f"{name!r} is no table; write db_name.table_name, each {RULE}")
    return ".".join(map(str, safe))


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a column is there twice")
    return names


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL, which no text in Postgres can hold")
    return text


def _is_scalar(value: object) -> bool:
    match value:
        case bool():
            return True
        case int():
            return value.bit_length() <= _MOST_BITS
        case float():
            return math.isfinite(value)
        case str():
            return "\0" not in value
    return False


def _scalar(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    if not _is_scalar(value):
        raise ValueError("must be a text, a number, true or false; nulls pass without being named")
    return handler(value)


def _limit(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, bool) or not (value is None or _is_scalar(value)):
        raise ValueError("must be a number, or a text such as a date")
    return handler(value)


ColumnName = Annotated[str, AfterValidator(_column)]
Columns = Annotated[
    tuple[ColumnName, ...],
    Field(min_length=1),
    BeforeValidator(
        _listed, json_schema_input_type=str | Annotated[tuple[str, ...], Field(min_length=1)]
    ),
    AfterValidator(_once),
]
TestName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_no_nul),
]
Text = Annotated[str, StringConstraints(min_length=1), AfterValidator(_no_nul)]
TableName = Annotated[str, AfterValidator(_table)]
Scalar = Annotated[bool | int | float | str, WrapValidator(_scalar)]
Limit = Annotated[int | float | str | None, WrapValidator(_limit)]
Count = Annotated[int, Field(strict=True, ge=0, le=_MOST)]


class AllowedValues(Part):
    """The column of an `accepted_values` test and what it may hold."""

    column: ColumnName
    values: tuple[Scalar, ...] = Field(min_length=1)


class Bounds(Part):
    """The column of a `range` test and its limits, both inclusive; at least one is there."""

    column: ColumnName
    min: Limit = Field(None, description="The least value: a number, or a text such as a date.")
    max: Limit = Field(None, description="The greatest value, of the same kind as `min`.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        texts = [isinstance(limit, str) for limit in (self.min, self.max) if limit is not None]
        if len(set(texts)) > 1:
            raise ValueError("min and max must be two numbers or two texts")
        # Of what type the texts are, only the column says.
        _refuse_bounds(self.min, self.max, comparable=texts == [False, False])
        return self


class Counts(Part):
    """How many; at least one limit is there."""

    min: Count | None = None
    max: Count | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        _refuse_bounds(self.min, self.max, comparable=None not in (self.min, self.max))
        return self


class Lengths(Counts):
    """The column of a `length` test and its limits in characters."""

    column: ColumnName


class Pattern(Part):
    """The column of a `matches` test and the regular expression."""

    column: ColumnName
    pattern: Text = Field(
        description="A regular expression of Postgres. It may match anywhere in the value: begin "
        "it with ^ and end it with $ where the whole value is meant."
    )


class Reference(Part):
    """The columns of a `references` test, and those of another table that hold their values."""

    column: Columns = Field(description="The column, or the columns together.")
    table: TableName = Field(description="As `db_name.table_name`.")
    to: Columns = Field(description="As many columns of that table, in the same order.")

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.column) != len(self.to):
            raise ValueError("column and to must name as many columns")
        return self


class Newest(Part):
    """The column of a `freshness` test and how old its greatest value may be."""

    column: ColumnName
    within: str = Field(description="How long before the drop landed: `90 minutes`, `36 hours`.")

    @field_validator("within")
    @classmethod
    def _readable(cls, text: str) -> str:
        read_duration(text)
        return text


def read_duration(text: str) -> timedelta:
    """The duration in a text such as `36 hours`.

    Raises:
        ValueError: it is none, or is longer than a hundred years.
    """
    match = _DURATION.match(" ".join(text.lower().split()))
    if match is None:
        raise ValueError(
            f"{text!r} is no duration; write a number of seconds, minutes, hours or days"
        )
    duration = timedelta(**{f"{match[2]}s": float(match[1])})
    if duration > _LONGEST:
        raise ValueError(f"{text!r} is longer than a hundred years")
    return duration


def _refuse_bounds(least: Any, most: Any, *, comparable: bool) -> None:
    if least is None and most is None:
        raise ValueError("min or max is missing")
    if comparable and least > most:
        raise ValueError("min is above max")

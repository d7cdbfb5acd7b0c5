"""The part `api` of a contract: what may be shown of a table's rows, and by what they are found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue

from headrace_shared.column_references import referred
from headrace_shared.column_types import is_further
from headrace_shared.file_formats import Part

ColumnName = Annotated[str, AfterValidator(referred)]
"""A column of the same contract."""

_WITHOUT_RANGE: Final = ("boolean", "json", "jsonb")


class FilterColumn(Part):
    """A column that rows may be asked for by; written as its name alone, for equality only."""

    column: ColumnName
    range: bool = Field(
        default=False, description="It may be asked for by limits too (gt, gte, lt, lte)."
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: object) -> object:
        return {"column": given} if isinstance(given, str) else given

    @model_serializer(mode="wrap")
    def _as_short_as_it_goes(self, handler: SerializerFunctionWrapHandler) -> Any:
        return handler(self) if self.range else self.column

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        written_out = handler.resolve_ref_schema(handler(core_schema))
        whole = dict(written_out)
        written_out.clear()
        written_out.update(
            {"title": whole.pop("title"), "anyOf": [{"type": "string"}, whole]},
            description=whole.pop("description"),
        )
        return written_out


class ApiAccess(Part):
    """What the API may show of the table's rows. Without this part it shows none."""

    filter_by: tuple[FilterColumn, ...] = Field(
        (),
        description="The columns that rows may be asked for by: each a name, or "
        '`{"column": ..., "range": true}`.',
    )
    columns: tuple[ColumnName, ...] = Field(
        (), description="The columns that are shown; without any, those of `filter_by` alone."
    )

    @field_validator("filter_by")
    @classmethod
    def _each_once(cls, filters: tuple[FilterColumn, ...]) -> tuple[FilterColumn, ...]:
        names = [one.column for one in filters]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is there twice")
        return filters

    @property
    def filter_names(self) -> tuple[str, ...]:
        """The columns of `filter_by`."""
        return tuple(one.column for one in self.filter_by)

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns that may be shown, each once."""
        return tuple(dict.fromkeys(self.columns or self.filter_names))

    def incomparable(self, types: Mapping[str, str]) -> Iterator[str]:
        """The columns of `filter_by` that Postgres cannot compare so, and why.

        Args:
            types: of the contract's columns, as far as they are known, in canonical spelling.
        """
        for one in self.filter_by:
            kind = types.get(one.column, "")
            if kind == "json":
                yield f"{one.column!r} is json, which has no equality; use jsonb"
            elif is_further(kind):
                yield f"{one.column!r} is {kind}, by which the API finds no rows"
            elif one.range and kind in _WITHOUT_RANGE:
                yield f"a range of {one.column!r}, which is {kind}"

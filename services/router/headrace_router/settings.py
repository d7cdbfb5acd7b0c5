"""The router's settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from headrace_shared.identifiers import RULE, safe_schema
from headrace_shared.settings import InboxSettings

ANY_DATABASE = "*"


class RouterSettings(InboxSettings):
    """Read once at the start; a database name is a schema of the warehouse."""

    databases: Annotated[frozenset[str], NoDecode] = Field(
        description="The db_names that drops may name, separated by commas; `*` allows any."
    )

    @field_validator("databases", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return frozenset(name.strip().lower() for name in value.split(",") if name.strip())

    @field_validator("databases")
    @classmethod
    def _safe(cls, names: frozenset[str]) -> frozenset[str]:
        if not names:
            raise ValueError("name at least one database, or * for any")
        unsafe = sorted(name for name in names - {ANY_DATABASE} if safe_schema(name) is None)
        if unsafe:
            raise ValueError(f"{unsafe[0]!r} cannot be a database name; use {RULE}")
        return names

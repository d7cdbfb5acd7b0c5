"""The router's settings."""

from __future__ import annotations

from pydantic import Field, field_validator

from headrace_shared.ignored_names import DEFAULT_IGNORED_NAMES, IgnoredNames
from headrace_shared.settings import Databases, InboxSettings


class RouterSettings(InboxSettings):
    """Read once at the start; a database name is a schema of the warehouse."""

    databases: Databases = Field(
        description="The db_names that drops may name, separated by commas; `*` allows any."
    )

    ignored_names: IgnoredNames = Field(
        DEFAULT_IGNORED_NAMES,
        description="Names of files and folders that are no drops, such as Spark's `_SUCCESS`: "
        "patterns with `*` and `?`, separated by commas.",
    )

    @field_validator("databases")
    @classmethod
    def _some(cls, names: frozenset[str]) -> frozenset[str]:
        if not names:
            raise ValueError("name at least one database, or * for any")
        return names

"""The router's settings."""

from __future__ import annotations

from pydantic import Field, field_validator

from headrace_shared.key_rules import KeySettings
from headrace_shared.settings import Databases, InboxSettings


class RouterSettings(InboxSettings, KeySettings):
    """Read once at the start; a database name is a schema of the warehouse."""

    databases: Databases = Field(
        description="The db_names that drops may name, separated by commas; `*` allows any."
    )

    @field_validator("databases")
    @classmethod
    def _some(cls, names: frozenset[str]) -> frozenset[str]:
        if not names:
            raise ValueError("name at least one database, or * for any")
        return names

"""The loader's settings."""

from __future__ import annotations

from pydantic import Field

from headrace_shared.settings import InboxSettings, WarehouseSettings


class LoaderSettings(InboxSettings, WarehouseSettings):
    """Read once at the start."""

    concurrency: int = Field(
        4,
        ge=1,
        le=100,
        description="Loads at a time; each holds one warehouse connection.",
    )
    contract_wait_seconds: float = Field(
        900,
        ge=0,
        description="How long after its landing a drop waits for its table's contract.",
    )
    lock_timeout_seconds: float = Field(
        10,
        gt=0,
        description="How long a load waits for a lock before it steps back and tries again later.",
    )

"""The loader's settings."""

from __future__ import annotations

from pydantic import Field

from headrace_shared.settings import InboxSettings, WarehouseSettings


class LoaderSettings(InboxSettings, WarehouseSettings):
    """Read once at the start."""

    concurrency: int = Field(
        50,
        ge=1,
        le=500,
        description="Messages in hand: small appends among them are loaded together.",
    )
    loads: int = Field(
        4,
        ge=1,
        le=100,
        description="Loads at a time, and as many batches; each holds one warehouse connection.",
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
    lake_stall_seconds: float = Field(
        30,
        gt=0,
        description="How long a load that holds locks waits for bytes of the lake.",
    )

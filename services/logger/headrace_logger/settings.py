"""The logger's settings."""

from __future__ import annotations

from pydantic import Field

from headrace_shared.settings import InboxSettings


class LoggerSettings(InboxSettings):
    """Read once at the start."""

    concurrency: int = Field(
        64, ge=1, le=500, description="Events in hand: those of one drop are written together."
    )
    writes: int = Field(16, ge=1, le=500, description="Items of the log written at a time.")
    log_table: str = Field(min_length=1, description="Name of the DynamoDB table of the log.")
    log_expiry_days: int = Field(
        0, ge=0, description="Days after its last change when a drop's item expires; 0: never."
    )

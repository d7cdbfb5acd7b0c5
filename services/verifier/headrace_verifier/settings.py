"""The verifier's settings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import AwareDatetime, Field

from headrace_shared.key_rules import KeySettings
from headrace_shared.settings import LakeSettings, WarehouseSettings
from headrace_verifier.verification import Plan


class VerifierSettings(WarehouseSettings, LakeSettings, KeySettings):
    """Read once at the start."""

    log_table: str = Field(min_length=1, description="Name of the DynamoDB table of the log.")
    bus_name: str = Field(description="Name or ARN of the EventBridge bus for facts.", min_length=1)
    interval_seconds: float = Field(
        3_600, ge=1, description="From the beginning of one verification to that of the next."
    )
    repair: bool = Field(default=True, description="Publish what mends a difference.")
    verify_grace_seconds: float = Field(
        300, ge=0, description="What is younger is left alone: it may be on its way."
    )
    lake_prefix: str = Field("", description="Verify only keys that begin with it.")
    count_rows: bool = Field(
        default=True, description="Count the rows of every table, which reads each table once."
    )
    log_expiry_days: int = Field(
        0, ge=0, description="As the logger's setting: after so long the log may forget a drop."
    )
    liveness_file: Path | None = Field(
        None, description="A file touched every few seconds, for health checks."
    )

    lake_since: AwareDatetime | None = Field(
        None,
        description="When Headrace was put onto a bucket that had objects already "
        "(`2026-11-27T12:00:00Z`): older ones are left alone. Empty: all objects are drops.",
    )

    @property
    def log_expiry(self) -> timedelta | None:
        """None: items never leave the log."""
        return timedelta(days=self.log_expiry_days) if self.log_expiry_days else None

    @property
    def plan(self) -> Plan:
        """What the service verifies at every interval."""
        return Plan(
            repair=self.repair,
            grace=timedelta(seconds=self.verify_grace_seconds),
            prefix=self.lake_prefix,
            log_expiry=self.log_expiry,
            lake_since=self.lake_since,
            rows=self.count_rows,
            key_rules=self.key_rules,
        )

"""The API's settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from headrace_shared.settings import WarehouseSettings


class ApiSettings(WarehouseSettings):
    """Read once at the start."""

    log_table: str = Field(min_length=1, description="Name of the DynamoDB table of the log.")
    cursor_secret: str = Field(
        min_length=16,
        description="Signs the cursors of pages; the same for every process of the API.",
    )
    api_host: str = Field(
        "127.0.0.1",
        description="Address to listen on; there is no authentication yet, so loopback.",
    )
    api_port: int = Field(8080, ge=1, le=65_535, description="Port to listen on.")
    warehouse_connections: int = Field(
        4, ge=1, le=100, description="The most warehouse connections that one process holds."
    )
    statement_timeout_seconds: float = Field(
        5, gt=0, description="How long one query of the warehouse may take."
    )
    liveness_file: Path | None = Field(
        None, description="A file touched every few seconds, for health checks."
    )

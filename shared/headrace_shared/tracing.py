"""W3C trace context: one trace per drop.

The trace id *is* the drop id (both are 16 bytes), so every service, retry and replay of a drop
falls into one trace, and whoever knows the drop can look its trace up.
https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

import secrets
from uuid import UUID


def traceparent(drop_id: UUID) -> str:
    """A new span's traceparent within the trace of a drop."""
    return f"00-{drop_id.hex}-{secrets.token_hex(8)}-01"


def trace_id(drop_id: UUID) -> str:
    """The trace id of a drop, as log lines carry it."""
    return drop_id.hex

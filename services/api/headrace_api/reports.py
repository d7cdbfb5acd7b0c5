"""What the operations on quarantine, tests and figures answer.

Times are RFC 3339 in UTC; ids are UUIDs.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pydantic import BaseModel, Field, JsonValue

from headrace_api.examples import DROP_ID, HOUR, LANDED, example
from headrace_shared.log_schema import State
from headrace_shared.reasons import TestResult


class Fault(BaseModel):
    """What is wrong at one place of a row."""

    code: str | None = None
    column: str | None = None
    value: str | None = None
    reason: str


class QuarantinedRow(BaseModel):
    """A bad row, as it stands in its file."""

    record: int | None = Field(None, description="Counted from 1, without the header.")
    line: int | None = Field(None, description="Of the unpacked file, where the row begins.")
    byte_offset: int | None = None
    faults: list[Fault]
    raw: str | None = None
    raw_base64: str | None = Field(None, description="In place of `raw` where it is no UTF-8.")


BAD_ROW: Final[dict[str, JsonValue]] = {
    "record": 2,
    "line": 3,
    "byte_offset": 14,
    "faults": [
        {
            "code": "wrong_type",
            "column": "id",
            "value": "four",
            "reason": "'four' is no whole number.",
        }
    ],
    "raw": "four,Mary",
}
"""An example of one, as its file in the quarantine has it."""


class QuarantinePage(BaseModel):
    """Bad rows of a drop, in the order of their file."""

    model_config = example(
        drop_id=DROP_ID,
        set_aside=True,
        header="id,name",
        encoding="utf-8",
        items=[{**BAD_ROW, "raw_base64": None}],
        next_cursor=None,
    )

    drop_id: UUID
    set_aside: bool = Field(description="The other rows are loaded; else the drop is rejected.")
    header: str | None = Field(None, description="The first line of the file, if it has one.")
    encoding: str = "utf-8"
    items: list[QuarantinedRow]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class LatestTest(TestResult):
    """How a test ended the last time that it ran."""

    drop_id: UUID
    landed_timestamp: str
    state: State = Field(description="Of the drop on whose rows it ran.")


class LatestTests(BaseModel):
    """The latest result of each test of a table."""

    model_config = example(
        items=[
            {
                "label": "identifier is not null",
                "kind": "not_null",
                "severity": "error",
                "passed": True,
                "failing_rows": 0,
                "message": "",
                "columns": ["identifier"],
                "sample": [],
                "drop_id": DROP_ID,
                "landed_timestamp": LANDED,
                "state": "loaded",
            }
        ],
        drops_read=12,
    )

    items: list[LatestTest] = Field(description="By label; those that have not run are missing.")
    drops_read: int = Field(description="The newest drops of the table that were looked at.")


class LogLag(BaseModel):
    """How far the log is behind what happens."""

    model_config = example(lag_seconds=0.0, written_through="2026-11-20T22:38:16.402Z")

    lag_seconds: float | None = Field(
        description="How long the oldest event that is not in the log has waited; 0 where none "
        "waits. It grows while no logger runs. Null before a logger has run."
    )
    written_through: str | None = Field(description="Events from before are in the log.")


class HourFigures(BaseModel):
    """What landed within one hour, as it stands now."""

    hour: str = Field(description="Its beginning.")
    complete: bool = Field(
        description="False: too much landed to be read; the figures are partial."
    )
    drops_by_state: dict[State, int]
    rows_loaded: int
    rows_quarantined: int
    bytes: int
    landed_to_loaded_ms_p50: int | None = Field(description="Of first runs; null of none.")
    landed_to_loaded_ms_p90: int | None
    landed_to_loaded_ms_p99: int | None


class Stats(BaseModel):
    """Figures by hour, the earliest first."""

    model_config = example(
        hours=[
            {
                "hour": HOUR,
                "complete": True,
                "drops_by_state": {"loaded": 12, "rejected": 1},
                "rows_loaded": 1440,
                "rows_quarantined": 2,
                "bytes": 49152,
                "landed_to_loaded_ms_p50": 84,
                "landed_to_loaded_ms_p90": 120,
                "landed_to_loaded_ms_p99": 940,
            }
        ],
        complete_from=HOUR,
    )

    hours: list[HourFigures]
    complete_from: str = Field(
        description="Every drop that landed at or after this time is counted; earlier ones may not "
        "be, where too many landed."
    )

"""What the examples of the API's document tell of: one drop, its table and its contract."""

from __future__ import annotations

from typing import Final

from pydantic import ConfigDict, JsonValue

from headrace_shared.contract import Contract

DB_NAME: Final = "dev"
TABLE_NAME: Final = "user_data"
KEY: Final = f"{DB_NAME}/append/{TABLE_NAME}/users.csv"
DROP_ID: Final = "6b00cbd6-d6dc-8d90-8a07-977eb6a217f0"
CONTRACT_ID: Final = "6b00c9e8-0000-8000-8000-01739a5fff93"
DAY: Final = "2026-11-20T00:00:00Z"
HOUR: Final = "2026-11-20T22:00:00Z"
LANDED: Final = "2026-11-20T22:38:14Z"
UPDATED: Final = "2026-11-20T22:38:14.204Z"
CURSOR: Final = "AhV3m6-3To8ALWcIILuakQtuw_M7ewHdFHVo2fVaaPyS0iYot85vTlBtdR4F"
"""A real one, of a secret that is nobody's."""
IDEMPOTENCY_KEY: Final = "0f3b6e7a-41c2-4d6b-9a55-5f6de1c5b1a4"
REQUEST_ID: Final = "6f1f0c2e9a3b5d71"

DROP: Final[dict[str, JsonValue]] = {
    "drop_id": DROP_ID,
    "db_name": DB_NAME,
    "action": "append",
    "table_name": TABLE_NAME,
    "file": "users.csv",
    "bucket": "headrace-lake",
    "key": KEY,
    "version_id": None,
    "etag": "e5ebd4c02cefbe7955977c67ada242b7",
    "sequencer": "0055AED6DCD90281E5",
    "landed_timestamp": LANDED,
    "landed_at": "2026-11-20T22:38:14.000Z",
    "state": "loaded",
    "stage": "load",
    "status": "success",
    "rows_loaded": 120,
    "rows_quarantined": 0,
    "bad_rows": None,
    "corrects": None,
    "corrected_by": None,
    "warnings": None,
    "tests": None,
    "rows_removed": None,
    "bytes": 4096,
    "duration_ms": 204,
    "load_ms": 31,
    "attempts": 1,
    "run": 0,
    "reason": None,
    "superseded_by": None,
    "retry_at": None,
    "updated_at": UPDATED,
}

CONTRACT: Final[dict[str, JsonValue]] = Contract.model_validate(
    {
        "columns": [
            {"name": "username", "type": "varchar(64)", "nullable": False},
            {"name": "identifier", "type": "bigint"},
            {"name": "born_on", "type": "date"},
        ],
        "primary_key": ["username"],
        "api": {"filter_by": ["username"], "columns": ["username", "identifier", "born_on"]},
    }
).model_dump(mode="json")
"""With all that it leaves open, as the warehouse keeps it."""


def example(**of: JsonValue) -> ConfigDict:
    """The configuration of a model that shows an example in the API's document."""
    return ConfigDict(json_schema_extra={"example": of})

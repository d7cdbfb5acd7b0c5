"""What the API answers with. Times are RFC 3339 in UTC; ids are UUIDs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from headrace_api.examples import (
    CONTRACT,
    CONTRACT_ID,
    DB_NAME,
    DROP,
    DROP_ID,
    TABLE_NAME,
    UPDATED,
    example,
)
from headrace_shared.log_schema import State
from headrace_shared.reasons import BadRow, LoadWarning, Reason, TestResult


class DropItem(BaseModel):
    """Where a drop is, and how it got there."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": DROP})

    drop_id: UUID
    db_name: str | None = None
    action: str | None = None
    table_name: str | None = None
    file: str | None = None
    bucket: str
    key: str
    version_id: str | None = None
    etag: str
    sequencer: str | None = Field(None, description="S3's order of the versions of one key.")
    landed_timestamp: str = Field(description="When the file landed, in whole seconds.")
    landed_at: str | None = Field(None, description="The same as precisely as S3 told it.")
    state: State
    stage: str = Field(
        description="The latest step, or the step that failed: route, transform (a row or the file "
        "cannot be read), test (a test of the contract failed) or load."
    )
    status: str = Field(description="How the latest step went: success or fail.")
    rows_loaded: int | None = Field(None, description="Null until the drop has ended.")
    rows_quarantined: int | None = Field(None, description="Bad rows that are in quarantine.")
    bad_rows: tuple[BadRow, ...] | None = Field(
        None, description="The first of the rows in quarantine."
    )
    corrects: UUID | None = Field(
        None, description="The drop whose quarantined rows this one corrects."
    )
    corrected_by: UUID | None = Field(
        None, description="The latest drop that corrects quarantined rows of this one."
    )
    warnings: tuple[LoadWarning, ...] | None = Field(
        None, description="What to look at although the drop was loaded."
    )
    tests: tuple[TestResult, ...] | None = Field(
        None, description="How the contract's tests ended; of a rejected drop see its reason."
    )
    rows_removed: int | None = Field(None, description="Taken out of the table by a revert.")
    bytes: int = Field(description="Size of the object in the lake.", validation_alias="size_bytes")
    duration_ms: int | None = Field(
        None, description="From landing, or from the request of a later run, to the end."
    )
    load_ms: int | None = Field(None, description="The work of the load alone.")
    attempts: int
    run: int = Field(
        0, description="The run that it is in: 0, or a request in milliseconds since the epoch."
    )
    reason: Reason | None = Field(None, description="Why it waits, was rejected or failed.")
    superseded_by: UUID | None = None
    retry_at: str | None = Field(None, description="When a waiting drop is tried again.")
    updated_at: str


class Step(BaseModel):
    """One step of a drop's road."""

    at: str
    state: State
    stage: str
    status: str
    attempt: int
    message: str | None = None


class DropStory(DropItem):
    """A drop and every step of its road."""

    model_config = example(
        **DROP,
        changes=[],
        contract_id=CONTRACT_ID,
        timeline=[
            {
                "at": "2026-11-20T22:38:14.120Z",
                "state": "routed",
                "stage": "route",
                "status": "success",
                "attempt": 1,
                "message": None,
            },
            {
                "at": UPDATED,
                "state": "loaded",
                "stage": "load",
                "status": "success",
                "attempt": 1,
                "message": None,
            },
        ],
    )

    changes: list[str] = Field(default=[], description="What a contract changed.")
    contract_id: UUID | None = Field(None, description="The contract that it was loaded under.")
    timeline: list[Step]


_Drop = TypeVar("_Drop", bound=DropItem)
_Test = TypeVar("_Test", bound=TestResult)


def without_values(drop: _Drop) -> _Drop:
    """A copy without what stood in rows: the bad rows, and the samples of tests."""
    tests = without_samples(drop.tests) if drop.tests is not None else None
    reason = drop.reason
    if reason is not None:
        told = {"bad_rows": (), "tests": without_samples(reason.tests)}
        reason = reason.model_copy(update=told)
    return drop.model_copy(update={"bad_rows": None, "tests": tests, "reason": reason})


def without_samples(tests: Iterable[_Test]) -> tuple[_Test, ...]:
    """Results of tests without values of rows."""
    return tuple(one.model_copy(update={"sample": ()}) for one in tests)


class DropEvent(BaseModel):
    """A drop has come to a state; what happened to it besides, its own operation tells."""

    model_config = ConfigDict(extra="ignore")

    drop_id: UUID
    db_name: str | None = None
    action: str | None = None
    table_name: str | None = None
    file: str | None = None
    key: str
    landed_timestamp: str
    state: State
    stage: str
    status: str
    attempts: int
    run: int = 0
    rows_loaded: int | None = None
    rows_quarantined: int | None = None
    bytes: int = Field(validation_alias="size_bytes")
    duration_ms: int | None = None
    updated_at: str


class DropPage(BaseModel):
    """Drops, the newest first. A page may be short, or empty, and still have a next one."""

    model_config = example(items=[DROP], next_cursor=None)

    items: list[DropItem]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null on the last page.")


_TABLE: Final[dict[str, JsonValue]] = {
    "db_name": DB_NAME,
    "table_name": TABLE_NAME,
    "contract_id": CONTRACT_ID,
    "last_loaded_at": UPDATED,
    "last_drop_id": DROP_ID,
}


class TableItem(BaseModel):
    """A table that has a contract."""

    db_name: str
    table_name: str
    contract_id: UUID
    last_loaded_at: str | None = None
    last_drop_id: UUID | None = None


class TableList(BaseModel):
    """Every table that has a contract."""

    model_config = example(items=[_TABLE])

    items: list[TableItem]


class TableDetail(TableItem):
    """A table, its contract, and how its drops fared."""

    model_config = example(
        **_TABLE,
        contract=CONTRACT,
        row_count=120,
        row_count_is_exact=True,
        drops_by_state={"loaded": 1},
    )

    contract: dict[str, Any]
    row_count: int | None = Field(description="Null where the table cannot be read.")
    row_count_is_exact: bool = Field(description="False: the database's own estimate.")
    drops_by_state: dict[State, int]


class ContractItem(BaseModel):
    """A contract that was dropped for a table, and what became of it."""

    contract_id: UUID = Field(description="The id of its drop.")
    state: Literal["accepted", "refused", "reverted"]
    in_force: bool = Field(description="The table has the shape that this one gives it.")
    key: str
    version_id: str | None = None
    landed_timestamp: str
    applied_at: str = Field(description="When it was accepted, refused or reverted.")
    changes: list[str] = Field(description="What it changed; a sentence each.")
    reason: Reason | None = Field(None, description="Why it was refused: the exact difference.")
    contract: dict[str, Any] | None = Field(description="Null where it could not be read.")


class ContractPage(BaseModel):
    """The contracts of a table, the newest first."""

    model_config = example(
        items=[
            {
                "contract_id": CONTRACT_ID,
                "state": "accepted",
                "in_force": True,
                "key": f"{DB_NAME}/schema/{TABLE_NAME}/contract.json",
                "version_id": None,
                "landed_timestamp": "2026-11-20T22:30:00Z",
                "applied_at": "2026-11-20T22:30:00.310Z",
                "changes": [],
                "reason": None,
                "contract": CONTRACT,
            }
        ],
        next_cursor=None,
    )

    items: list[ContractItem]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class RowPage(BaseModel):
    """Rows of a table, in the order of its key."""

    model_config = example(
        items=[{"username": "ada", "identifier": "1815", "born_on": "1815-12-10"}],
        next_cursor=None,
    )

    items: list[dict[str, JsonValue]] = Field(
        description="`bigint` and `numeric` are strings, whatever their value; so are NaN and "
        "infinities of `real` and `double precision`."
    )
    next_cursor: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class Health(BaseModel):
    """`ok`, or what is not."""

    model_config = example(status="ok", checks={})

    status: str
    checks: dict[str, str] = {}

"""What the verifier compares: a version in the lake, a row of the ledger, an item of the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from headrace_shared.drop import Drop, drop_id, drop_in_ledger
from headrace_shared.final_events import FinalState, Findings
from headrace_shared.log_schema import AS_LANDED, END_STATES, State, state_order, step_attribute
from headrace_shared.reasons import LoadWarning, Reason, TestResult
from headrace_shared.reruns import logged_drop

EVENT_DELAY: Final = timedelta(minutes=1)
"""Between the end of an upload and the time of its event lie seconds."""

UPLOAD_IN_PARTS: Final = timedelta(days=7)
"""LastModified of a multipart upload is its beginning; an upload may take days."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one object, as the lake lists it.

    `modified` is S3's LastModified: when the upload ended, or, of a multipart upload, began.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
    """

    bucket: str
    key: str
    version_id: str | None
    etag: str
    size_bytes: int
    modified: datetime
    is_latest: bool = True

    @property
    def event_delay(self) -> timedelta:
        """How long after `modified` its event may say that it landed; the etag of an upload in
        parts ends in their number."""
        return UPLOAD_IN_PARTS if "-" in self.etag else EVENT_DELAY

    def drop(self) -> Drop:
        """The drop that it is. Its place in the order is that of its listing: the second in which
        it was modified, and before everything else of that second, for only an event has a
        sequencer."""
        return Drop(
            drop_id=drop_id(
                landed_at=self.modified,
                sequencer=None,
                bucket=self.bucket,
                key=self.key,
                version_id=self.version_id,
                etag=self.etag,
            ),
            bucket=self.bucket,
            key=self.key,
            version_id=self.version_id,
            etag=self.etag,
            size_bytes=self.size_bytes,
            landed_at=self.modified,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(FinalState):
    """A row of the ledger. `reopened_at`: since when it waits to be loaded again."""

    reopened_at: datetime | None = None

    @property
    def order(self) -> int:
        """The place of its end on the log's road."""
        return state_order(self.state, 1, self.run)


@dataclass(frozen=True, slots=True)
class Item:
    """A drop's item in the log.

    Args:
        bad_rows: how many places of quarantined rows it shows.
        asked_at_stage: where its run was asked for: `route` by a replay, `load` by a revert;
            None where nobody asked.
        as_landed: it was asked for as if its first event had only been late.
    """

    drop: Drop
    state: State
    order: int
    run: int
    stage: str
    attempts: int
    updated_at: datetime
    retry_at: datetime | None
    rows_loaded: int | None
    rows_quarantined: int | None
    bad_rows: int
    tests: tuple[TestResult, ...]
    warnings: tuple[LoadWarning, ...]
    reason: Reason | None
    superseded_by: UUID | None
    asked_at_stage: str | None
    as_landed: bool

    @property
    def has_ended(self) -> bool:
        """Whether the drop is at an end state."""
        return self.state in END_STATES


def entry_of(row: Mapping[str, Any]) -> Entry:
    """A row of the ledger, with the changes of its contract."""
    reason = row["reason"]
    return Entry(
        drop=drop_in_ledger(row),
        state=State(row["outcome"]),
        run=row["run"],
        reopened_at=row["reopened_at"],
        started_at=row["started_at"],
        applied_at=row["applied_at"],
        rows_loaded=row["rows_loaded"],
        rows_removed=row["rows_removed"],
        rows_quarantined=row["rows_quarantined"],
        findings=Findings.of_document(row["told"]),
        contract_id=row["contract_id"],
        superseded_by=row["superseded_by"],
        reason=Reason.model_validate(reason) if reason else None,
        changes=tuple(row["changes"] or ()),
    )


def item_of(raw: Mapping[str, Any]) -> Item:
    """An item from its attributes."""
    run = raw.get("run", 0)
    asked = raw.get(step_attribute(State.REQUESTED, 1, run))
    return Item(
        drop=logged_drop(raw),
        state=State(raw["state"]),
        order=raw["state_order"],
        run=run,
        stage=raw["stage"],
        attempts=raw["attempts"],
        updated_at=datetime.fromisoformat(raw["updated_at"]),
        retry_at=datetime.fromisoformat(raw["retry_at"]) if "retry_at" in raw else None,
        rows_loaded=raw.get("rows_loaded"),
        rows_quarantined=raw.get("rows_quarantined"),
        bad_rows=len(raw.get("bad_rows", ())),
        tests=tuple(TestResult.model_validate(one) for one in raw.get("tests", ())),
        warnings=tuple(LoadWarning.model_validate(one) for one in raw.get("warnings", ())),
        reason=Reason.model_validate(raw["reason"]) if "reason" in raw else None,
        superseded_by=UUID(raw["superseded_by"]) if "superseded_by" in raw else None,
        asked_at_stage=asked["stage"] if asked else None,
        as_landed=asked is None or AS_LANDED in asked,
    )

"""The facts that services publish about what happened; never commands.

Each travels as one EventBridge event on the bus `headrace`: `detail-type` is the fact's name,
`detail` the model as JSON. A reader ignores fields that it does not know, and refuses a major
version that it does not know: old and new versions share the queues during a rolling deploy.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from headrace_shared.drop import Drop
from headrace_shared.errors import HeadraceError
from headrace_shared.reasons import BadRow, LoadWarning, Reason, TestResult

SOURCE = "headrace"
VERSION = "1.1"


class UnknownFactError(HeadraceError):
    """A message on the bus that this version of Headrace cannot read; it stays in the queue."""


class Stage(StrEnum):
    """The step of the road that a fact speaks of."""

    ROUTE = "route"
    TRANSFORM = "transform"
    TEST = "test"
    LOAD = "load"


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


class _Fact(BaseModel):
    """What every fact carries.

    `run` orders the runs of one drop: 0 for the first, which its landing began; the moment of the
    request in milliseconds since the epoch for a run that somebody asked for; never smaller than
    the run before.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    detail_type: ClassVar[str]

    version: Annotated[str, Field(pattern=r"^\d+\.\d+$")] = VERSION
    drop: Drop
    run: int = Field(0, ge=0)
    occurred_at: datetime = Field(default_factory=now)
    traceparent: str | None = None


class DropRouted(_Fact):
    """A drop landed at a good key: somebody may load it.

    `request` is the replay that led to this, as its run; 0 where none did.
    """

    detail_type: ClassVar[str] = "Drop Routed"

    request: int = Field(0, ge=0)


class DropRejected(_Fact):
    """A drop will not be loaded as it is; `reason` says why and what to do."""

    detail_type: ClassVar[str] = "Drop Rejected"

    stage: Stage
    reason: Reason
    attempt: int = 1
    duration_ms: int | None = None


class LoadStarted(_Fact):
    """A loader began to load a drop."""

    detail_type: ClassVar[str] = "Load Started"

    attempt: int


class LoadSucceeded(_Fact):
    """The rows of a drop are committed, together with its ledger row.

    `duration_ms` is the work of the load alone; `bytes` the object's size as it lies in the lake;
    `bad_rows` the first of those that are in the quarantine; `tests` how the tests ended;
    `warnings` what to look at although the drop was loaded.
    """

    detail_type: ClassVar[str] = "Load Succeeded"

    attempt: int
    rows_loaded: int
    rows_quarantined: int = 0
    bad_rows: tuple[BadRow, ...] = ()
    tests: tuple[TestResult, ...] = ()
    warnings: tuple[LoadWarning, ...] = ()
    bytes: int
    duration_ms: int
    contract_id: UUID | None = None


class LoadFailed(_Fact):
    """A try to load a drop failed. `final`: it goes to the dead-letter queue, redrivable."""

    detail_type: ClassVar[str] = "Load Failed"

    attempt: int
    final: bool
    stage: Stage = Stage.LOAD
    reason: Reason
    retry_in_seconds: float | None = None


class DropSuperseded(_Fact):
    """A later truncate had already overtaken the drop: nothing of it is loaded."""

    detail_type: ClassVar[str] = "Drop Superseded"

    attempt: int
    superseded_by: UUID


class ContractApplied(_Fact):
    """A schema drop made or changed its table; `changes` says how, one sentence each."""

    detail_type: ClassVar[str] = "Contract Applied"

    attempt: int
    changes: tuple[str, ...]
    duration_ms: int


class ReplayRequested(_Fact):
    """Somebody wants a drop to be loaded again, whatever became of it; `run` is the request.

    `as_landed`: under the contract of its own place in the order, as if its first event had only
    been late; not under the one that holds at the moment of the request.
    """

    detail_type: ClassVar[str] = "Replay Requested"

    as_landed: bool = False


class RevertRequested(_Fact):
    """Somebody wants the rows of a drop out of its table; `run` is the request."""

    detail_type: ClassVar[str] = "Revert Requested"


class DropReverted(_Fact):
    """The rows of a drop are out of its table, until a replay."""

    detail_type: ClassVar[str] = "Drop Reverted"

    attempt: int
    rows_removed: int


Fact = (
    DropRouted
    | DropRejected
    | LoadStarted
    | LoadSucceeded
    | LoadFailed
    | DropSuperseded
    | ContractApplied
    | ReplayRequested
    | RevertRequested
    | DropReverted
)

FACTS: dict[str, type[Fact]] = {
    fact.detail_type: fact
    for fact in (
        DropRouted,
        DropRejected,
        LoadStarted,
        LoadSucceeded,
        LoadFailed,
        DropSuperseded,
        ContractApplied,
        ReplayRequested,
        RevertRequested,
        DropReverted,
    )
}


class Envelope(BaseModel):
    """The part of an EventBridge event, as SQS hands it over, that Headrace reads."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    detail_type: str = Field(alias="detail-type")
    source: Literal["headrace"]
    detail: dict[str, Any]


def encode(fact: Fact) -> str:
    """The fact as the `Detail` of an EventBridge entry."""
    return fact.model_dump_json()


def decode(body: str) -> Fact:
    """The fact in the body of an SQS message that EventBridge wrote.

    Raises:
        UnknownFactError: the fact's name or its major version is not one that this code knows.
        pydantic.ValidationError: the body is not a fact at all.
    """
    envelope = Envelope.model_validate_json(body)
    model = FACTS.get(envelope.detail_type)
    if model is None:
        raise UnknownFactError(f"no fact is called {envelope.detail_type!r}")
    version = str(envelope.detail.get("version", ""))
    if version.partition(".")[0] != VERSION.partition(".")[0]:
        raise UnknownFactError(
            f"{envelope.detail_type} has version {version or 'none'}; this service reads {VERSION}"
        )
    return model.model_validate(envelope.detail)

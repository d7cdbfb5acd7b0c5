"""What does a message of the inbox ask for? A drop that landed, or one that is replayed."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from headrace_router.s3_event import ObjectCreated
from headrace_shared.drop import Drop
from headrace_shared.facts import SOURCE, ReplayRequested, UnknownFactError, decode


@dataclass(frozen=True, slots=True)
class Asked:
    """A drop to be routed, the run in which it is, and the replay that led to it (0: none)."""

    drop: Drop
    run: int = 0
    request: int = 0


class _Sender(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str = Field(min_length=1)


def read(body: str) -> Asked:
    """The drop in an `Object Created` event of S3 or in a `Replay Requested` fact.

    Raises:
        UnknownFactError: a fact that is not for the router.
        pydantic.ValidationError: neither of the two.
    """
    if _Sender.model_validate_json(body).source != SOURCE:
        return Asked(ObjectCreated.model_validate_json(body).drop())
    fact = decode(body)
    if not isinstance(fact, ReplayRequested):
        raise UnknownFactError(f"the router reads Replay Requested, not {fact.detail_type}")
    return Asked(fact.drop, fact.run, 0 if fact.as_landed else fact.run)

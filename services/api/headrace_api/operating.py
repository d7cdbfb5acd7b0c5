"""What the operations on dead letters and replays take and answer.

Times are RFC 3339 in UTC; ids are UUIDs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from headrace_api.examples import DAY, DB_NAME, DROP_ID, KEY, TABLE_NAME, example
from headrace_shared.log_schema import State

MOST_REPLAYS: Final = 500
MOST_MESSAGE_IDS: Final = 100


def _asked(**of: JsonValue) -> ConfigDict:
    """Of a request: a misspelt field must not be taken for none."""
    return ConfigDict(extra="forbid", json_schema_extra={"example": of})


class DeadLetter(BaseModel):
    """A message that a service gave up."""

    service: str
    message_id: str
    sent_at: datetime | None
    first_received_at: datetime | None
    receive_count: int = Field(description="Looks at the dead letters included.")
    kind: str | None = Field(None, description="The fact or event; null if it cannot be read.")
    drop_id: UUID | None = None
    db_name: str | None = None
    table_name: str | None = None
    key: str | None = None
    unreadable: str | None = Field(None, description="Why it cannot be read.")
    beginning: str | None = Field(None, description="The first characters of such a message.")


class DeadLetterQueue(BaseModel):
    """How much was seen of one queue."""

    service: str
    about: int | None = Field(
        description="Messages in it, as SQS counts; null for who sees some tables only."
    )
    complete: bool = Field(
        description="False: more may lie there than one look takes up, or somebody else holds some."
    )


class DeadLetterList(BaseModel):
    """Dead letters that the caller sees."""

    model_config = example(
        items=[
            {
                "service": "loader",
                "message_id": "5fea7756-0ea4-451a-a703-a558b933e274",
                "sent_at": "2026-11-20T22:38:14.120Z",
                "first_received_at": "2026-11-20T22:38:14.300Z",
                "receive_count": 21,
                "kind": "Drop Routed",
                "drop_id": DROP_ID,
                "db_name": DB_NAME,
                "table_name": TABLE_NAME,
                "key": KEY,
                "unreadable": None,
                "beginning": None,
            }
        ],
        queues=[{"service": "loader", "about": 1, "complete": True}],
    )

    items: list[DeadLetter]
    queues: list[DeadLetterQueue]


Name = Annotated[str, StringConstraints(min_length=1, max_length=63)]
MessageId = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class RedriveRequest(BaseModel):
    """Which dead letters go back; without any of these, all that the caller sees."""

    model_config = _asked(service="loader", db_name=DB_NAME, table_name=TABLE_NAME)

    service: Literal["router", "loader", "logger"] | None = None
    db_name: Name | None = Field(None, description="With table_name: of this table alone.")
    table_name: Name | None = None
    message_ids: list[MessageId] | None = Field(None, min_length=1, max_length=MOST_MESSAGE_IDS)


class Redriven(BaseModel):
    """What became of one service's dead letters."""

    service: str
    by: Literal["move_task", "one_by_one"] = Field(
        description="By SQS itself, which goes on by itself; or one by one, by this request."
    )
    message_ids: list[str] = Field(description="Those that were moved; of a move task none.")
    complete: bool = Field(description="False: more may lie there; ask again.")


class RedriveAnswer(BaseModel):
    """Dead letters that are in their inboxes again."""

    model_config = example(
        items=[
            {
                "service": "loader",
                "by": "one_by_one",
                "message_ids": ["5fea7756-0ea4-451a-a703-a558b933e274"],
                "complete": True,
            }
        ]
    )

    items: list[Redriven]


class ReplayRequest(BaseModel):
    """Which drops of a table are loaded again."""

    model_config = _asked(
        db_name=DB_NAME,
        table_name=TABLE_NAME,
        states=["rejected", "failed"],
        landed_from=DAY,
    )

    db_name: Name
    table_name: Name
    states: list[State] = Field(
        [State.REJECTED, State.FAILED],
        min_length=1,
        max_length=len(State),
        description="End states; a drop under way is asked for by its id.",
    )
    landed_from: AwareDatetime | None = None
    landed_to: AwareDatetime | None = None
    limit: int = Field(MOST_REPLAYS, ge=1, le=MOST_REPLAYS, description="The most drops.")
    cursor: str | None = Field(
        None, max_length=200, description="next_cursor of the answer before."
    )


class AskedReplay(BaseModel):
    """A drop that will be loaded again."""

    model_config = example(
        drop_id=DROP_ID,
        key=KEY,
        state_before="rejected",
        run=1795214294120,
    )

    drop_id: UUID
    key: str
    state_before: State
    run: int = Field(description="The drop bears it once the log has heard of the request.")


class ReplayAnswer(BaseModel):
    """Drops that will be loaded again."""

    model_config = example(
        items=[
            {
                "drop_id": DROP_ID,
                "key": KEY,
                "state_before": "rejected",
                "run": 1795214294120,
            }
        ],
        next_cursor=None,
    )

    items: list[AskedReplay]
    next_cursor: str | None = Field(
        description="There may be more: the same request with it as `cursor`; null if not."
    )

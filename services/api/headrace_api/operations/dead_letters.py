"""Dead letters: what lies there, and how it comes back to its inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from headrace_api.callers import Caller
from headrace_api.dead_letters import DeadLetters, Letter
from headrace_api.operating import (
    DeadLetter,
    DeadLetterList,
    DeadLetterQueue,
    RedriveAnswer,
    Redriven,
    RedriveRequest,
)
from headrace_api.operations.common import ANSWERS
from headrace_api.operations.means import (
    FromMeans,
    IdempotencyKey,
    Operator,
    act_once,
    request_name,
)
from headrace_api.operations.replays import ANSWERS_OF_POSTS
from headrace_api.parameters import MOST_ITEMS, refuse_unknown, table_place
from headrace_api.problems import Problem, invalid_parameter
from headrace_shared.dead_letters import Said
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

dead_letters: Final = APIRouter(prefix="/v1/dead-letters", tags=["operating"])


@dead_letters.get(
    "",
    responses={**ANSWERS, 501: {"model": Problem, "description": "No setting names the queues."}},
)
async def list_dead_letters(
    request: Request,
    caller: Operator,
    means: FromMeans,
    service: Annotated[
        Literal["router", "loader", "logger"] | None,
        Query(description="Of this one alone.", examples=["loader"]),
    ] = None,
    limit: Annotated[
        int, Query(ge=1, le=MOST_ITEMS, description="The most messages.", examples=[100])
    ] = MOST_ITEMS,
) -> DeadLetterList:
    """What lies in the dead-letter queues; nothing is taken out.

    SQS has no peek: each message is received and shown again at once, so a look adds one to its
    receive count, and while it lasts (seconds at most) others do not see it.
    """
    refuse_unknown(request)
    return await seen_letters(means.needed_queues(service), caller, limit)


async def seen_letters(queues: Sequence[DeadLetters], caller: Caller, limit: int) -> DeadLetterList:
    """What lies in these queues, as far as the caller sees it, and `limit` messages at most."""
    looks = await asyncio.gather(*(queue.look() for queue in queues))
    items = [
        _told(queue.service, letter)
        for queue, (letters, _) in zip(queues, looks, strict=True)
        for letter in letters
        if caller.sees(*letter.table)
    ]
    told = [
        DeadLetterQueue(
            service=queue.service,
            about=about if caller.sees_everything else None,
            complete=len(letters) >= about and len(items) <= limit,
        )
        for queue, (letters, about) in zip(queues, looks, strict=True)
    ]
    return DeadLetterList(items=items[:limit], queues=told)


@dead_letters.post("/redrive", status_code=202, responses=ANSWERS_OF_POSTS)
async def redrive_dead_letters(
    request: Request,
    response: Response,
    wanted: RedriveRequest,
    caller: Operator,
    means: FromMeans,
    idempotency_key: IdempotencyKey = None,
) -> RedriveAnswer:
    """Moves dead letters back to their inboxes, once their cause is mended.

    All of a queue is moved by SQS itself where it can; a choice, or what a caller of some tables
    sees, one by one. Nothing is lost on the way: at worst a message is in both queues.
    """
    refuse_unknown(request)
    queues = means.needed_queues(wanted.service)
    chosen = _choice(wanted, caller)

    async def act() -> dict[str, Any]:
        moved = await asyncio.gather(*(_redriven(queue, chosen, caller) for queue in queues))
        _log.info(
            "letters.redriven",
            caller=caller.name,
            services=[one.service for one in moved],
            messages=sum(len(one.message_ids) for one in moved),
        )
        return RedriveAnswer(items=moved).model_dump(mode="json")

    name = request_name(caller, "redrive", idempotency_key, wanted.model_dump(mode="json"))
    return RedriveAnswer.model_validate(await act_once(means, response, name, act))


def _choice(wanted: RedriveRequest, caller: Caller) -> Callable[[Letter], bool] | None:
    """Which letters are meant; None: all that there are."""
    if (wanted.db_name is None) != (wanted.table_name is None):
        raise invalid_parameter("table_name", "db_name and table_name go together.")
    table = None
    if wanted.db_name is not None and wanted.table_name is not None:
        table = table_place(wanted.db_name, wanted.table_name)
    ids = frozenset(wanted.message_ids) if wanted.message_ids else None
    if caller.sees_everything and table is None and ids is None:
        return None

    def is_meant(letter: Letter) -> bool:
        of = letter.table
        return (
            caller.sees(*of) and table in (None, of) and (ids is None or letter.message_id in ids)
        )

    return is_meant


async def _redriven(
    queue: DeadLetters, chosen: Callable[[Letter], bool] | None, caller: Caller
) -> Redriven:
    if chosen is None and await queue.start_moving():
        return Redriven(service=queue.service, by="move_task", message_ids=[], complete=True)
    moved, complete = await queue.move(chosen or (lambda letter: caller.sees(*letter.table)))
    ids = [letter.message_id for letter in moved]
    return Redriven(service=queue.service, by="one_by_one", message_ids=ids, complete=complete)


def _told(service: str, letter: Letter) -> DeadLetter:
    content, (db_name, table_name) = letter.content, letter.table
    about: dict[str, Any] = (
        {"kind": content.kind, "drop_id": content.drop_id, "key": content.key}
        if isinstance(content, Said)
        else {"unreadable": content.why, "beginning": content.beginning}
    )
    return DeadLetter(
        service=service,
        message_id=letter.message_id,
        sent_at=letter.sent_at,
        first_received_at=letter.first_received_at,
        receive_count=letter.receives,
        db_name=db_name,
        table_name=table_name,
        **about,
    )

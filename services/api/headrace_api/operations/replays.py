"""Drops are loaded again: asked for on the bus, as the command `headrace replay` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from headrace_api.log_store import DropFilter
from headrace_api.operating import AskedReplay, ReplayAnswer, ReplayRequest
from headrace_api.operations.common import MISSING, FromStores, Stores, after
from headrace_api.operations.means import (
    FromMeans,
    IdempotencyKey,
    Operator,
    act_once,
    request_name,
)
from headrace_api.parameters import DropId, refuse_unknown, table_place
from headrace_api.problems import Problem, conflict, invalid_parameter, not_found
from headrace_api.replaying import asked_replay, filters_of, landed_within, why_not
from headrace_shared.bus import EventBridgeBus
from headrace_shared.log_schema import END_STATES
from headrace_shared.logging import get_logger
from headrace_shared.reruns import logged_drop, replay_request, requested_at

_log = get_logger(__name__)

replays: Final = APIRouter(prefix="/v1", tags=["operating"])

ANSWERS_OF_POSTS: Final[dict[int | str, dict[str, Any]]] = {
    **MISSING,
    409: {"model": Problem, "description": "It does not go with how things stand; says why."},
    501: {"model": Problem, "description": "A setting is missing; names it."},
}


@replays.post("/drops/{drop_id}/replay", status_code=202, responses=ANSWERS_OF_POSTS)
async def replay_drop(
    request: Request,
    response: Response,
    drop_id: DropId,
    caller: Operator,
    found_in: FromStores,
    means: FromMeans,
    idempotency_key: IdempotencyKey = None,
) -> AskedReplay:
    """Has a drop loaded again, whatever became of it, under the contract that holds now.

    Its old rows go and its new rows come in one transaction, at its own place in the order.
    """
    refuse_unknown(request)
    bus = means.needed_bus()
    item = await found_in.log.drop(drop_id)
    if item is None or not caller.sees(item.get("db_name"), item.get("table_name")):
        raise not_found(f"No drop {drop_id} is in the log.")

    async def act() -> dict[str, Any]:
        if why := why_not(item, datetime.now(UTC)):
            raise conflict(why, slug="not-replayable", title="It cannot be replayed now")
        (asked,) = await _ask(bus, [item])
        _log.info("replays.requested", caller=caller.name, drops=1, table=item.get("table_pk"))
        return asked.model_dump(mode="json")

    name = request_name(caller, "replay", idempotency_key, {"drop_id": str(drop_id)})
    return AskedReplay.model_validate(await act_once(means, response, name, act))


@replays.post("/replays", status_code=202, responses=ANSWERS_OF_POSTS)
async def replay_drops(
    request: Request,
    response: Response,
    wanted: ReplayRequest,
    caller: Operator,
    found_in: FromStores,
    means: FromMeans,
    idempotency_key: IdempotencyKey = None,
) -> ReplayAnswer:
    """Has the drops of a table loaded again, the newest first, at most 500 for each request.

    Those that were asked for under `next_cursor`'s own request are not met again.
    """
    refuse_unknown(request)
    bus = means.needed_bus()
    place = table_place(wanted.db_name, wanted.table_name)
    if not caller.sees(*place):
        raise not_found(f"No drop of {'.'.join(place)} is in the log.")
    _check(wanted)

    async def act() -> dict[str, Any]:
        items, cursor = await _chosen(wanted, place, found_in)
        asked = await _ask(bus, items)
        _log.info("replays.requested", caller=caller.name, drops=len(asked), table=".".join(place))
        return ReplayAnswer(items=asked, next_cursor=cursor).model_dump(mode="json")

    name = request_name(caller, "replays", idempotency_key, wanted.model_dump(mode="json"))
    return ReplayAnswer.model_validate(await act_once(means, response, name, act))


async def _ask(bus: EventBridgeBus, items: Sequence[Mapping[str, Any]]) -> list[AskedReplay]:
    """One run for all of them, and each drop's own where that has to be later."""
    run = requested_at(datetime.now(UTC))
    asked = [asked_replay(item, run) for item in items]
    facts = [
        replay_request(logged_drop(item), one.run) for item, one in zip(items, asked, strict=True)
    ]
    await bus.publish(facts)
    return asked


def _check(wanted: ReplayRequest) -> None:
    if unended := sorted(set(wanted.states) - END_STATES):
        raise invalid_parameter(
            "states", f"{unended[0]} is no end state; choose among {', '.join(sorted(END_STATES))}."
        )
    if wanted.landed_from and wanted.landed_to and wanted.landed_from > wanted.landed_to:
        raise invalid_parameter("landed_from", "landed_from must not be later than landed_to.")


async def _chosen(
    wanted: ReplayRequest, place: tuple[str, str], found_in: Stores
) -> tuple[Sequence[Mapping[str, Any]], str | None]:
    filters = filters_of(wanted)
    landed_from, landed_to = landed_within(wanted)
    page = await found_in.log.page(
        DropFilter(
            tables=[place],
            landed_from=landed_from,
            landed_to=landed_to,
            states=frozenset(wanted.states),
            key=None,
            after=after(wanted.cursor, filters, found_in.cursors),
        ),
        wanted.limit,
    )
    now = datetime.now(UTC)
    items = [item for item in page.items if why_not(item, now) is None]
    return items, found_in.cursors.write(page.last, filters) if page.last else None

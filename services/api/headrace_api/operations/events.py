"""Every state change of drops, as it happens: server-sent events."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from headrace_api.authentication import Authenticator
from headrace_api.callers import Caller
from headrace_api.events.changes import Item
from headrace_api.events.feed import Feed, Listener
from headrace_api.events.written import EXAMPLE, EXAMPLE_ID, LISTENING, written
from headrace_api.examples import DB_NAME, TABLE_NAME
from headrace_api.operations.common import ANSWERS, Reader
from headrace_api.parameters import refuse_unknown
from headrace_api.problems import ApiError, invalid_parameter
from headrace_shared.errors import TransientError

MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 900.0
"""Then a stream ends, and its reader comes back by itself."""

LOOKED_AT_SECONDS: Final = 20.0
"""How often a stream looks at its reader's key again. With the time for which a key is remembered
it makes less than a minute."""

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

events: Final = APIRouter(prefix="/v1", tags=["events"])


@events.get(
    "/events",
    response_class=StreamingResponse,
    responses={
        **ANSWERS,
        200: {
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": EXAMPLE}},
            "description": "Events.",
        },
    },
)
async def stream_events(
    request: Request,
    caller: Reader,
    db_name: Annotated[
        str | None, Query(description="Only of this database.", examples=[DB_NAME])
    ] = None,
    table_name: Annotated[
        str | None, Query(description="Only of tables of this name.", examples=[TABLE_NAME])
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            description="Go on after this event.",
            max_length=100,
            examples=[EXAMPLE_ID],
        ),
    ] = None,
) -> StreamingResponse:
    """Every state that drops come to, as it happens, until the reader goes.

    Each `drop` event's data is a JSON object: a drop and its state. A client that was away sends
    the id of the last event that it heard as `Last-Event-ID`, as browsers do by themselves, and is
    told how the drops stand that moved since; some of them again.
    """
    refuse_unknown(request)
    for name, value in (("db_name", db_name), ("table_name", table_name)):
        if value is not None and not value.isidentifier():
            raise invalid_parameter(name, f"{name} cannot be the name of anything here.")

    wanted = Wanted(caller, db_name and db_name.lower(), table_name and table_name.lower())
    return await streamed(request, lambda listener: _told(listener, wanted), last_event_id)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which drops somebody wants to hear of, and may; None means every one."""

    caller: Caller
    db_name: str | None = None
    table_name: str | None = None

    def __call__(self, item: Item) -> bool:
        """Whether this one is among them."""
        db_name, table_name = item.get("db_name"), item.get("table_name")
        return (
            self.db_name in {None, db_name}
            and self.table_name in {None, table_name}
            and self.caller.sees(db_name, table_name)
        )


async def streamed(
    request: Request,
    tell: Callable[[Listener], AsyncIterator[str]],
    last_event_id: str | None = None,
) -> StreamingResponse:
    """An answer that goes on for as long as its reader listens, and may.

    Raises:
        ApiError: there are too many listeners.
    """
    feed = cast("Feed", request.app.state.feed)
    stack = AsyncExitStack()
    # Entered here: where there are too many listeners, the answer is a problem document.
    listener = await stack.enter_async_context(feed.listen(last_event_id))

    async def body() -> AsyncIterator[str]:
        looked_at = time.monotonic()
        async with stack:
            async for text in tell(listener):
                if time.monotonic() - looked_at >= LOOKED_AT_SECONDS:
                    if not await _is_still_known(request):
                        return
                    looked_at = time.monotonic()
                yield text

    return StreamingResponse(body(), media_type=MEDIA_TYPE, headers=_HEADERS)


async def _is_still_known(request: Request) -> bool:
    """Whether the key or token still counts; while that cannot be known, it does."""
    authenticator = cast("Authenticator", request.app.state.authenticator)
    try:
        await authenticator.caller(request)
    except ApiError:
        return False
    except TransientError:
        pass
    return True


async def _told(listener: Listener, wanted: Wanted) -> AsyncIterator[str]:
    yield LISTENING
    until, is_troubled = time.monotonic() + LONGEST_SECONDS, False
    while (look := await listener.next(HEARTBEAT_SECONDS)) and time.monotonic() < until:
        if look.trouble is not None and not is_troubled:
            yield f"event: trouble\ndata: {json.dumps({'detail': look.trouble})}\n\n"
        is_troubled = look.trouble is not None
        yield "".join(map(written, filter(wanted, look.moved))) or ": still here\n\n"

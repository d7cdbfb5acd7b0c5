"""The first view's list, sent anew whenever something in it has changed: at most once a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from headrace_api.events.feed import Listener
from headrace_api.operations.common import FromStores, Reader, Stores
from headrace_api.operations.events import HEARTBEAT_SECONDS, LONGEST_SECONDS, streamed
from headrace_api.page.arrivals import Arrivals, Question, question
from headrace_api.page.drop_view import Item, drop_line, summary
from headrace_api.page.rendering import PageRoute, rendered
from headrace_api.problems import unreachable
from headrace_shared.errors import TransientError

_CALM_SECONDS: Final = 1.0

live: Final = APIRouter(route_class=PageRoute)


@live.get("/live")
async def stream_arrivals(
    request: Request,
    asked: Annotated[Question, Depends(question)],
    caller: Reader,
    found_in: FromStores,
) -> StreamingResponse:
    """The list as fragments of HTML, each a whole one."""
    arrivals = Arrivals(asked, caller)
    return await streamed(request, lambda listener: _told(listener, arrivals, asked, found_in))


def arrivals_shown(
    arrivals: Arrivals, asked: Question, *, told: str = "", more: int = 0, trouble: str = ""
) -> dict[str, Any]:
    """What the template of the list needs."""
    now = datetime.now(UTC)
    return {
        "lines": [drop_line(item, now) for item in arrivals.items],
        "asked": asked,
        "told": told,
        "more": more,
        "trouble": trouble,
    }


async def _told(
    listener: Listener, arrivals: Arrivals, asked: Question, found_in: Stores
) -> AsyncIterator[str]:
    until, is_stale = time.monotonic() + LONGEST_SECONDS, True
    told, more, trouble = "", 0, ""
    while time.monotonic() < until:
        if is_stale:
            trouble = await _read(arrivals, found_in)
            is_stale = bool(trouble)
        yield _message(arrivals_shown(arrivals, asked, told=told, more=more, trouble=trouble))
        await asyncio.sleep(_CALM_SECONDS)
        look = await listener.next(HEARTBEAT_SECONDS if not is_stale else _CALM_SECONDS)
        if look is None:
            return
        is_stale = is_stale or look.trouble is not None
        told, more = _taken(arrivals, look.moved)


def _taken(arrivals: Arrivals, moved: Sequence[Item]) -> tuple[str, int]:
    before = {item["drop_id"]: item for item in arrivals.items}
    without_room = arrivals.take(moved)
    changed = [one for one in arrivals.items if before.get(one["drop_id"]) is not one]
    return summary([*changed, *without_room]), len(without_room)


async def _read(arrivals: Arrivals, found_in: Stores) -> str:
    """Why they cannot be read, as a sentence; empty where they were."""
    try:
        await arrivals.read(found_in)
    except TransientError as error:
        what = unreachable(str(error))
        return f"{what} cannot be reached at the moment. This list goes on by itself."
    return ""


def _message(shown: Mapping[str, Any]) -> str:
    html = rendered("_arrivals.html", **shown)
    return "".join(f"data: {line}\n" for line in html.splitlines()) + "\n"

"""What needs somebody: drops, dead letters and lost events, each with what to do about it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from headrace_api.log_store import DropFilter
from headrace_api.operations.common import FromStores, Reader, seen_tables
from headrace_api.operations.dead_letters import seen_letters
from headrace_api.operations.means import FromMeans, Operator
from headrace_api.page.actions import offered
from headrace_api.page.attention_view import IN_NEED, how_many, letter_line, needs_of, queue_lines
from headrace_api.page.drop_view import drop_line, table_of, was_lost
from headrace_api.page.rendering import HEADERS, PageRoute, rendered, view

_IN_NEED_SHOWN: Final = 200
_LETTERS_SHOWN: Final = 100
_LOOKED_THROUGH: Final = 500
_SPAN: Final = timedelta(days=60)

attention: Final = APIRouter(route_class=PageRoute)


@attention.get("/attention")
async def show_attention(
    request: Request, caller: Reader, found_in: FromStores, means: FromMeans
) -> Response:
    """The drops; the dead letters come after, because a look at them takes seconds."""
    now = datetime.now(UTC)
    tables = await seen_tables(None, None, caller, found_in.warehouse)
    wanted = DropFilter(tables, now - _SPAN, None, frozenset(IN_NEED), None, None)
    newest = DropFilter(tables, now - _SPAN, None, None, None, None)
    page, latest = await asyncio.gather(
        found_in.log.page(wanted, _IN_NEED_SHOWN), found_in.log.page(newest, _LOOKED_THROUGH)
    )
    seen = [one for one in page.items if caller.sees(*(table_of(one) or (None, None)))]
    lost = [
        one
        for one in latest.items
        if was_lost(one) and caller.sees(*(table_of(one) or (None, None)))
    ]
    return view(
        request,
        "attention.html",
        by_state=needs_of(seen, now),
        lost=[drop_line(one, now) for one in lost],
        is_cut=page.last is not None,
        **offered(means, caller),
    )


@attention.get("/attention/dead-letters")
async def show_dead_letters(caller: Operator, means: FromMeans) -> Response:
    """What lies in the dead-letter queues, as a part of that view."""
    found = await seen_letters(means.needed_queues(None), caller, _LETTERS_SHOWN)
    now = datetime.now(UTC)
    html = rendered(
        "_letters.html",
        queues=queue_lines(found),
        letters=[letter_line(one, now) for one in found.items],
        how_many=how_many(found),
    )
    return HTMLResponse(html, headers=HEADERS)

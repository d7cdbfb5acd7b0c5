"""The bad rows of a drop, as the quarantine keeps them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from headrace_api.callers import Caller
from headrace_api.kept_rows import Kept, KeptRows, UnknownFormatError
from headrace_api.operations.common import MISSING, FromStores, Stores, after
from headrace_api.operations.means import FromMeans, RowsReader
from headrace_api.parameters import DropId, Page, paging, refuse_unknown
from headrace_api.problems import ApiError, Problem, not_found, not_readable
from headrace_api.reports import BAD_ROW, QuarantinePage
from headrace_shared.log_schema import State
from headrace_shared.reruns import logged_drop

NDJSON: Final = "application/x-ndjson"

quarantine: Final = APIRouter(prefix="/v1", tags=["drops"])


@quarantine.get(
    "/drops/{drop_id}/quarantine",
    response_model=QuarantinePage,
    responses={
        **MISSING,
        200: {
            "description": f"A page of rows; or all of them, one a line, for who accepts {NDJSON}.",
            "content": {
                NDJSON: {"schema": {"type": "string"}, "example": f"{json.dumps(BAD_ROW)}\n"}
            },
        },
        501: {
            "model": Problem,
            "description": "No setting names the quarantine, or its file is of another version.",
        },
    },
)
async def get_quarantine(
    request: Request,
    drop_id: DropId,
    page: Annotated[Page, Depends(paging)],
    caller: RowsReader,
    found_in: FromStores,
    means: FromMeans,
) -> Response:
    """The bad rows of a drop with their places and reasons, each as it stands in its file.

    For who accepts `application/x-ndjson` all of them are streamed, from the cursor on.
    """
    refuse_unknown(request)
    item = await drop_with_rows(drop_id, caller, found_in)
    rows, filters = means.needed_rows(), _filters(item)
    last = after(page.cursor, filters, found_in.cursors)
    begin = last.int + 1 if last is not None else 0
    if NDJSON in request.headers.get("accept", ""):
        return await all_rows(rows, item, begin)
    made, has_more = await _page(rows, item, begin, page.limit)
    if has_more:
        made.next_cursor = found_in.cursors.write(UUID(int=begin + len(made.items) - 1), filters)
    return JSONResponse(made.model_dump(mode="json"))


async def drop_with_rows(drop_id: UUID, caller: Caller, found_in: Stores) -> Mapping[str, Any]:
    """A drop that may have bad rows.

    Raises:
        ApiError: there is no such drop, or not for this caller, or it has none.
    """
    item = await found_in.log.drop(drop_id)
    if item is None or not caller.sees(item.get("db_name"), item.get("table_name")):
        raise not_found(f"No drop {drop_id} is in the log.")
    if _has_none(item):
        raise _no_rows(drop_id)
    return item


def _filters(item: Mapping[str, Any]) -> dict[str, str | None]:
    """Another run writes the file anew: a cursor is of one run."""
    return {"of": "quarantine", "drop_id": item["drop_id"], "run": str(item.get("run", 0))}


async def _page(
    rows: KeptRows, item: Mapping[str, Any], begin: int, limit: int
) -> tuple[QuarantinePage, bool]:
    async with AsyncExitStack() as opened:
        kept = await _opened(rows, item, opened)
        items, has_more = await kept.page(begin, limit)
        told = {**kept.about, "items": items, "next_cursor": None}
        return QuarantinePage.model_validate(told), has_more


async def all_rows(rows: KeptRows, item: Mapping[str, Any], begin: int = 0) -> Response:
    """Them all from a place on, one a line; raises ApiError where there are none."""
    async with AsyncExitStack() as opened:
        kept = await _opened(rows, item, opened)
        return StreamingResponse(_lines(kept, begin, opened.pop_all()), media_type=NDJSON)


async def _opened(rows: KeptRows, item: Mapping[str, Any], until: AsyncExitStack) -> Kept:
    try:
        kept = await until.enter_async_context(rows.of(logged_drop(item)))
    except UnknownFormatError as error:
        raise not_readable(str(error)) from None
    if kept is None:
        raise _no_rows(UUID(item["drop_id"]))
    return kept


async def _lines(kept: Kept, begin: int, opened: AsyncExitStack) -> AsyncIterator[bytes]:
    async with opened:
        number = 0
        async for line in kept.rows:
            if number >= begin:
                yield line + b"\n"
            number += 1


def _has_none(item: Mapping[str, Any]) -> bool:
    """What an earlier run may have left there is mended since."""
    return item["state"] == State.LOADED and not item.get("rows_quarantined")


def _no_rows(drop_id: UUID) -> ApiError:
    return not_found(f"The drop {drop_id} has no rows in the quarantine.")

"""Where drops are, and how they got there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Request

from headrace_api.callers import Caller, Scope
from headrace_api.log_store import DropFilter
from headrace_api.models import DropItem, DropPage, DropStory, without_values
from headrace_api.operations.common import (
    ANSWERS,
    MISSING,
    FromStores,
    Reader,
    after,
    seen_tables,
)
from headrace_api.parameters import DropId, DropQuestion, drop_question, refuse_unknown
from headrace_api.problems import not_found
from headrace_shared.log_schema import EXPIRY, STEP_PREFIX

drops: Final = APIRouter(prefix="/v1", tags=["drops"])

LISTED: Final = (
    *(str(field.validation_alias or name) for name, field in DropItem.model_fields.items()),
    EXPIRY,
)
"""The steps of their roads, which are half of the items, are left where they are."""

_Drop = TypeVar("_Drop", bound=DropItem)


@drops.get("/drops", responses=ANSWERS)
async def list_drops(
    question: Annotated[DropQuestion, Depends(drop_question)], caller: Reader, found_in: FromStores
) -> DropPage:
    """Drops that pass every filter, the newest first.

    Bad rows and the samples of tests are left out for who lacks the scope `rows`.

    With a state a page may be short, or even empty, and still have a `next_cursor`: what is left
    out costs reads, and one page makes only so many.
    """
    begin = after(question.cursor, question.filters, found_in.cursors)
    wanted = DropFilter(
        tables=await seen_tables(question.db_name, question.table_name, caller, found_in.warehouse),
        landed_from=question.landed_from,
        landed_to=question.landed_to,
        states=frozenset({question.state}) if question.state else None,
        key=question.key,
        after=begin,
        attributes=LISTED,
    )
    page = await found_in.log.page(wanted, question.limit)
    seen = [item for item in page.items if caller.sees(*_table(item))]
    cursor = found_in.cursors.write(page.last, question.filters) if page.last else None
    items = [_shown(DropItem.model_validate(item), caller) for item in seen]
    return DropPage(items=items, next_cursor=cursor)


@drops.get("/drops/{drop_id}", responses=MISSING)
async def get_drop(
    request: Request, drop_id: DropId, caller: Reader, found_in: FromStores
) -> DropStory:
    """One drop and every step of its road.

    Bad rows and the samples of tests are left out for who lacks the scope `rows`.
    """
    refuse_unknown(request)
    item = await found_in.log.drop(drop_id)
    if item is None or not caller.sees(*_table(item)):
        raise not_found(
            f"No drop {drop_id} is in the log. It may not have been routed yet, or has expired."
        )
    steps = [value for name, value in sorted(item.items()) if name.startswith(STEP_PREFIX)]
    return _shown(DropStory.model_validate({**item, "timeline": steps}), caller)


def _shown(drop: _Drop, caller: Caller) -> _Drop:
    """As far as the caller may see it; the reason's message stays, which may name a value."""
    return drop if caller.may(Scope.ROWS) else without_values(drop)


def _table(item: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Of a drop; a rejected key may name none."""
    return item.get("db_name"), item.get("table_name")

"""The views: each reads, makes words of what it found, and fills a template."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from headrace_api.callers import Scope
from headrace_api.log_lag import NOTICED_SECONDS, log_lag, sentence
from headrace_api.log_store import DropFilter
from headrace_api.operations.common import FromStores, Reader, SeenTable, Stores
from headrace_api.operations.means import FromMeans, RowsReader
from headrace_api.operations.quarantine import all_rows, drop_with_rows
from headrace_api.page.actions import offered
from headrace_api.page.arrivals import Arrivals, Question, question
from headrace_api.page.drop_view import Item, drop_view, table_of
from headrace_api.page.live import arrivals_shown
from headrace_api.page.rendering import PageRoute, view
from headrace_api.page.table_view import (
    bad_share,
    chart_of,
    columns_of,
    contract_view,
    line_of_time,
    row_words,
    table_line,
    tests_of,
)
from headrace_api.page.words import moment
from headrace_api.problems import not_found
from headrace_api.warehouse import Table
from headrace_shared.log_schema import State

TABLES_SHOWN: Final = 50
_DROPS_OF_A_TABLE: Final = 100
_DROPS_OF_A_LINE: Final = 30
_AT_ONCE: Final = 4

views: Final = APIRouter(route_class=PageRoute)


@views.get("/")
async def show_now(
    request: Request,
    asked: Annotated[Question, Depends(question)],
    caller: Reader,
    found_in: FromStores,
) -> Response:
    """Drops as they come in."""
    arrivals = Arrivals(asked, caller)
    progress, _ = await asyncio.gather(found_in.log.progress(), arrivals.read(found_in))
    lag = log_lag(progress, datetime.now(UTC))
    is_behind = (lag.lag_seconds or 0) >= NOTICED_SECONDS
    shown = {**arrivals_shown(arrivals, asked), "log_lag": sentence(lag), "is_behind": is_behind}
    return view(request, "now.html", states=list(State), query=request.url.query, **shown)


@views.get("/tables")
async def show_tables(
    request: Request, caller: Reader, found_in: FromStores, page: int = 1, text: str = ""
) -> Response:
    """One line a table."""
    found = await found_in.warehouse.tables()
    seen = [
        one
        for one in found
        if caller.sees(one.db_name, one.table_name)
        and text.strip().lower() in f"{one.db_name}.{one.table_name}"
    ]
    begin = max(page - 1, 0) * TABLES_SHOWN
    turn, now = asyncio.Semaphore(_AT_ONCE), datetime.now(UTC)

    async def line(table: Table) -> object:
        async with turn:
            items = await _drops_of(found_in, table.db_name, table.table_name, _DROPS_OF_A_LINE)
            rows, exact = await found_in.warehouse.row_count(table.db_name, table.table_name)
        return table_line(table, row_words(rows, is_exact=exact), items, now)

    lines = await asyncio.gather(*map(line, seen[begin : begin + TABLES_SHOWN]))
    more = begin + TABLES_SHOWN < len(seen)
    return view(request, "tables.html", lines=lines, text=text, page=max(page, 1), more=more)


@views.get("/tables/{db_name}/{table_name}")
async def show_table(request: Request, place: SeenTable, found_in: FromStores) -> Response:
    """A table: its contract, its drops, its tests."""
    db_name, table_name = place
    tables = await found_in.warehouse.tables(db_name=db_name, table_name=table_name)
    (rows, exact), contracts, items = await asyncio.gather(
        found_in.warehouse.row_count(db_name, table_name),
        found_in.warehouse.contracts(db_name, table_name, before=None, limit=20),
        _drops_of(found_in, db_name, table_name, _DROPS_OF_A_TABLE),
    )
    if not tables and not items and not contracts:
        raise not_found(f"Nothing was ever dropped for {db_name}.{table_name}.")
    now = datetime.now(UTC)
    data = [item for item in items if item.get("action") != "schema"]
    contract = tables[0].contract if tables else {}
    return view(
        request,
        "table.html",
        name=f"{db_name}.{table_name}",
        db_name=db_name,
        table_name=table_name,
        fresh=moment(tables[0].last_loaded_at, now) if tables else None,
        rows=row_words(rows, is_exact=exact) if tables else "",
        bad_share=bad_share(data),
        chart=chart_of(data),
        contract=contract,
        columns=columns_of(contract),
        tests=tests_of(contract),
        results=next((item["tests"] for item in data if item.get("tests")), ()),
        contracts=[contract_view(one, now) for one in contracts],
        line=line_of_time(items, now),
    )


@views.get("/drops/{drop_id}")
async def show_drop(
    request: Request, drop_id: UUID, caller: Reader, found_in: FromStores, means: FromMeans
) -> Response:
    """A drop: its road, its file, what went wrong, and what to do."""
    item = await found_in.log.drop(drop_id)
    if item is None or not caller.sees(*(table_of(item) or (None, None))):
        raise not_found(
            f"No drop {drop_id} is in the log. It may not have been routed yet, or has expired."
        )
    shown = drop_view(item, datetime.now(UTC), shows_values=caller.may(Scope.ROWS))
    return view(request, "drop.html", drop=shown, **offered(means, caller))


@views.get("/drops/{drop_id}/quarantine")
async def download_quarantine(
    drop_id: UUID, caller: RowsReader, found_in: FromStores, means: FromMeans
) -> Response:
    """All bad rows of a drop, as a file that a browser saves."""
    item = await drop_with_rows(drop_id, caller, found_in)
    response = await all_rows(means.needed_rows(), item)
    response.headers["Content-Disposition"] = f'attachment; filename="{drop_id}.ndjson"'
    return response


async def _drops_of(found_in: Stores, db_name: str, table_name: str, limit: int) -> Sequence[Item]:
    wanted = DropFilter([(db_name, table_name)], None, None, None, None, None)
    return (await found_in.log.page(wanted, limit)).items

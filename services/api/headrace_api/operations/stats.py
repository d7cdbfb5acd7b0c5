"""Figures: of the drops by hour, and of this process for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Final, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from headrace_api.callers import Caller
from headrace_api.examples import DB_NAME, TABLE_NAME
from headrace_api.log_lag import log_lag
from headrace_api.operations.common import ANSWERS, MISSING, FromStores, Reader
from headrace_api.operations.means import FromMeans, Means
from headrace_api.parameters import refuse_unknown, table_place
from headrace_api.problems import forbidden, invalid_parameter
from headrace_api.prometheus import EXAMPLE, MEDIA_TYPE, Figures
from headrace_api.reports import HourFigures, LogLag, Stats
from headrace_api.stats import Tally, by_hour, percentile, since
from headrace_shared.errors import TransientError

stats: Final = APIRouter(tags=["figures"])

_MOST_HOURS: Final = 168


@stats.get("/v1/stats", responses=MISSING)
async def get_stats(
    request: Request,
    caller: Reader,
    means: FromMeans,
    hours: Annotated[
        int,
        Query(
            ge=1, le=_MOST_HOURS, description="So many, the one under way included.", examples=[6]
        ),
    ] = 24,
    db_name: Annotated[
        str | None, Query(description="With table_name: of this table.", examples=[DB_NAME])
    ] = None,
    table_name: Annotated[
        str | None, Query(description="With db_name.", examples=[TABLE_NAME])
    ] = None,
) -> Stats:
    """What landed within each of the last hours, as it stands now; some seconds old at most.

    Where too much landed to be read, the earlier hours say so (`complete`).
    """
    refuse_unknown(request)
    if (db_name is None) != (table_name is None):
        raise invalid_parameter("table_name", "db_name and table_name go together.")
    table = table_place(db_name, table_name) if db_name and table_name else None
    if table is not None and not caller.sees(*table):
        begin = since(datetime.now(UTC), hours)
        return _told(by_hour([], begin, hours).items(), begin)
    view = (caller.tables, hours, table)
    return await means.stats.get(view, lambda: _made(means, caller, hours, table))


@stats.get("/v1/log")
async def get_log_lag(request: Request, _: Reader, found_in: FromStores) -> LogLag:
    """How far the log is behind: states of drops that ended since are not shown yet."""
    refuse_unknown(request)
    return log_lag(await found_in.log.progress(), datetime.now(UTC))


@stats.get(
    "/metrics",
    response_class=Response,
    responses={
        **ANSWERS,
        200: {
            "content": {"text/plain": {"schema": {"type": "string"}, "example": EXAMPLE}},
            "description": "Text.",
        },
    },
)
async def metrics(request: Request, caller: Reader, found_in: FromStores) -> Response:
    """Figures of this process, and the lag of the log, in Prometheus's text form; for who sees
    every table."""
    refuse_unknown(request)
    if not caller.sees_everything:
        raise forbidden("The figures of the process are of all tables; this caller sees some.")
    figures = cast("Figures", request.app.state.figures)
    with suppress(TransientError):
        lag = log_lag(await found_in.log.progress(), datetime.now(UTC)).lag_seconds
        return Response(figures.text(lag), headers={"Content-Type": MEDIA_TYPE})
    return Response(figures.text(None), headers={"Content-Type": MEDIA_TYPE})


async def _made(means: Means, caller: Caller, hours: int, table: tuple[str, str] | None) -> Stats:
    now = datetime.now(UTC)
    landed = await means.landings.since(since(now, hours), table, now)
    seen = [
        item for item in landed.items if caller.sees(item.get("db_name"), item.get("table_name"))
    ]
    return _told(by_hour(seen, since(now, hours), hours).items(), landed.complete_from)


def _told(tallies: Iterable[tuple[datetime, Tally]], complete_from: datetime) -> Stats:
    return Stats(
        hours=[_hour(hour, tally, complete=hour >= complete_from) for hour, tally in tallies],
        complete_from=f"{complete_from:%Y-%m-%dT%H:%M:%SZ}",
    )


def _hour(hour: datetime, tally: Tally, *, complete: bool) -> HourFigures:
    times = sorted(tally.loaded_after_ms)
    return HourFigures(
        hour=f"{hour:%Y-%m-%dT%H:%M:%SZ}",
        complete=complete,
        drops_by_state=dict(tally.drops_by_state),
        rows_loaded=tally.rows_loaded,
        rows_quarantined=tally.rows_quarantined,
        bytes=tally.size_bytes,
        landed_to_loaded_ms_p50=percentile(times, 0.5),
        landed_to_loaded_ms_p90=percentile(times, 0.9),
        landed_to_loaded_ms_p99=percentile(times, 0.99),
    )

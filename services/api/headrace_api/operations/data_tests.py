"""How the tests of a table's contract ended lately."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi import APIRouter, Request

from headrace_api.callers import Scope
from headrace_api.log_store import DropFilter
from headrace_api.models import without_samples
from headrace_api.operations.common import MISSING, FromStores, Reader, SeenTable
from headrace_api.parameters import refuse_unknown
from headrace_api.reports import LatestTest, LatestTests
from headrace_shared.log_schema import KEY

data_tests: Final = APIRouter(prefix="/v1", tags=["tables"])

_DROPS: Final = 200


@data_tests.get("/tables/{db_name}/{table_name}/tests", responses=MISSING)
async def list_tests(
    request: Request, place: SeenTable, caller: Reader, found_in: FromStores
) -> LatestTests:
    """The latest result of each test, found among the newest 200 drops of the table.

    `sample` holds values of rows, and is empty for who may not see them.
    """
    refuse_unknown(request)
    wanted = DropFilter([place], None, None, states=None, key=None, after=None)
    drops = (await found_in.log.page(wanted, _DROPS)).items
    latest = latest_results(drops)
    if not caller.may(Scope.ROWS):
        latest = list(without_samples(latest))
    return LatestTests(items=latest, drops_read=len(drops))


def latest_results(drops: Iterable[Mapping[str, Any]]) -> list[LatestTest]:
    """Of drops, the newest first: the result of each test that is met first, by label."""
    latest: dict[str, LatestTest] = {}
    for drop in drops:
        of_drop = {name: drop[name] for name in (KEY, "landed_timestamp", "state")}
        # Of a rejected drop they are part of what it was rejected for.
        for result in drop.get("tests") or (drop.get("reason") or {}).get("tests") or ():
            latest.setdefault(result["label"], LatestTest.model_validate({**result, **of_drop}))
    return [latest[label] for label in sorted(latest)]

"""The API's operations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from headrace_api.cursors import CursorError, Cursors
from headrace_api.log_store import DropFilter, DynamoDBLogStore
from headrace_api.models import (
    ContractItem,
    ContractPage,
    DropItem,
    DropPage,
    DropStory,
    Health,
    TableDetail,
    TableItem,
    TableList,
)
from headrace_api.parameters import (
    DropQuestion,
    Page,
    drop_question,
    paging,
    refuse_unknown,
    table_place,
)
from headrace_api.problems import Problem, invalid_parameter, not_found
from headrace_api.warehouse import PostgresReader, StoredContract, Table
from headrace_shared.contract import contract_schema
from headrace_shared.errors import TransientError
from headrace_shared.log_schema import STEP_PREFIX
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

HEALTHZ: Final = "/healthz"
READYZ: Final = "/readyz"
PROBES: Final = frozenset({HEALTHZ, READYZ})

_READY_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Stores:
    """What the operations read from; kept in the application's state."""

    log: DynamoDBLogStore
    warehouse: PostgresReader
    cursors: Cursors


def stores(request: Request) -> Stores:
    """The stores of this process."""
    return cast("Stores", request.app.state.stores)


_Stores = Annotated[Stores, Depends(stores)]
_TablePlace = Annotated[tuple[str, str], Depends(table_place)]
_BAD: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Problem, "description": "A parameter is not valid."},
    503: {"model": Problem, "description": "The log or the warehouse cannot be reached."},
}
_MISSING: Final = {404: {"model": Problem, "description": "There is no such thing."}, **_BAD}
_NOT_READY: Final[dict[int | str, dict[str, Any]]] = {
    503: {"model": Health, "description": "What is not ready."}
}

router = APIRouter()
operations = APIRouter(prefix="/v1")


@operations.get("/drops", responses=_BAD, tags=["drops"])
async def list_drops(
    question: Annotated[DropQuestion, Depends(drop_question)], found_in: _Stores
) -> DropPage:
    """Drops that pass every filter, the newest first.

    With a state, a page may be short, or even empty, and still have a `next_cursor`: what the
    filter leaves out costs reads, and one page makes only so many.
    """
    after = _after(question.cursor, question.filters, found_in.cursors)
    wanted = DropFilter(
        tables=await _tables(question, found_in.warehouse),
        landed_from=question.landed_from,
        landed_to=question.landed_to,
        states=frozenset({question.state}) if question.state else None,
        key=question.key,
        after=after,
    )
    page = await found_in.log.page(wanted, question.limit)
    cursor = found_in.cursors.write(page.last, question.filters) if page.last else None
    return DropPage(
        items=[DropItem.model_validate(item) for item in page.items], next_cursor=cursor
    )


@operations.get("/drops/{drop_id}", responses=_MISSING, tags=["drops"])
async def get_drop(request: Request, drop_id: UUID, found_in: _Stores) -> DropStory:
    """One drop and every step of its road."""
    refuse_unknown(request)
    item = await found_in.log.drop(drop_id)
    if item is None:
        raise not_found(
            f"No drop {drop_id} is in the log. It may not have been routed yet, or has expired."
        )
    steps = [value for name, value in sorted(item.items()) if name.startswith(STEP_PREFIX)]
    return DropStory.model_validate({**item, "timeline": steps})


@operations.get("/tables", responses=_BAD, tags=["tables"])
async def list_tables(request: Request, found_in: _Stores) -> TableList:
    """Every table that has a contract, by name."""
    refuse_unknown(request)
    return TableList(items=[_table_item(table) for table in await found_in.warehouse.tables()])


@operations.get("/tables/{db_name}/{table_name}", responses=_MISSING, tags=["tables"])
async def get_table(request: Request, place: _TablePlace, found_in: _Stores) -> TableDetail:
    """A table: its contract, its rows, and how its drops fared."""
    refuse_unknown(request)
    schema, name = place
    tables = await found_in.warehouse.tables(db_name=schema, table_name=name)
    if not tables:
        raise not_found(
            f"No contract was ever applied for {schema}.{name}. Drop one at "
            f"{schema}/schema/{name}/contract.json."
        )
    (rows, exact), ended, unfinished = await asyncio.gather(
        found_in.warehouse.row_count(schema, name),
        found_in.warehouse.drops_by_state(schema, name),
        found_in.log.count_unfinished(schema, name, tables[0].first_drop_id),
    )
    return TableDetail(
        **_table_item(tables[0]).model_dump(),
        contract=tables[0].contract,
        row_count=rows,
        row_count_is_exact=exact,
        drops_by_state={**unfinished, **ended},
    )


@operations.get("/tables/{db_name}/{table_name}/contracts", responses=_MISSING, tags=["tables"])
async def list_contracts(
    request: Request,
    place: _TablePlace,
    page: Annotated[Page, Depends(paging)],
    found_in: _Stores,
) -> ContractPage:
    """Every contract that was dropped for a table, accepted or refused, the newest first."""
    refuse_unknown(request)
    schema, name = place
    filters = {"db_name": schema, "table_name": name, "of": "contracts"}
    before = _after(page.cursor, filters, found_in.cursors)
    found = await found_in.warehouse.contracts(schema, name, before=before, limit=page.limit + 1)
    if not found and before is None:
        raise not_found(
            f"No contract was ever dropped for {schema}.{name}. Drop one at "
            f"{schema}/schema/{name}/contract.json."
        )
    items = found[: page.limit]
    has_more = len(found) > page.limit
    return ContractPage(
        items=[_contract_item(one) for one in items],
        next_cursor=found_in.cursors.write(items[-1].contract_id, filters) if has_more else None,
    )


@operations.get("/contract-schema", tags=["tables"])
async def get_contract_schema(request: Request) -> dict[str, Any]:
    """The JSON Schema of contracts; name it as `$schema` in an editor's settings."""
    refuse_unknown(request)
    return contract_schema()


@router.get(HEALTHZ, tags=["health"])
async def healthz() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get(
    READYZ,
    tags=["health"],
    responses={503: {"model": Health, "description": "What is not ready."}},
)
async def readyz(found_in: _Stores) -> JSONResponse:
    """The log and the warehouse answer; 503 says which does not."""
    answers = await asyncio.gather(_check(found_in.log.ping()), _check(found_in.warehouse.ping()))
    checks = dict(zip(("log", "warehouse"), answers, strict=True))
    good = set(answers) == {"ok"}
    health = Health(status="ok" if good else "unavailable", checks=checks)
    return JSONResponse(health.model_dump(), status_code=200 if good else 503)


async def _check(asked: Awaitable[None]) -> str:
    try:
        await asyncio.wait_for(asked, _READY_SECONDS)
    except (TransientError, TimeoutError):
        return "unreachable"
    except Exception as error:  # noqa: BLE001 - no table, no right to read it: not ready either
        _log.warning("request.unanswerable", error=str(error))
        return "unusable"
    return "ok"


def _after(cursor: str | None, filters: Mapping[str, str | None], cursors: Cursors) -> UUID | None:
    if cursor is None:
        return None
    try:
        return cursors.read(cursor, filters)
    except CursorError:
        raise invalid_parameter(
            "cursor",
            "This cursor is not one that was given for these filters; repeat the question "
            "without it to begin again.",
        ) from None


async def _tables(
    question: DropQuestion, warehouse: PostgresReader
) -> Sequence[tuple[str, str]] | None:
    """The tables asked for. A name without a database means that table in every database that
    has it, which the warehouse knows: the log has no index by table name alone."""
    if question.table_name is None:
        return None
    if question.db_name is not None:
        return [(question.db_name, question.table_name)]
    return await warehouse.databases_with(question.table_name)


def _table_item(table: Table) -> TableItem:
    return TableItem(
        db_name=table.db_name,
        table_name=table.table_name,
        contract_id=table.contract_id,
        last_loaded_at=table.last_loaded_at,
        last_drop_id=table.last_drop_id,
    )


def _contract_item(stored: StoredContract) -> ContractItem:
    return ContractItem.model_validate(
        {**asdict(stored), "state": "accepted" if stored.accepted else "refused"}
    )

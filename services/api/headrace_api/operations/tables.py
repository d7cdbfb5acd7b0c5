"""How tables fare, and what their contracts say."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request

from headrace_api.models import ContractItem, ContractPage, TableDetail, TableItem, TableList
from headrace_api.operations.common import ANSWERS, MISSING, FromStores, Reader, SeenTable, after
from headrace_api.parameters import Page, paging, refuse_unknown
from headrace_api.problems import not_found
from headrace_api.warehouse import StoredContract, Table
from headrace_shared.contract import contract_schema

_SCHEMA: Final = contract_schema()
_SHORTENED: Final = _SCHEMA | {
    "$defs": {},
    "properties": {"primary_key": _SCHEMA["properties"]["primary_key"]},
}

tables: Final = APIRouter(prefix="/v1", tags=["tables"])


@tables.get("/tables", responses=ANSWERS)
async def list_tables(request: Request, caller: Reader, found_in: FromStores) -> TableList:
    """Every table that has a contract, by name."""
    refuse_unknown(request)
    found = await found_in.warehouse.tables()
    seen = [table for table in found if caller.sees(table.db_name, table.table_name)]
    return TableList(items=[_table_item(table) for table in seen])


@tables.get("/tables/{db_name}/{table_name}", responses=MISSING)
async def get_table(request: Request, place: SeenTable, found_in: FromStores) -> TableDetail:
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


@tables.get("/tables/{db_name}/{table_name}/contracts", responses=MISSING)
async def list_contracts(
    request: Request,
    place: SeenTable,
    page: Annotated[Page, Depends(paging)],
    found_in: FromStores,
) -> ContractPage:
    """Every contract that landed for a table, accepted, refused or reverted, the newest first."""
    refuse_unknown(request)
    schema, name = place
    filters = {"db_name": schema, "table_name": name, "of": "contracts"}
    before = after(page.cursor, filters, found_in.cursors)
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


@tables.get(
    "/contract-schema",
    responses={
        **ANSWERS,
        200: {
            "description": "The schema; its example is shortened.",
            "content": {"application/json": {"example": _SHORTENED}},
        },
    },
)
async def get_contract_schema(request: Request, _: Reader) -> dict[str, Any]:
    """The JSON Schema of contracts; name it as `$schema` in an editor's settings."""
    refuse_unknown(request)
    return contract_schema()


def _table_item(table: Table) -> TableItem:
    return TableItem(
        db_name=table.db_name,
        table_name=table.table_name,
        contract_id=table.contract_id,
        last_loaded_at=table.last_loaded_at,
        last_drop_id=table.last_drop_id,
    )


def _contract_item(stored: StoredContract) -> ContractItem:
    return ContractItem.model_validate(asdict(stored))

"""Rows of a table, by what its contract shows."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from psycopg import AsyncConnection

from headrace_api.authentication import require
from headrace_api.callers import Caller, Scope
from headrace_api.cursors import CursorError, Cursors
from headrace_api.examples import CURSOR
from headrace_api.models import RowPage
from headrace_api.operations.common import MISSING, FromStores, Stores
from headrace_api.parameters import DbName, TableName, table_place
from headrace_api.problems import ApiError, Problem, invalid_parameter, not_found
from headrace_api.rows import query
from headrace_api.rows.access import OpenTable
from headrace_api.rows.forms import Form, csv_head, csv_line, wanted_form
from headrace_api.rows.query import Place
from headrace_api.rows.question import (
    DEFAULT_LIMIT,
    LONGEST_CURSOR,
    MOST_ROWS,
    RowQuestion,
    row_question,
)
from headrace_api.rows.reading import Rows, RowsOfPage, no_such_table
from headrace_api.rows.streaming import StreamedRows

rows: Final = APIRouter(prefix="/v1", tags=["rows"])

_TEXTS: Final[dict[Form, str]] = {
    Form.CSV: "username,identifier\r\nada,1815\r\n",
    Form.NDJSON: '{"username":"ada","identifier":"1815"}\n',
}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    **MISSING,
    200: {
        "model": RowPage,
        "description": "A page of rows; or all of them, streamed.",
        # JSON stands first: generators of clients take the first form that they know.
        "content": {
            Form.JSON: {},
            **{
                form: {"schema": {"type": "string"}, "example": text}
                for form, text in _TEXTS.items()
            },
        },
    },
    404: {"model": Problem, "description": "No such table, or its contract does not open it."},
    406: {"model": Problem, "description": "Accept takes none of the forms."},
    504: {"model": Problem, "description": "The warehouse took too long."},
}
_FILTERS: Final = {
    "name": "filters",
    "in": "query",
    "description": "By the columns that the contract names in `api.filter_by`: `column=value`, "
    "`column[null]=true`, and of those with ranges `column[gt]`, `[gte]`, `[lt]`, `[lte]`.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "style": "form",
    "explode": True,
    "examples": {
        "equality": {"value": {"username": "ada"}},
        "range": {"value": {"ordered_at[gte]": "2026-11-20T00:00:00Z"}},
    },
}


async def _seen_table(
    db_name: DbName, table_name: TableName, caller: Annotated[Caller, Depends(require(Scope.ROWS))]
) -> tuple[str, str]:
    place = table_place(db_name, table_name)
    if not caller.sees(*place):
        raise no_such_table(place)
    return place


@rows.get(
    "/tables/{db_name}/{table_name}/rows",
    responses=_ANSWERS,
    response_class=Response,
    openapi_extra={"parameters": [_FILTERS]},
)
async def list_rows(
    request: Request,
    place: Annotated[tuple[str, str], Depends(_seen_table)],
    found_in: FromStores,
    limit: Annotated[  # noqa: ARG001 - for the document; all are read together
        int | None,
        Query(
            ge=1,
            description=f"The most rows: of a page {DEFAULT_LIMIT}, up to {MOST_ROWS}.",
            examples=[100],
        ),
    ] = None,
    cursor: Annotated[  # noqa: ARG001
        str | None,
        Query(
            max_length=LONGEST_CURSOR,
            description="next_cursor of the page before.",
            examples=[CURSOR],
        ),
    ] = None,
    columns: Annotated[  # noqa: ARG001
        str | None,
        Query(
            description="Names with commas between; `_drop_id` is one too.",
            examples=["username,_drop_id"],
        ),
    ] = None,
) -> Response:
    """Rows of a table, in the order of its key: as pages of JSON, or all of them as CSV or
    newline JSON, by `Accept`."""
    form = wanted_form(request.headers.getlist("accept"))

    async def page(connection: AsyncConnection[Any]) -> Response:
        return await _page(request, place, Rows(connection), found_in)

    async def question(connection: AsyncConnection[Any]) -> RowQuestion:
        return _question(request, place, await Rows(connection).table(place))

    connections = found_in.warehouse.connections
    if form is Form.JSON:
        return await connections.read(page)
    return _stream(form, await connections.read(question), found_in)


def _question(request: Request, place: tuple[str, str], table: OpenTable | None) -> RowQuestion:
    if table is None:
        raise not_found(
            f"The contract of {place[0]}.{place[1]} does not open its rows. Give it a part such "
            'as "api": {"filter_by": ["username"], "columns": ["username", "first_name"]}.'
        )
    return row_question(request.query_params.multi_items(), table)


async def _page(
    request: Request, place: tuple[str, str], reading: Rows, found_in: Stores
) -> Response:
    more: str | None = None

    async def read(table: OpenTable | None) -> RowsOfPage:
        nonlocal more
        question = _question(request, place, table)
        found = await reading.page(question, _after(question, found_in.cursors), _limit(question))
        more = None if found.last is None else _cursor(found.last, question, found_in.cursors)
        return found

    page = await found_in.known_tables.page(place, reading, read)
    body = f'{{"items":[{",".join(page.rows)}],"next_cursor":{json.dumps(more)}}}'
    return Response(body, media_type=Form.JSON, headers={"Vary": "Accept"})


def _limit(question: RowQuestion) -> int:
    limit = question.limit or DEFAULT_LIMIT
    if limit > MOST_ROWS:
        raise invalid_parameter(
            "limit", f"A page has at most {MOST_ROWS} rows; {Form.CSV} and {Form.NDJSON} stream."
        )
    return limit


def _after(question: RowQuestion, cursors: Cursors) -> Place | None:
    if question.cursor is None:
        return None
    try:
        return tuple(json.loads(cursors.unseal(question.cursor, question.bound)))
    except CursorError:
        raise invalid_parameter(
            "cursor",
            "This cursor was given for other filters, or the table has another contract since; "
            "repeat the question without it to begin again.",
        ) from None


def _cursor(last: Place, question: RowQuestion, cursors: Cursors) -> str:
    written = cursors.seal(json.dumps(last, ensure_ascii=False).encode(), question.bound)
    if len(written) > LONGEST_CURSOR:
        raise ApiError(
            "key-too-long",
            "A key is too long",
            400,
            f"The key of this page's last row does not fit into a cursor; {Form.CSV} and "
            f"{Form.NDJSON} need none.",
        )
    return written


def _stream(form: Form, question: RowQuestion, found_in: Stores) -> Response:
    if question.cursor is not None:
        raise invalid_parameter("cursor", f"{form} comes whole; cursors are of {Form.JSON}.")
    most = found_in.downloads.most_rows
    if question.limit is not None and question.limit > most:
        raise invalid_parameter("limit", f"An answer has at most {most} rows.")
    table = question.table
    name = f"{table.db_name}.{table.table_name}.{'csv' if form is Form.CSV else 'ndjson'}"
    return StreamedRows(
        _parts(form, question, found_in),
        downloads=found_in.downloads,
        media_type=f"{form}; charset=utf-8; header=present" if form is Form.CSV else form,
        headers={"Vary": "Accept", "Content-Disposition": f'attachment; filename="{name}"'},
        told={"db_name": table.db_name, "table_name": table.table_name, "form": str(form)},
    )


async def _parts(form: Form, question: RowQuestion, found_in: Stores) -> AsyncGenerator[bytes]:
    """The body, batch by batch; the head of a CSV comes with the first, so that what fails before
    it is told as a problem."""
    downloads, columns = found_in.downloads, question.columns
    limit = question.limit or downloads.most_rows
    head = csv_head(columns) if form is Form.CSV else ""
    asked = (query.text_rows if form is Form.CSV else query.json_lines)(question, limit)
    async with found_in.warehouse.connections.answering(downloads.seconds) as connection:
        found = Rows(connection).stream(question, asked, downloads.most_rows, downloads.seconds)
        async with aclosing(found) as batches:
            async for batch in batches:
                lines = (
                    (csv_line(columns, cells) for cells in batch)
                    if form is Form.CSV
                    else (f"{row}\n" for (row,) in batch)
                )
                yield (head + "".join(lines)).encode()
                head = ""
    yield head.encode()

"""The least that answers the same: a Starlette application that makes one read and writes it out.

It knows no callers, no filters, no pages and no limits; `python -m benchmarks.answering` runs it
beside the API, on the same server with the same clients.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import uvicorn
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from headrace_api.operations.drops import LISTED
from headrace_shared.attribute_values import plain_item
from headrace_shared.aws import AwsClients

PAGE: Final = 50

_CONNECTIONS: Final = 4
_AWS_CONNECTIONS: Final = 50
_ATTRIBUTES: Final = {f"#shown{place}": name for place, name in enumerate(LISTED)}
_ROWS: Final = """
    select row_to_json(shown)::text, t.username::text, t._drop_id::text, t.tableoid::text,
        t.ctid::text
    from dev.answering as t cross join lateral (select t.username, t.age) as shown
    {} order by t.username, t._drop_id, t.tableoid, t.ctid limit 51
    """
_ALL: Final = _ROWS.format("")
_ONE: Final = _ROWS.format("where t.username = %(username)s")
"""As the API asks, but for the contract."""


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        clients = AwsClients(stack, connections=_AWS_CONNECTIONS)
        app.state.dynamodb = await clients.open("dynamodb")
        pool = AsyncConnectionPool(
            os.environ["HEADRACE_WAREHOUSE_DSN"],
            min_size=_CONNECTIONS,
            max_size=_CONNECTIONS,
            open=False,
        )
        app.state.pool = await stack.enter_async_context(pool)
        yield


async def drops(request: Request) -> Response:
    """The newest drops of the table, by its index."""
    answer = await request.app.state.dynamodb.query(
        TableName=os.environ["HEADRACE_LOG_TABLE"],
        IndexName="by_table",
        KeyConditionExpression="table_pk = :table",
        ExpressionAttributeValues={":table": {"S": "dev.answering"}},
        ProjectionExpression=", ".join(_ATTRIBUTES),
        ExpressionAttributeNames=_ATTRIBUTES,
        ScanIndexForward=False,
        Limit=PAGE + 1,
    )
    items = [plain_item(item) for item in answer["Items"][:PAGE]]
    return JSONResponse({"items": items})


async def rows(request: Request) -> Response:
    """The rows of one user, or the first of all."""
    async with request.app.state.pool.connection() as connection:
        asked = dict(request.query_params)
        found = await connection.execute(_ONE if asked else _ALL, asked)
        lines = [line for line, *_ in await found.fetchall()][:PAGE]
    return Response(f'{{"items":[{",".join(lines)}]}}', media_type="application/json")


app: Final = Starlette(routes=[Route("/drops", drops), Route("/rows", rows)], lifespan=_lifespan)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False)

"""Rights as a table: each operation of the document, each role, keys of this, another and every
table."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, NoReturn, cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Request

from headrace_api.app import make_app
from headrace_api.callers import Caller, Scope, TablePattern
from headrace_api.cursors import Cursors
from headrace_api.dead_letters import Letter
from headrace_api.landings import Landed
from headrace_api.log_store import Page
from headrace_api.operations.common import Stores
from headrace_api.operations.events import Wanted
from headrace_api.operations.means import Means
from headrace_api.remembered import Remembered
from headrace_api.settings import ApiSettings
from headrace_api.warehouse import Table
from headrace_shared.drop import drop_id
from headrace_shared.errors import TransientError
from headrace_shared.facts import DropRouted, encode
from headrace_shared.log_schema import State
from headrace_shared.reruns import logged_drop

DB, TABLE, ID = "hr", "people", UUID(int=7)
NOW = datetime.now(UTC)
LANDED = drop_id(landed_at=NOW, sequencer=None, bucket="lake", key="k", version_id=None, etag="e")
DROP: dict[str, Any] = {
    "drop_id": str(LANDED),
    "bucket": "lake",
    "key": f"{DB}/append/{TABLE}/1.csv",
    "etag": "e",
    "db_name": DB,
    "action": "append",
    "table_name": TABLE,
    "file": "1.csv",
    "state": str(State.REJECTED),
    "stage": "load",
    "status": "fail",
    "updated_at": "2026-11-20T11:59:00.000Z",
    "landed_at": f"{NOW:%Y-%m-%dT%H:%M:%S}.000Z",
    "landed_timestamp": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
    "size_bytes": 4_096,
    "attempts": 1,
    "tests": [{"label": f"few {TABLE}", "kind": "unique", "severity": "warn", "passed": True}],
}


class Elsewhere(Enum):
    """What an operation is for who has its scope, but for other tables."""

    HIDDEN = "404, as for a table that was never there"
    NOTHING = "an answer without anything of the table"
    REFUSED = "403: it is of all tables at once"
    SAME = "what everybody gets: it is of no table"


RIGHTS: Final[Mapping[str, tuple[Scope | None, Elsewhere]]] = {
    "GET /healthz": (None, Elsewhere.SAME),
    "GET /readyz": (None, Elsewhere.SAME),
    "GET /metrics": (Scope.READ, Elsewhere.REFUSED),
    "GET /v1/contract-schema": (Scope.READ, Elsewhere.SAME),
    "GET /v1/dead-letters": (Scope.OPERATE, Elsewhere.NOTHING),
    "POST /v1/dead-letters/redrive": (Scope.OPERATE, Elsewhere.NOTHING),
    "GET /v1/drops": (Scope.READ, Elsewhere.NOTHING),
    "GET /v1/drops/{drop_id}": (Scope.READ, Elsewhere.HIDDEN),
    "GET /v1/drops/{drop_id}/quarantine": (Scope.ROWS, Elsewhere.HIDDEN),
    "POST /v1/drops/{drop_id}/replay": (Scope.OPERATE, Elsewhere.HIDDEN),
    "GET /v1/events": (Scope.READ, Elsewhere.NOTHING),
    "GET /v1/log": (Scope.READ, Elsewhere.SAME),
    "POST /v1/replays": (Scope.OPERATE, Elsewhere.HIDDEN),
    "GET /v1/stats": (Scope.READ, Elsewhere.NOTHING),
    "GET /v1/tables": (Scope.READ, Elsewhere.NOTHING),
    "GET /v1/tables/{db_name}/{table_name}": (Scope.READ, Elsewhere.HIDDEN),
    "GET /v1/tables/{db_name}/{table_name}/contracts": (Scope.READ, Elsewhere.HIDDEN),
    "GET /v1/tables/{db_name}/{table_name}/rows": (Scope.ROWS, Elsewhere.HIDDEN),
    "GET /v1/tables/{db_name}/{table_name}/tests": (Scope.READ, Elsewhere.HIDDEN),
}
"""An operation that is not in it fails a test: who adds one says here who may ask it what."""

ROLES: Final[Mapping[str, frozenset[Scope]]] = {
    "none": frozenset(),
    "read": frozenset({Scope.READ}),
    "rows": frozenset({Scope.ROWS}),
    "operate": frozenset({Scope.OPERATE}),
    "all": frozenset(Scope),
}
KEYS = {"of this table": f"{DB}.{TABLE}", "of another": "sales.orders", "of every table": "*.*"}
BODIES: Mapping[str, dict[str, str]] = {
    "POST /v1/dead-letters/redrive": {},
    "POST /v1/replays": {"db_name": DB, "table_name": TABLE},
}


def away(*_: Any, **__: Any) -> NoReturn:
    """Whoever gets so far was let in."""
    raise TransientError("the log: not asked in this test")


class Away:
    def __getattr__(self, name: str) -> Any:
        return away


class OneDrop(Away):
    """Log, warehouse, bus and answers in which all is of one table, for each caller."""

    connections = Away()

    async def drop(self, drop_id: UUID) -> Mapping[str, Any]:
        return DROP

    async def progress(self) -> Mapping[str, Any]:
        return {"written_through": "2026-11-20T22:38:16.402Z", "is_idle": True}

    async def page(self, *_: Any) -> Page:
        return Page([DROP], None)

    async def since(self, *_: Any) -> Landed:
        return Landed([DROP], NOW - timedelta(days=1))

    async def known_tables(self) -> list[tuple[str, str]]:
        return [(DB, TABLE)]

    async def tables(self, **_: Any) -> list[Table]:
        return [Table(DB, TABLE, ID, {}, None, None, ID)]

    async def contracts(self, *_: Any, **__: Any) -> NoReturn:
        away()

    async def once(self, name: object, act: Callable[[], Any]) -> tuple[Any, bool]:
        return await act(), False

    async def publish(self, facts: Sequence[object]) -> None:
        pass

    async def ping(self) -> None:
        pass

    def listen(self, *_: Any) -> AbstractAsyncContextManager[None]:
        return self

    async def __aenter__(self) -> NoReturn:
        away()

    async def __aexit__(self, *_: object) -> None:
        pass


class OneLetter:
    """A queue in which a message of the table lies."""

    service = "loader"

    def __init__(self) -> None:
        fact = json.loads(encode(DropRouted(drop=logged_drop(DROP))))
        body = {"source": "headrace", "detail-type": "Drop Routed", "detail": fact}
        self._letter = Letter(str(ID), json.dumps(body), None, None, 1, "r", {})

    async def look(self) -> tuple[list[Letter], int]:
        return [self._letter], 1

    async def start_moving(self) -> bool:
        return False

    async def move(self, wanted: Callable[[Letter], bool]) -> tuple[list[Letter], bool]:
        return [one for one in [self._letter] if wanted(one)], True


class Named:
    """Takes a caller for what the test says."""

    caller_is: Caller

    async def caller(self, request: Request) -> Caller:
        return self.caller_is


@pytest.fixture
def app() -> FastAPI:
    made = make_app(
        ApiSettings(
            log_table="log",
            keys_table="keys",
            warehouse_dsn="postgresql://nobody@127.0.0.1/none",
            cursor_secret="a secret of the tests",
            rate_per_second=0,
        )
    )
    one: Any = OneDrop()
    made.state.stores = Stores(one, one, Cursors("a secret of the tests"))
    made.state.means = Means(
        one, one, Remembered(5), one, one, {"loader": cast("Any", OneLetter())}
    )
    made.state.feed = one
    made.state.authenticator = Named()
    return made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as made:
        yield made


@dataclass(frozen=True)
class Cell:
    """An operation and who asks it."""

    operation: str
    caller: Caller

    @property
    def expected(self) -> str:
        scope, elsewhere = RIGHTS[self.operation]
        if scope is None or (elsewhere is Elsewhere.SAME and self.caller.may(scope)):
            return "answered"
        if not self.caller.may(scope):
            return "refused"
        if self.caller.sees_everything:
            return "shown"
        if elsewhere is Elsewhere.REFUSED:
            return "refused"
        if self.caller.sees(DB, TABLE):
            return "shown"
        return "hidden" if elsewhere is Elsewhere.HIDDEN else "answered"


def cells() -> Iterator[Cell]:
    for operation in RIGHTS:
        for role, scopes in ROLES.items():
            for pattern in KEYS.values():
                caller = Caller(f"{role}@{pattern}", scopes, (TablePattern.of(pattern),))
                yield Cell(operation, caller)


async def found(client: httpx.AsyncClient, operation: str) -> str:
    """What the answer amounts to; where the parts are away, somebody was let in to them."""
    method, path = operation.split(" ")
    for name, value in (("drop_id", str(LANDED)), ("db_name", DB), ("table_name", TABLE)):
        path = path.replace(f"{{{name}}}", value)
    answer = await client.request(method, path, json=BODIES.get(operation))
    if answer.status_code in {403, 404}:
        return {403: "refused", 404: "hidden"}[answer.status_code]
    assert answer.status_code in {200, 202, 503}, answer.text
    signs = (TABLE, str(LANDED), str(ID), '"rejected":1', "headrace_api_requests_total")
    is_shown = answer.status_code == 503 or any(sign in answer.text for sign in signs)
    return "shown" if is_shown else "answered"


def test_every_operation_of_the_document_is_in_the_table(app: FastAPI) -> None:
    document = app.openapi()["paths"]
    assert {f"{method.upper()} {path}" for path, of in document.items() for method in of} == set(
        RIGHTS
    )


async def test_each_caller_gets_from_each_operation_what_the_table_says(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    wrong, there_are = [], list(cells())
    for cell in there_are:
        app.state.authenticator.caller_is = cell.caller
        got = await found(client, cell.operation)
        # What is told in a stream is chosen by drop, which the test below asks.
        expected = "shown" if is_stream(cell) else cell.expected
        if got != expected:
            wrong.append(f"{cell.operation} for {cell.caller.name}: {got}, not {expected}")
    assert wrong == []
    assert len(there_are) == len(RIGHTS) * len(ROLES) * len(KEYS)


def is_stream(cell: Cell) -> bool:
    return cell.operation == "GET /v1/events" and cell.expected == "answered"


@pytest.mark.parametrize(
    ("pattern", "told"), [(one, one != "sales.orders") for one in KEYS.values()]
)
def test_events_are_told_to_who_sees_the_table(pattern: str, told: bool) -> None:
    caller = Caller("reader", frozenset({Scope.READ}), (TablePattern.of(pattern),))
    assert Wanted(caller)(DROP) is told
    assert Wanted(caller, DB, TABLE)(DROP) is told

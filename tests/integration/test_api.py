"""The API on the real (emulated) log and a real warehouse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from headrace_api.app import make_app
from headrace_api.settings import ApiSettings
from headrace_local.ports import free_port
from headrace_logger.states import Item, applied, update_for
from headrace_shared.drop import Action, Drop, drop_id
from headrace_shared.errors import TransientError
from headrace_shared.facts import (
    DropRejected,
    DropRouted,
    DropSuperseded,
    Fact,
    LoadFailed,
    LoadStarted,
    LoadSucceeded,
    Stage,
)
from headrace_shared.reasons import Reason
from tests.behind_api import Behind
from tests.real_parts import AwsStack

pytestmark = pytest.mark.integration

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CONTRACT_ID = UUID("6b00cbd0-0000-8000-8000-000000000001")
FOUL = Reason(code="bad_rows", message="Line 3 is not a number.", remedy="Correct it.")


def drop(
    landed_at: datetime = NOON,
    *,
    table: str | None = "users",
    db: str = "dev",
    name: str | None = None,
) -> Drop:
    """A drop that landed then; table None stands for a key that names no table."""
    file = name or f"{uuid4().hex}.csv"
    key = f"{db}/append/{table}/{file}" if table else f"nonsense/{file}"
    identity = drop_id(
        landed_at=landed_at, sequencer=None, bucket="lake", key=key, version_id=None, etag="e"
    )
    at = {"db_name": db, "action": Action.APPEND, "table_name": table, "file": file}
    return Drop(
        drop_id=identity,
        bucket="lake",
        key=key,
        etag="e",
        size_bytes=10,
        landed_at=landed_at,
        **(at if table else {}),  # type: ignore[arg-type]
    )


def routed(of: Drop) -> Fact:
    return DropRouted(drop=of, occurred_at=of.landed_at)


def loaded(of: Drop) -> Fact:
    return LoadSucceeded(
        drop=of,
        occurred_at=of.landed_at + timedelta(milliseconds=1_500),
        attempt=1,
        rows_loaded=7,
        rows_quarantined=0,
        bytes=10,
        duration_ms=31,
        contract_id=CONTRACT_ID,
    )


def waiting(of: Drop) -> Fact:
    return LoadFailed(
        drop=of,
        occurred_at=of.landed_at,
        attempt=1,
        final=False,
        stage=Stage.LOAD,
        reason=Reason(code="no_contract", message="It waits for its contract."),
        retry_in_seconds=5.0,
    )


def rejected(of: Drop) -> Fact:
    return DropRejected(drop=of, occurred_at=of.landed_at, attempt=1, stage=Stage.LOAD, reason=FOUL)


def superseded(of: Drop) -> Fact:
    return DropSuperseded(drop=of, occurred_at=of.landed_at, attempt=1, superseded_by=CONTRACT_ID)


def item_of(*facts: Fact) -> Item:
    """The item that the logger makes of these facts."""
    item: Item = {}
    for fact in facts:
        item = applied(item, update_for(fact, expiry_days=0))
    return item


@dataclass
class Api(Behind):
    """The API as a client sees it, with the parts behind it."""

    client: httpx.AsyncClient
    app: FastAPI

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def pages(self, **query: Any) -> list[list[str]]:
        """The drop ids of every page, to the last."""
        found: list[list[str]] = []
        more: dict[str, str] = {}
        while True:
            page = await self.get("/v1/drops", **query, **more)
            found.append([item["drop_id"] for item in page["items"]])
            if page["next_cursor"] is None:
                return found
            more = {"cursor": page["next_cursor"]}

    async def ids(self, **query: Any) -> list[str]:
        return [one for page in await self.pages(**query) for one in page]


@asynccontextmanager
async def serving(aws: AwsStack, table: str, dsn: str, **settings: Any) -> AsyncIterator[Api]:
    """Everybody may ask, unless the settings say otherwise."""
    settings.setdefault("anonymous", not settings.get("keys_table"))
    app = make_app(
        ApiSettings(
            log_table=table, warehouse_dsn=dsn, cursor_secret="a secret of the tests", **settings
        )
    )
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        yield Api(aws, dsn, client, app)


@pytest.fixture
async def api(aws_stack: AwsStack, warehouse_dsn: str) -> AsyncIterator[Api]:
    async with serving(aws_stack, aws_stack.resources.log_table.name, warehouse_dsn) as made:
        yield made


def newest_first(drops: Iterable[Drop]) -> list[str]:
    return sorted((str(one.drop_id) for one in drops), reverse=True)


@pytest.mark.parametrize("query", [{}, {"table_name": "users", "db_name": "dev"}])
async def test_paging_gives_each_of_1200_drops_once(api: Api, query: dict[str, str]) -> None:
    drops = [drop(NOON - timedelta(seconds=number // 3)) for number in range(1_200)]
    api.log(*(item_of(loaded(one)) for one in drops))
    pages = await api.pages(**query, limit=125)
    assert [len(page) for page in pages] == [125] * 9 + [75]
    assert [one for page in pages for one in page] == newest_first(drops)


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_paging_across_months_loses_no_drop(api: Api, limit: int) -> None:
    months = (datetime(2026, month, day, tzinfo=UTC) for month in (11, 9, 8) for day in (1, 9))
    drops = [drop(landed) for landed in months]
    api.log(*(item_of(loaded(one)) for one in drops))
    assert await api.ids(limit=limit) == newest_first(drops)


async def test_last_page_that_is_full_leads_to_no_other(api: Api) -> None:
    api.log(*(item_of(loaded(drop())) for _ in range(4)))
    assert len(await api.pages(limit=4)) == 1


async def test_landing_second_and_range_are_whole_seconds(api: Api) -> None:
    drops = [drop(NOON + timedelta(seconds=seconds)) for seconds in (-1, 0, 1, 2)]
    api.log(*(item_of(loaded(one)) for one in drops))
    for table in ({}, {"table_name": "users", "db_name": "dev"}):
        exact = await api.ids(landed_timestamp="2026-11-20T12:00:00Z", **table)
        assert exact == [str(drops[1].drop_id)]
        spelled = await api.ids(landed_timestamp="2026-11-20T13:00:00.9+01:00", **table)
        assert spelled == exact
        inclusive = await api.ids(
            landed_from="2026-11-20T12:00:00Z", landed_to="2026-11-20T12:00:01Z", **table
        )
        assert inclusive == newest_first(drops[1:3])


async def test_table_name_alone_means_every_database_that_has_it(api: Api) -> None:
    await api.contract(db_name="dev")
    await api.contract(db_name="live")
    drops = [drop(NOON - timedelta(seconds=n), db=("dev", "live")[n % 2]) for n in range(10)]
    api.log(*(item_of(loaded(one)) for one in [*drops, drop(table="orders")]))
    assert await api.ids(table_name="users", limit=3) == newest_first(drops)
    assert await api.ids(table_name="users", db_name="live") == newest_first(drops[1::2])


async def test_state_is_found_by_table_and_over_all(api: Api) -> None:
    facts = (routed, waiting, rejected, loaded, superseded)
    by_state = {fact.__name__: drop(NOON - timedelta(days=40)) for fact in facts}
    other = drop(NOON, table="orders")
    api.log(*(item_of(fact(by_state[fact.__name__])) for fact in facts), item_of(rejected(other)))
    for state, one in by_state.items():
        with_table = await api.ids(state=state, table_name="users", db_name="dev")
        assert with_table == [str(one.drop_id)]
    assert await api.ids(state="rejected") == newest_first([other, by_state["rejected"]])
    assert await api.ids(state="loaded") == [str(by_state["loaded"].drop_id)]


async def test_key_finds_its_drops_alone(api: Api) -> None:
    wanted = drop(name="a b+%20ü.csv")
    api.log(item_of(loaded(wanted)), item_of(loaded(drop())))
    assert await api.ids(key=wanted.key) == [str(wanted.drop_id)]


async def test_cursor_is_refused_for_other_filters(api: Api) -> None:
    api.log(*(item_of(loaded(drop())) for _ in range(3)))
    cursor = (await api.get("/v1/drops", limit=1))["next_cursor"]
    assert (await api.get("/v1/drops", limit=2, cursor=cursor))["items"]
    answer = await api.client.get("/v1/drops", params={"cursor": cursor, "state": "loaded"})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "cursor")


async def test_drop_tells_its_story_in_order(api: Api) -> None:
    one = drop()
    started = LoadStarted(drop=one, occurred_at=one.landed_at, attempt=2)
    ended = loaded(one).model_copy(update={"attempt": 2})
    facts = (ended, waiting(one), routed(one), started)
    api.log(item_of(*facts))
    story = await api.get(f"/v1/drops/{one.drop_id}")
    states = [step["state"] for step in story["timeline"]]
    assert states == ["routed", "waiting", "loading", "loaded"]
    assert story["landed_timestamp"] == "2026-11-20T12:00:00Z"
    assert (story["state"], story["stage"], story["status"]) == ("loaded", "load", "success")
    assert (story["rows_loaded"], story["bytes"], story["load_ms"]) == (7, 10, 31)
    assert (story["duration_ms"], story["reason"]) == (1_500, None)


async def test_reason_and_key_without_a_table_are_told(api: Api) -> None:
    one = drop(table=None)
    api.log(item_of(rejected(one)))
    (item,) = (await api.get("/v1/drops"))["items"]
    assert item["reason"] == {**FOUL.model_dump(), "bad_rows": [], "tests": []}
    assert (item["db_name"], item["table_name"], item["file"]) == (None, None, None)
    assert item["superseded_by"] is None


async def test_drop_that_is_not_there_is_not_found(api: Api) -> None:
    answer = await api.client.get(f"/v1/drops/{uuid4()}")
    assert answer.status_code == 404
    assert answer.json()["type"].endswith("/not-found")


async def test_warehouse_without_a_ledger_is_an_empty_answer(api: Api) -> None:
    assert await api.get("/v1/tables") == {"items": []}
    assert await api.get("/v1/drops", table_name="users") == {"items": [], "next_cursor": None}
    assert (await api.client.get("/v1/tables/dev/users")).status_code == 404


async def test_table_tells_its_contract_rows_and_drops(api: Api) -> None:
    await api.contract()
    with psycopg.connect(api.dsn) as connection:
        connection.execute("create schema dev")
        connection.execute("create table dev.users as select generate_series(1, 12)")
    first, last = drop(NOON), drop(NOON + timedelta(seconds=1))
    await api.ledger(first, "loaded")
    await api.ledger(last, "loaded")
    await api.ledger(drop(), "rejected")
    api.log(
        item_of(loaded(first)),
        item_of(loaded(last)),
        item_of(rejected(drop())),
        item_of(waiting(drop())),
        item_of(routed(drop(NOON - timedelta(days=10)))),
        item_of(routed(drop(table="orders"))),
    )
    table = await api.get("/v1/tables/dev/users")
    assert (table["row_count"], table["row_count_is_exact"]) == (12, True)
    assert table["contract"] == {"columns": []}
    assert table["last_drop_id"] == str(last.drop_id)
    assert table["last_loaded_at"] == "2026-11-20T12:00:01.000Z"
    assert table["drops_by_state"] == {"loaded": 2, "rejected": 1, "waiting": 1, "routed": 1}
    (listed,) = (await api.get("/v1/tables"))["items"]
    assert listed == {name: table[name] for name in listed}


async def test_table_that_somebody_dropped_has_no_row_count(api: Api) -> None:
    await api.contract()
    table = await api.get("/v1/tables/dev/users")
    assert (table["row_count"], table["row_count_is_exact"]) == (None, False)


async def test_api_only_reads_the_warehouse(api: Api) -> None:
    connections = api.app.state.stores.warehouse._connections
    with pytest.raises(TransientError, match="read-only transaction"):
        await connections.read(lambda one: one.execute("create table written (id int)"))


async def test_api_is_ready_when_both_parts_answer(api: Api) -> None:
    checks = {"log": "ok", "warehouse": "ok"}
    assert await api.get("/readyz") == {"status": "ok", "checks": checks}


async def test_api_comes_up_and_says_what_is_down(aws_stack: AwsStack) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    async with serving(aws_stack, "no-such-table", nowhere) as api:
        answer = await api.client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"log": "unusable", "warehouse": "unreachable"}
        tables = await api.client.get("/v1/tables")
        assert (tables.status_code, tables.headers["retry-after"]) == (503, "5")
        assert tables.json()["detail"].startswith("The warehouse")

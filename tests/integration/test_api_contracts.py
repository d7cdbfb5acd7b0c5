"""The history of a table's contracts, as the loader records it and the API tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.test_api import Api, serving
from tests.real_parts import AwsStack
from tests.road import CONTRACT, Road

pytestmark = pytest.mark.integration

COLUMNS: list[dict[str, Any]] = CONTRACT["columns"]
NOTE: dict[str, Any] = {"name": "note", "type": "text"}
PATH = "/v1/tables/dev/users/contracts"


@pytest.fixture
async def api(road: Road, aws_stack: AwsStack) -> AsyncIterator[Api]:
    async with serving(aws_stack, aws_stack.resources.log_table.name, road.dsn) as made:
        yield made


async def a_history(road: Road) -> list[str]:
    """Accepted, applied, refused for what it drops, refused by the rows, not to be read."""
    documents: list[dict[str, Any]] = [
        {},
        {"columns": [*COLUMNS, {"name": "note", "type": "text"}]},
        {"columns": COLUMNS[:1]},
        {"primary_key": ["id"], "columns": [*COLUMNS, {"name": "note", "type": "text"}]},
    ]
    drops = [road.land_contract(**one) for one in documents]
    drops.append(road.land("dev/schema/users/contract.json", "{"))
    for drop in drops:
        await road.bring(drop)
    return [str(one.drop_id) for one in drops]


async def test_every_contract_is_told_with_what_became_of_it(api: Api, road: Road) -> None:
    first, wider, refused, keyed, broken = await a_history(road)
    found = (await api.get(PATH))["items"]
    by_id = {one["contract_id"]: one for one in found}
    assert [one["contract_id"] for one in found] == [broken, keyed, refused, wider, first]
    assert [one["state"] for one in found] == [
        "refused",
        "accepted",
        "refused",
        "accepted",
        "accepted",
    ]
    assert [one["in_force"] for one in found] == [False, True, False, False, False]
    assert by_id[first]["changes"]
    assert any("note" in change for change in by_id[wider]["changes"])
    assert by_id[wider]["contract"]["columns"][-1]["name"] == "note"
    assert by_id[wider]["reason"] is None
    assert "name" in by_id[refused]["reason"]["message"]
    assert by_id[refused]["changes"] == []
    assert by_id[broken]["contract"] is None
    assert by_id[broken]["reason"]["code"].startswith("contract")
    assert by_id[first]["landed_timestamp"] == "2026-11-20T12:00:01Z"
    in_force = await api.get("/v1/tables/dev/users")
    assert in_force["contract_id"] == keyed


async def test_contract_that_the_rows_refuse_is_told_and_not_in_force(api: Api, road: Road) -> None:
    first = road.land_contract()
    await road.bring(first)
    await road.append("id,name\n1,\n")
    strict = [COLUMNS[0], {**COLUMNS[1], "nullable": False}, COLUMNS[2]]
    await road.bring(road.land_contract(columns=strict, evolution="allow_breaking"))
    refused, accepted = (await api.get(PATH))["items"]
    assert (refused["state"], accepted["state"]) == ("refused", "accepted")
    assert "name" in refused["reason"]["message"]
    assert (await api.get("/v1/tables/dev/users"))["contract_id"] == str(first.drop_id)


async def test_reverted_contract_is_shown_as_reverted(api: Api, road: Road) -> None:
    first, wider = road.land_contract(), road.land_contract(columns=[*COLUMNS, NOTE])
    for drop in (first, wider):
        await road.bring(drop)
    await road.revert(wider, 1_795_176_240_123)
    items = (await api.get(PATH))["items"]
    assert [(one["state"], one["in_force"]) for one in items] == [
        ("reverted", False),
        ("accepted", True),
    ]
    assert (await api.get("/v1/tables/dev/users"))["contract_id"] == str(first.drop_id)


async def test_pages_give_each_contract_once(api: Api, road: Road) -> None:
    landed = await a_history(road)
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await api.get(PATH, limit=2, **cursor)
        found += [one["contract_id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == landed[::-1]
    await road.bring(road.land_contract("dev.other"))
    answer = await api.client.get("/v1/tables/dev/other/contracts", params=cursor)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "cursor")


@pytest.mark.parametrize("name", ["nothing", "no%20name", "Users%3B--"])
async def test_table_without_contracts_is_not_found(api: Api, name: str) -> None:
    answer = await api.client.get(f"/v1/tables/dev/{name}/contracts")
    assert answer.status_code == 404
    assert "contract" in answer.json()["detail"] or "name" in answer.json()["detail"]


async def test_drop_that_waits_for_its_new_run_does_not_count_as_ended(
    api: Api, road: Road
) -> None:
    await road.bring(road.land_contract())
    late = road.land_contract(format={"null": "nil"})
    await road.append("id,name\n1,nil\n")
    before = await api.get("/v1/tables/dev/users")
    await road.loading.load(late, 1)
    assert before["drops_by_state"] == {"loaded": 2}
    after = await api.get("/v1/tables/dev/users")
    assert after["drops_by_state"]["loaded"] == 2, "two contracts; the rows are to be read anew"


async def test_reverted_drop_is_counted_as_such(api: Api, road: Road) -> None:
    await road.bring(road.land_contract())
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    await road.bring(drop)
    await road.loading.revert(drop, 1_795_176_240_123)
    assert (await api.get("/v1/tables/dev/users"))["drops_by_state"] == {"loaded": 1, "reverted": 1}

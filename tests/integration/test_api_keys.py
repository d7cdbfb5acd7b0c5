"""Keys in a real (emulated) table, made by the command, judged by the API on a real log."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import jwt
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from headrace_local import cli
from headrace_shared.api_keys import LAST_USED, Scope
from tests.integration.test_api import Api, drop, item_of, loaded, rejected, serving, waiting
from tests.real_parts import AwsStack
from tests.unit.test_api_tokens import RSA_KEY, SmallIssuer

pytestmark = pytest.mark.integration


@pytest.fixture
async def api(aws_stack: AwsStack, warehouse_dsn: str) -> AsyncIterator[Api]:
    resources = aws_stack.resources
    async with serving(
        aws_stack, resources.log_table.name, warehouse_dsn, keys_table=resources.keys_table.name
    ) as made:
        yield made


def keys(aws: AwsStack, *arguments: str) -> Any:
    """`headrace keys ... --json`, with the environment's credentials."""
    table = aws.resources.keys_table.name
    found = CliRunner().invoke(
        cli.app, ["keys", *arguments, "--table", table, "--json"], catch_exceptions=False
    )
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def create(aws: AwsStack, *tables: str, scopes: tuple[str, ...] = ("read",)) -> dict[str, str]:
    """The header of a new key."""
    options = [part for one in tables for part in ("--tables", one)]
    options += [part for one in scopes for part in ("--scope", one)]
    made = keys(aws, "create", "--name", "test", *options)
    return {"Authorization": f"Bearer {made['key']}"}


async def test_key_is_made_listed_used_and_revoked(api: Api) -> None:
    made = keys(api.aws, "create", "--name", "report", "--tables", "sales.*", "--expires", "90d")
    assert made["scopes"] == ["read"]
    header = {"Authorization": f"Bearer {made.pop('key')}"}
    assert keys(api.aws, "list") == [made]
    assert (await api.client.get("/v1/tables", headers=header)).status_code == 200
    assert keys(api.aws, "revoke", made["key_id"])["revoked_at"]
    # The API has read it a moment ago.
    api.app.state.authenticator._keys._remembered.clear()
    answer = await api.client.get("/v1/tables", headers=header)
    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]
    assert keys(api.aws, "revoke", made["key_id"])["revoked_at"]


async def test_use_of_a_key_is_noted(api: Api) -> None:
    header = create(api.aws, "*.*")
    assert (await api.client.get("/v1/tables", headers=header)).status_code == 200
    await api.app.state.authenticator._keys.settle()
    (found,) = keys(api.aws, "list")
    assert found[LAST_USED] is not None


async def test_key_of_some_tables_sees_nothing_of_others(api: Api) -> None:
    await api.contract("orders", "sales")
    await api.contract("people", "hr")
    drops = [drop(table="orders", db="sales") for _ in range(3)]
    hidden = [drop(table="people", db="hr") for _ in range(5)] + [drop(table=None)]
    api.log(*(item_of(loaded(one)) for one in drops))
    api.log(*(item_of(rejected(one)) for one in hidden[:2]))
    api.log(*(item_of(waiting(one)) for one in hidden[2:]))
    api.client.headers.update(create(api.aws, "sales.*"))
    ours = {str(one.drop_id) for one in drops}

    # With pages of one, no gap tells how many drops there are of others.
    pages = await api.pages(limit=1)
    assert [len(page) for page in pages] == [1, 1, 1]
    assert {one for page in pages for one in page} == ours
    assert await api.pages(state="rejected", limit=1) == [[]]
    assert await api.pages(table_name="people", limit=1) == [[]]
    assert await api.pages(table_name="people", db_name="hr", limit=1) == [[]]
    assert await api.pages(key=hidden[0].key, limit=1) == [[]]
    listed = await api.get("/v1/tables")
    assert [item["table_name"] for item in listed["items"]] == ["orders"]
    for path in (
        f"/v1/drops/{hidden[0].drop_id}",
        f"/v1/drops/{hidden[-1].drop_id}",
        "/v1/tables/hr/people",
        "/v1/tables/hr/people/contracts",
    ):
        assert (await api.client.get(path)).status_code == 404, path
    told = (await api.client.get("/v1/tables/hr/people")).json()["detail"]
    never = (await api.client.get("/v1/tables/hr/nobody")).json()["detail"]
    assert told.replace("people", "nobody") == never


async def test_named_table_is_seen_before_its_first_contract(api: Api) -> None:
    one = drop(table="orders", db="sales")
    api.log(item_of(waiting(one)))
    api.client.headers.update(create(api.aws, "sales.orders", "hr.*"))
    assert await api.ids() == [str(one.drop_id)]


async def test_key_with_every_table_sees_what_names_none(api: Api) -> None:
    one = drop(table=None)
    api.log(item_of(rejected(one)))
    api.client.headers.update(create(api.aws, "*.*"))
    assert await api.ids() == [str(one.drop_id)]


async def test_scope_that_is_lacking_is_named(api: Api) -> None:
    header = create(api.aws, "*.*", scopes=("rows", "operate"))
    answer = await api.client.get("/v1/drops", headers=header)
    assert answer.status_code == 403
    assert f"lacks the scope {Scope.READ}" in answer.json()["detail"]


async def test_nothing_of_a_key_is_in_the_log_but_its_name_and_id(api: Api) -> None:
    header = create(api.aws, "*.*")
    _, key_id, secret = header["Authorization"].split("_", 2)
    with capture_logs() as lines:
        await api.client.get("/v1/tables", headers=header)
        await api.client.get("/v1/tables", headers={"Authorization": f"Bearer hr_x_{secret}"})
    assert secret not in str(lines)
    assert lines[0]["caller"] == f"test ({key_id})"
    assert [line["status"] for line in lines] == [200, 401]


async def test_missing_table_of_keys_lets_nobody_in(
    aws_stack: AwsStack, warehouse_dsn: str
) -> None:
    log = aws_stack.resources.log_table.name
    async with serving(aws_stack, log, warehouse_dsn, keys_table="nowhere") as api:
        transport = httpx.ASGITransport(api.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            headers = {"Authorization": f"Bearer hr_x_{'a' * 43}"}
            assert (await client.get("/v1/tables", headers=headers)).status_code == 500
            assert (await client.get("/v1/tables")).status_code == 401


async def test_many_callers_at_once_read_a_key_only_a_few_times(api: Api) -> None:
    header = create(api.aws, "*.*")
    asked = (api.client.get("/v1/contract-schema", headers=header) for _ in range(20))
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}


@pytest.fixture
def issuer() -> Iterator[SmallIssuer]:
    made = SmallIssuer()
    yield made
    made.close()


async def test_token_of_the_issuer_is_taken_and_its_absence_is_told(
    aws_stack: AwsStack, warehouse_dsn: str, issuer: SmallIssuer
) -> None:
    log = aws_stack.resources.log_table.name
    claims = {
        "iss": issuer.url,
        "aud": "headrace",
        "sub": "ada",
        "exp": time.time() + 300,
        "scope": "headrace.read",
        "headrace_tables": "*.*",
    }
    good = jwt.encode(claims, RSA_KEY, algorithm="RS256", headers={"kid": "r1"})
    settings = {"anonymous": False, "jwt_issuer": issuer.url, "jwt_audience": "headrace"}
    for down, token, status in ((True, good, 503), (False, good, 200), (False, good + "x", 401)):
        issuer.down = down
        async with serving(aws_stack, log, warehouse_dsn, **settings) as api:
            headers = {"Authorization": f"Bearer {token}"}
            answer = await api.client.get("/v1/drops", headers=headers)
        assert answer.status_code == status, answer.text
        if down:
            assert "issuer" in answer.json()["detail"]
            assert int(answer.headers["retry-after"]) > 0

"""Rows over HTTP from a real warehouse: what is shown, by which filters, in which order."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import FastAPI, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb

from headrace_api.app import make_app
from headrace_api.callers import Caller, Scope, TablePattern
from headrace_api.rows.access import open_table
from headrace_api.rows.query import json_rows
from headrace_api.rows.question import row_question
from headrace_api.settings import ApiSettings
from headrace_loader.migrations import migrate
from headrace_local.ports import free_port
from headrace_shared.contract import Contract

pytestmark = pytest.mark.integration

ROWS = "/v1/tables/dev/users/rows"
FIRST, SECOND = UUID(int=1 << 64), UUID(int=2 << 64)

USERS: dict[str, Any] = {
    "columns": [
        {"name": "username", "type": "varchar(64)"},
        {"name": "age", "type": "integer"},
        {"name": "salary", "type": "bigint"},
    ],
    "primary_key": ["username"],
    "api": {
        "filter_by": ["username", {"column": "age", "range": True}],
        "columns": ["username", "age"],
    },
}

EVERY_TYPE: dict[str, tuple[str, Any, Any, str | None]] = {
    # What is stored, then how JSON and CSV have it, then a value to filter by.
    "smallint": ("-5", -5, "-5", "-5"),
    "integer": ("2147483647", 2147483647, "2147483647", "2147483647"),
    "bigint": ("9223372036854775807", "9223372036854775807", None, "9223372036854775807"),
    "numeric(40,20)": ("-1.5", "-1.50000000000000000000", None, "-1.5"),
    "numeric": ("NaN", "NaN", "NaN", "NaN"),
    "real": ("0.1", 0.1, "0.1", "0.1"),
    "double precision": ("-Infinity", "-Infinity", "-Infinity", "-Infinity"),
    "boolean": ("true", True, "true", "true"),
    "text": ('=1+1 "ü"\n\u2028', '=1+1 "ü"\n\u2028', '\'=1+1 "ü"\n\u2028', None),
    "varchar(9)": ("a,b", "a,b", "a,b", "a,b"),
    "char(5)": ("ab", "ab", "ab", "ab"),
    "date": ("2026-11-20", "2026-11-20", "2026-11-20", "2026-11-20"),
    "time": ("22:38:14.5", "22:38:14.5", "22:38:14.5", "22:38:14.5"),
    "timestamp": ("2026-11-20 22:38:14", "2026-11-20T22:38:14", None, "2026-11-20T22:38:14"),
    "timestamptz": (
        "2026-11-20 23:38:14.25+01",
        "2026-11-20T22:38:14.25Z",
        None,
        "2026-11-20T22:38:14.25Z",
    ),
    "uuid": (str(SECOND), str(SECOND), None, str(SECOND).upper()),
    "json": ('{"a":\r\n 1e400, "b": "\\ud800"}', None, None, None),
    "jsonb": ('{"a": [1, null]}', {"a": [1, None]}, '{"a": [1, null]}', '{"a":[1,null]}'),
}


@dataclass
class Warehouse:
    """The API as a client sees it, and the warehouse behind it."""

    client: httpx.AsyncClient
    app: FastAPI
    connection: psycopg.AsyncConnection[Any]

    async def contract(self, document: Mapping[str, Any], table: str = "users") -> None:
        """The next contract of a table, and the table as the loader makes it."""
        contract = Contract.model_validate(document)
        number = await self.connection.execute("select count(*) from headrace.contracts")
        place = (await number.fetchone() or (0,))[0]
        await self.connection.execute(
            "insert into headrace.contracts values (%s, 'dev', %s, %s, '[]')",
            [UUID(int=place + 1), table, Jsonb(contract.model_dump(mode="json"))],
        )
        columns = [
            sql.SQL("{} {}").format(sql.Identifier(one.name), sql.SQL(one.type))
            for one in contract.columns
        ]
        await self.connection.execute(
            sql.SQL("create table if not exists {} ({}, _drop_id uuid)").format(
                sql.Identifier("dev", table), sql.SQL(", ").join(columns)
            )
        )

    async def users(self, *rows: tuple[str | None, int | None, UUID | None]) -> None:
        async with self.connection.cursor() as cursor:
            await cursor.executemany(
                "insert into dev.users (username, age, _drop_id) values (%s, %s, %s)", rows
            )

    async def items(self, path: str = ROWS, **query: Any) -> list[dict[str, Any]]:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    async def pages(self, **query: Any) -> list[dict[str, Any]]:
        """The rows of every page, to the last."""
        found: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            answer = await self.client.get(ROWS, params={**query, **more})
            assert answer.status_code == 200, answer.text
            body = answer.json()
            assert len(body["items"]) <= query.get("limit", 50)
            found += body["items"]
            if body["next_cursor"] is None:
                return found
            assert body["items"]
            more = {"cursor": body["next_cursor"]}

    async def lines(self, path: str = ROWS, **query: Any) -> list[dict[str, Any]]:
        answer = await self.client.get(
            path, params=query, headers={"Accept": "application/x-ndjson"}
        )
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.split("\n")[:-1]]

    async def table(self, path: str = ROWS, **query: Any) -> list[list[str]]:
        answer = await self.client.get(path, params=query, headers={"Accept": "text/csv"})
        assert answer.status_code == 200, answer.text
        return list(csv.reader(io.StringIO(answer.text, newline=""), strict=True))

    async def refused(self, status: int, path: str = ROWS, **query: Any) -> dict[str, Any]:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        body: dict[str, Any] = answer.json()
        return body

    def knows(self, *scopes: Scope, tables: str = "*.*") -> None:
        """Who asks from here on."""
        caller = Caller("somebody", frozenset(scopes), (TablePattern.of(tables),))

        class Known:
            async def caller(self, request: Request) -> Caller:
                return caller

        self.app.state.authenticator = Known()


@asynccontextmanager
async def serving(dsn: str, **changes: Any) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    made = {
        "log_table": "log",
        "warehouse_dsn": dsn,
        "cursor_secret": "a secret of the tests",
        "anonymous": True,
    }
    app = make_app(ApiSettings(**{**made, **changes}))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        yield app, client


@pytest.fixture
async def api(warehouse_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Warehouse]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    async with (
        await psycopg.AsyncConnection.connect(warehouse_dsn, autocommit=True) as connection,
        serving(warehouse_dsn) as (app, client),
    ):
        await migrate(connection)
        await connection.execute("create schema dev")
        yield Warehouse(client, app, connection)


def user(name: str | None, age: int | None) -> dict[str, Any]:
    return {"username": name, "age": age}


async def test_rows_of_a_user_are_found_and_nothing_else_is_shown(api: Warehouse) -> None:
    await api.contract(USERS)
    await api.users(("ada", 36, FIRST), ("bob", 20, FIRST), ("ada", 37, SECOND))
    assert await api.items(username="ada") == [user("ada", 36), user("ada", 37)]
    assert await api.items(username="' or true --") == []
    assert await api.items(columns="age,_drop_id", username="bob") == [
        {"age": 20, "_drop_id": str(FIRST)}
    ]


async def test_columns_of_any_name(api: Warehouse) -> None:
    names = ["Order ID", "100 %", 'say "{hi}"', "%(limit)s"]
    columns = [{"name": name, "type": "integer", "quoted": True} for name in names]
    opened = {"filter_by": [{"column": names[0], "range": True}, *names[1:]], "columns": names}
    await api.contract({"columns": columns, "primary_key": names[:2], "api": opened}, "odd")
    await api.connection.execute("insert into dev.odd values (1, 2, 3, 4), (5, 6, 7, null)")
    path = ROWS.replace("users", "odd")
    first, second = (zip_of(names, row) for row in ((1, 2, 3, 4), (5, 6, 7, None)))
    assert await api.items(path) == [first, second]
    assert await api.lines(path, **{"100 %": "2", "Order ID[lt]": "3"}) == [first]
    assert await api.items(path, **{"%(limit)s[null]": "true"}) == [second]
    assert await api.items(path, columns='say "{hi}"', **{"Order ID": "5"}) == [{names[2]: 7}]
    assert (await api.table(path))[0] == names
    answer = await api.client.get(path, params={"limit": "1"})
    more = {"cursor": answer.json()["next_cursor"]}
    assert await api.items(path, **more) == [second]


def zip_of(names: list[str], row: tuple[int | None, ...]) -> dict[str, int | None]:
    return dict(zip(names, row, strict=True))


async def test_ranges_and_nulls(api: Warehouse) -> None:
    await api.contract(USERS)
    await api.users(*((f"u{age}", age, FIRST) for age in range(5)), (None, None, None))
    assert [one["age"] for one in await api.items(**{"age[gte]": "1", "age[lt]": "3"})] == [1, 2]
    assert [one["age"] for one in await api.items(**{"age[gt]": "3"})] == [4]
    assert await api.items(**{"username[null]": "true"}) == [user(None, None)]
    assert len(await api.items(**{"username[null]": "false"})) == 5
    assert await api.items(username="") == []


async def test_every_type_in_every_form(api: Warehouse) -> None:
    names = [f"c{number}" for number in range(len(EVERY_TYPE))]
    types = dict(zip(names, EVERY_TYPE, strict=True))
    filters = [name for name, kind in types.items() if kind != "json"]
    await api.contract(
        {
            "columns": [{"name": name, "type": kind} for name, kind in types.items()],
            "api": {"filter_by": filters, "columns": names},
        }
    )
    values = [stored for stored, *_ in EVERY_TYPE.values()]
    row = sql.SQL(", ").join(map(sql.Literal, values))
    await api.connection.execute(sql.SQL("insert into dev.users values ({})").format(row))
    await api.connection.execute("insert into dev.users default values")
    full, empty = await api.items()
    assert set(empty.values()) == {None}
    assert [full, empty] == await api.lines()
    head, cells, nothing = await api.table()
    assert (head, set(nothing)) == (names, {""})
    for place, (name, kind) in enumerate(types.items()):
        stored, in_json, in_csv, asked = EVERY_TYPE[kind]
        if kind == "json":
            assert full[name] == json.loads(stored)
            assert cells[place] == stored
            continue
        assert full[name] == in_json, kind
        assert cells[place] == (in_json if in_csv is None else in_csv), kind
        assert len(await api.items(**{name: stored if asked is None else asked})) == 1, kind


async def test_lengths_and_scales_do_not_cut_what_is_asked_for(api: Warehouse) -> None:
    document = {
        "columns": [
            {"name": "short", "type": "varchar(3)"},
            {"name": "padded", "type": "char(3)"},
            {"name": "money", "type": "numeric(10,2)"},
        ],
        "api": {"filter_by": ["short", "padded", "money"]},
    }
    await api.contract(document)
    await api.connection.execute("insert into dev.users values ('abc', 'abc', 1.01)")
    for name, wrong, right in (
        ("short", "abcd", "abc"),
        ("padded", "abcd", "abc  "),
        ("money", "1.009", "1.010"),
    ):
        assert await api.items(**{name: wrong}) == []
        assert len(await api.items(**{name: right})) == 1


async def test_times_beyond_those_of_a_calendar_are_shown(api: Warehouse) -> None:
    document = {
        "columns": [{"name": "at", "type": "timestamptz"}, {"name": "day", "type": "date"}],
        "api": {"filter_by": ["at", "day"]},
    }
    await api.contract({**document, "primary_key": ["at", "day"]})
    await api.connection.execute(
        "insert into dev.users values ('infinity', '-infinity'), "
        "('0044-03-15 12:00+00 BC', '20000-01-01'), ('infinity', 'infinity')"
    )
    found = await api.pages(limit=1)
    assert [one["at"] for one in found] == ["0044-03-15T12:00:00Z BC", "infinity", "infinity"]
    assert [one["day"] for one in found] == ["20000-01-01", "-infinity", "infinity"]
    assert (await api.table())[2] == ["infinity", "'-infinity"]


_NAMES = st.none() | st.sampled_from(["", "a", "A", "ä", "b", "\U0001f600", "'", "NaN"])
_USERS = st.lists(
    st.tuples(_NAMES, st.none() | st.integers(0, 2), st.none() | st.sampled_from([FIRST, SECOND])),
    max_size=12,
)


async def test_pages_are_the_sorted_whole_whatever_the_rows(api: Warehouse) -> None:
    for key in (["username"], [], ["age", "username"]):
        await api.contract({**USERS, "primary_key": key})
        await _pages_are_the_whole(api, key)


async def _pages_are_the_whole(api: Warehouse, key: Sequence[str]) -> None:
    examples: list[tuple[Any, int]] = []

    @settings(max_examples=20, database=None, suppress_health_check=list(HealthCheck))
    @given(_USERS, st.integers(1, 5))
    def collect(rows: Any, limit: int) -> None:
        examples.append((rows, limit))

    collect()
    by = sql.SQL(", ").join(map(sql.Identifier, [*key, "_drop_id", "ctid"]))
    for rows, limit in examples:
        await api.connection.execute("truncate dev.users")
        await api.users(*rows)
        cursor = await api.connection.execute(
            sql.SQL("select username, age, _drop_id from dev.users order by {}").format(by)
        )
        whole = [
            {**user(name, age), "_drop_id": drop and str(drop)}
            for name, age, drop in await cursor.fetchall()
        ]
        shown = "username,age,_drop_id"
        assert await api.pages(limit=limit, columns=shown) == whole
        assert await api.lines(columns=shown) == whole


async def test_page_goes_on_after_a_truncate_between(api: Warehouse) -> None:
    await api.contract(USERS)
    await api.users(*((name, 1, FIRST) for name in "abcd"))
    first = (await api.client.get(ROWS, params={"limit": 2})).json()
    await api.connection.execute("truncate dev.users")
    await api.users(*((name, 2, SECOND) for name in "abcd"))
    second = await api.items(cursor=first["next_cursor"])
    # The new row of a key comes after the old one: by its drop it is the later.
    assert second == [user("b", 2), user("c", 2), user("d", 2)]


async def test_cursor_of_other_filters_or_of_an_earlier_contract_is_refused(
    api: Warehouse,
) -> None:
    await api.contract(USERS)
    await api.users(*((name, 1, FIRST) for name in "abcd"))
    cursor = (await api.client.get(ROWS, params={"limit": 1})).json()["next_cursor"]
    assert len(await api.items(cursor=cursor, limit=3, columns="age")) == 3
    assert (await api.refused(400, cursor=cursor, age="1"))["parameter"] == "cursor"
    await api.contract({**USERS, "primary_key": ["age"]})
    problem = await api.refused(400, cursor=cursor)
    assert (problem["parameter"], "contract" in problem["detail"]) == ("cursor", True)


async def test_cursor_tells_nothing_of_columns_that_are_not_shown(api: Warehouse) -> None:
    await api.contract({**USERS, "primary_key": ["salary"]})
    await api.connection.execute(
        "insert into dev.users (username, salary) values ('a', 123456789), ('b', 123456789)"
    )
    cursor = (await api.client.get(ROWS, params={"limit": 1})).json()["next_cursor"]
    assert b"123456789" not in base64.urlsafe_b64decode(cursor + "==")


async def test_new_contract_counts_at_once_though_the_one_before_is_remembered(
    api: Warehouse,
) -> None:
    await api.contract(USERS)
    await api.users(("ada", 36, FIRST))
    assert await api.items() == [user("ada", 36)]
    await api.contract({**USERS, "api": {"filter_by": ["username"], "columns": ["username"]}})
    assert await api.items() == [{"username": "ada"}]
    refused = await api.client.get(ROWS, params={"salary": "7"})
    assert (refused.status_code, refused.json()["parameter"]) == (400, "salary")
    await api.contract({**USERS, "api": {"filter_by": ["salary"], "columns": ["age"]}})
    assert await api.items(salary="7") == []
    assert await api.items() == [{"age": 36}]
    await api.contract({**USERS, "api": None})
    assert (await api.client.get(ROWS)).status_code == 404


async def test_key_that_fits_into_no_cursor_is_told(api: Warehouse) -> None:
    text = [{"name": "username", "type": "text"}, *USERS["columns"][1:]]
    await api.contract({**USERS, "columns": text})
    await api.users(("x" * 9_000, 1, FIRST), ("y", 1, FIRST))
    problem = await api.refused(400, limit=1)
    assert problem["type"].endswith("/key-too-long")
    assert len(await api.lines()) == 2


async def test_page_of_wide_rows_ends_early(api: Warehouse) -> None:
    await api.contract({**USERS, "columns": [{"name": "username", "type": "text"}], **OPEN_TEXT})
    await api.connection.execute(
        "insert into dev.users select repeat(chr(64 + number), 1000000) "
        "from generate_series(1, 20) as number"
    )
    answer = (await api.client.get(ROWS)).json()
    assert 8 <= len(answer["items"]) <= 10
    assert answer["next_cursor"]
    assert len(await api.lines()) == 20


OPEN_TEXT = {"primary_key": [], "api": {"filter_by": ["username"]}}


@pytest.mark.parametrize("place", ["pg_catalog/pg_class", "headrace/ledger", "dev/orders"])
async def test_table_that_is_none_is_not_found(api: Warehouse, place: str) -> None:
    await api.refused(404, f"/v1/tables/{place}/rows")


async def test_warehouse_without_a_ledger_has_no_tables(
    warehouse_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    async with serving(warehouse_dsn) as (_, client):
        assert (await client.get(ROWS)).status_code == 404


async def test_contract_that_does_not_open_its_table_says_how(api: Warehouse) -> None:
    await api.contract({**USERS, "api": None})
    assert '"api": {"filter_by"' in (await api.refused(404))["detail"]


async def test_scope_and_table_decide_who_may_read(api: Warehouse) -> None:
    await api.contract(USERS)
    missing = await api.refused(404, "/v1/tables/dev/gone/rows")
    api.knows(Scope.READ, Scope.OPERATE)
    await api.refused(403)
    api.knows(Scope.ROWS, tables="dev.*")
    assert await api.items() == []
    api.knows(Scope.ROWS, tables="live.*")
    hidden = await api.refused(404)
    assert hidden["detail"] == missing["detail"].replace("gone", "users")


async def test_table_that_somebody_dropped_or_changed_is_told(api: Warehouse) -> None:
    await api.contract(USERS)
    await api.connection.execute("alter table dev.users drop column age")
    assert "as its contract says" in (await api.refused(404))["detail"]
    await api.connection.execute("drop table dev.users")
    assert "as its contract says" in (await api.refused(404))["detail"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("born_on", "2026-02-30"),
        ("seen_at[gt]", "2026-11-20T25:00:00Z"),
        ("doc", "{"),
        ("r", "1e99"),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
async def test_value_that_postgres_refuses_is_named(
    api: Warehouse, parameter: str, value: str, accept: str
) -> None:
    await api.contract(
        {
            "columns": [
                {"name": "born_on", "type": "date"},
                {"name": "seen_at", "type": "timestamptz"},
                {"name": "doc", "type": "jsonb"},
                {"name": "r", "type": "real"},
            ],
            "api": {"filter_by": ["born_on", {"column": "seen_at", "range": True}, "doc", "r"]},
        }
    )
    good = {"born_on[null]": "true", "doc[eq]": "{}", "r[eq]": "1"}
    query = {name: given for name, given in good.items() if not name.startswith(parameter)}
    answer = await api.client.get(
        ROWS, params={**query, parameter: value}, headers={"Accept": accept}
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"] == parameter


INJECTIONS = [
    "'; drop table dev.users --",
    '"; drop table dev.users --',
    "%s",
    "%(f0)s",
    "{}",
    "\\",
]


@pytest.mark.parametrize("text", INJECTIONS)
async def test_injections_are_only_ever_texts(api: Warehouse, text: str) -> None:
    await api.contract(USERS)
    await api.users((text, 1, FIRST), ("ada", 2, FIRST))
    assert await api.items(username=text) == [user(text, 1)]
    assert len(await api.pages(limit=1)) == 2
    for name in ("age", "age[gte]", "limit", "cursor", "columns", text, f"username[{text}]"):
        await api.refused(400, **{name: text})
    for path in (f"/v1/tables/{text}/users/rows", f"/v1/tables/dev/{text}/rows"):
        await api.refused(404, path)
    answer = await api.client.get(ROWS, headers={"Accept": text})
    assert answer.status_code == 406
    assert len(await api.items()) == 2


async def test_other_forms_are_refused_and_streams_take_no_cursor(api: Warehouse) -> None:
    await api.contract(USERS)
    answer = await api.client.get(ROWS, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (406, "not-acceptable")
    answer = await api.client.get(ROWS, params={"cursor": "x"}, headers={"Accept": "text/csv"})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "cursor")
    await api.refused(400, limit=5_001)


async def test_stream_of_nothing_is_its_head(api: Warehouse) -> None:
    await api.contract(USERS)
    assert await api.table() == [["username", "age"]]
    assert await api.lines() == []


async def test_streams_say_what_they_are(api: Warehouse) -> None:
    await api.contract(USERS)
    answer = await api.client.get(ROWS, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"] == 'attachment; filename="dev.users.csv"'
    assert "Accept" in answer.headers["vary"].split(", ")


async def test_stream_is_never_cut_without_being_asked_to(
    api: Warehouse, warehouse_dsn: str
) -> None:
    await api.contract(USERS)
    await api.users(*((f"u{number}", number, FIRST) for number in range(11)))
    async with serving(warehouse_dsn, download_rows=10) as (_, client):
        accept = {"Accept": "application/x-ndjson"}
        answer = await client.get(ROWS, headers=accept)
        assert (answer.status_code, answer.json()["parameter"]) == (400, "limit")
        assert (await client.get(ROWS, params={"limit": 11}, headers=accept)).status_code == 400
        cut = await client.get(ROWS, params={"limit": 10}, headers=accept)
        assert cut.text.count("\n") == 10
        narrow = await client.get(ROWS, params={"age[gt]": 0}, headers=accept)
        assert narrow.text.count("\n") == 10


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
async def test_question_that_takes_too_long_says_what_to_narrow(
    api: Warehouse, warehouse_dsn: str, accept: str
) -> None:
    await api.contract(USERS)
    changes = {"statement_timeout_seconds": 0.3, "download_seconds": 0.3}
    async with (
        serving(warehouse_dsn, **changes) as (_, client),
        await psycopg.AsyncConnection.connect(warehouse_dsn) as other,
    ):
        await other.execute("lock table dev.users")
        answer = await client.get(ROWS, headers={"Accept": accept})
        assert answer.status_code == 504, answer.text
        assert "username, age" in answer.json()["detail"]


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/x-ndjson"])
async def test_postgres_down_is_503(monkeypatch: pytest.MonkeyPatch, accept: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    async with serving(nowhere) as (_, client):
        answer = await client.get(ROWS, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["detail"].startswith("The warehouse")


async def test_more_downloads_than_there_are_connections_for_are_told_to_wait(
    api: Warehouse,
) -> None:
    await api.contract(USERS)
    downloads = api.app.state.stores.downloads
    with downloads, downloads:
        answer = await api.client.get(ROWS, headers={"Accept": "text/csv"})
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (503, "busy")
        assert await api.items() == []
    assert await api.lines() == []


async def test_rows_are_read_in_transactions_that_cannot_write(api: Warehouse) -> None:
    await api.contract(USERS)
    async with api.app.state.stores.warehouse.connections.answering() as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await connection.execute("delete from dev.users")
        await connection.rollback()


async def test_deep_page_enters_an_index_of_the_key_at_its_place(api: Warehouse) -> None:
    columns = [{**USERS["columns"][0], "nullable": False}, *USERS["columns"][1:]]
    document = {**USERS, "columns": columns}
    await api.contract(document)
    await api.connection.execute(
        "insert into dev.users (username, age) select 'u' || number, number % 90 "
        "from generate_series(1, 50000) as number"
    )
    await api.connection.execute("create index on dev.users (username)")
    await api.connection.execute("vacuum analyze dev.users")
    table = open_table(("dev", "users"), FIRST, document)
    assert table is not None
    page = json_rows(row_question([], table), ("u40000", str(FIRST), "1", "(0,1)"), 51)
    plan = await api.connection.execute(sql.SQL("explain ") + page.statement, page.values)
    told = "\n".join(line for (line,) in await plan.fetchall())
    assert "Index Cond: ((username)::text >= 'u40000'::text)" in told
    assert "Seq Scan" not in told

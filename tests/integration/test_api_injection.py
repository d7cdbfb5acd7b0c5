"""Whatever is written into whatever the API takes is a text: it is not run, and reaches nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
from psycopg import sql

from headrace_api import examples
from headrace_shared.api_keys import Scope, TablePattern, make_key
from headrace_shared.contract import Contract
from headrace_shared.facts import DropRouted, encode
from headrace_shared.log_schema import ANSWER_PREFIX
from tests.integration.test_api import drop, item_of, loaded
from tests.real_parts import AwsStack
from tests.running_api import RunningApi, running_api
from tests.running_platform import eventually

pytestmark = pytest.mark.integration

PAYLOADS = [
    b"'; drop table headrace.ledger; --",
    b'" or 1=1 --',
    b"1) union select username, 1, null from hr.people --",
    b"%(db_name)s {0} %s",
    b'{"S":"x"}',
    b":x OR attribute_exists(#key)",
    b'dev.user_data" : {"S": "hr.people"}',
    b"answer#x",
    b"../../etc/passwd",
    b"%00",
    b"a\0b",
    b"a\r\nSet-Cookie: owned=1\r\n\r\n<script>",
    b"a\nid: 1\ndata: owned",
    b"\xed\xa0\x80\xff\xfe",
    "dev\u202euser_data\u2066".encode(),
    "\uff07 or \uff11=\uff11".encode(),
    b"x" * 4_000,
]
SECRET = "of-hr-alone"
"""Stands in everything of the table that the caller does not see."""
AT_ONCE = 8

OURS, THEIRS = drop(table="user_data"), drop(table="people", db="hr", name=f"{SECRET}.csv")
SEGMENTS = {"drop_id": str(OURS.drop_id), "db_name": "dev", "table_name": "user_data"}
BODIES: Mapping[str, dict[str, Any]] = {
    "/v1/dead-letters/redrive": {"service": "loader", "message_ids": ["none"]},
    "/v1/replays": {"db_name": "dev", "table_name": "user_data", "states": ["loaded"]},
}
"""Such that nothing happens, or a replay that nobody hears of."""
TOGETHER = {"db_name": "table_name", "table_name": "db_name"}
"""Without the one, that may be the fault that is told of the other."""
REDRIVE = "/v1/dead-letters/redrive"
LOOKS = {(REDRIVE, "message_ids"), (REDRIVE, "Idempotency-Key")}
"""Where a payload that is taken has a queue looked at, for a second: they get some of them."""


@dataclass(frozen=True)
class Probe:
    """A request that is good but for one place.

    Args:
        name: of that place, which a refusal has to tell.
    """

    method: str
    path: str
    name: str
    payload: bytes
    query: Mapping[bytes, bytes] = field(default_factory=dict)
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    @property
    def url(self) -> str:
        path = self.path
        for name, good in SEGMENTS.items():
            value = self.payload if name == self.name and not self.query else good
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        pairs = (f"{quote(name, safe='')}={quote(value)}" for name, value in self.query.items())
        return f"{path}?{'&'.join(pairs)}"

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.name}={self.payload[:40]!r}"


def probes(document: Mapping[str, Any]) -> Iterator[Probe]:
    """Every payload in every parameter, as the name of one, and in every field of a body."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for place, name in places(operation, document):
                for payload in PAYLOADS[:: 4 if (path, name) in LOOKS else 1]:
                    base = Probe(method, path, name, payload, body=BODIES.get(path))
                    yield from probe(base, place)


def places(operation: Any, document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where something can be written, and its name; the place `name` has none."""
    if "security" in operation:
        yield "name", ""
    for one in operation.get("parameters", ()):
        # Rows have as many parameters as columns: a test of theirs has them all.
        if one["name"] != "filters":
            yield one["in"], one["name"]
    for one in operation.get("requestBody", {}).get("content", {}).values():
        model = one["schema"]["$ref"].rpartition("/")[2]
        for name in document["components"]["schemas"][model]["properties"]:
            yield "body", name


def probe(base: Probe, place: str) -> Iterator[Probe]:
    """The payload there; none where HTTP itself has no room for it."""
    name, payload = base.name, base.payload
    beside = {TOGETHER[name]: "users"} if name in TOGETHER else {}
    if place == "path":
        yield base
    elif place == "query":
        yield replace(base, query={name.encode(): payload})
        for other, good in beside.items():
            yield replace(base, query={name.encode(): payload, other.encode(): good.encode()})
    elif place == "name":
        told = payload.decode("utf-8", "replace")[:64]
        yield replace(base, name=told, query={payload: b"1"})
    elif place == "body":
        assert base.body is not None
        text = payload.decode("utf-8", "surrogateescape")
        given = [text] if isinstance(base.body.get(name), list) else text
        yield replace(base, body={**base.body, name: given, **beside})
    elif not set(payload) & {*range(32), 127}:
        yield replace(base, headers={name.encode(): payload})


async def faults(client: httpx.AsyncClient, of: Probe) -> list[str]:
    """What is wrong with the answer."""
    # Written with escapes, so that halves of surrogate pairs come through.
    body = None if of.body is None else json.dumps(of.body)
    headers = {b"Content-Type": b"application/json", **of.headers}
    async with client.stream(of.method, of.url, headers=headers, content=body) as answer:
        media_type = answer.headers.get("content-type", "")
        # A stream of events has no end: that it begins is all that can be seen.
        text = "" if media_type.startswith("text/event-stream") else (await answer.aread()).decode()
    found = [f"{name!r} echoes it" for name, value in answer.headers.raw if of.payload in value]
    found += ["tells of others"] if SECRET in text or "root:" in text else []
    if answer.status_code in {200, 202}:
        return found
    if answer.status_code not in {400, 404} or media_type != "application/problem+json":
        return [*found, f"is {answer.status_code} {media_type}"]
    problem = json.loads(text)
    told = problem.get("parameter", "").replace("\\0", "\0")
    is_named = told in {of.name, TOGETHER.get(of.name)}
    return found if answer.status_code == 404 or is_named else [*found, f"names {told!r}"]


def content(dsn: str) -> dict[str, str]:
    """A digest of every table that is no part of Postgres itself."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables "
            "where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        digest = sql.SQL("select md5(string_agg(one::text, ' ' order by one::text)) from {} as one")
        return {
            ".".join(table): str(
                connection.execute(digest.format(sql.Identifier(*table))).fetchone()
            )
            for table in tables
        }


def kept(api: RunningApi) -> list[Any]:
    """The log without answers to requests, the quarantine's files, and the dead letters."""
    clients, names = api.aws.clients, api.aws.resources
    items = clients.dynamodb.scan(TableName=names.log_table.name)["Items"]
    drops = [one for one in items if not one["drop_id"]["S"].startswith(ANSWER_PREFIX)]
    files = clients.s3.list_objects_v2(Bucket=names.quarantine.name).get("Contents", [])
    return [sorted(drops, key=str), files, letters(api)]


def letters(api: RunningApi) -> int:
    url, ask = api.aws.provisioned.dead_letter_queues["loader"], api.aws.clients.sqs
    found = ask.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    there = int(found["ApproximateNumberOfMessages"])
    return there + int(found["ApproximateNumberOfMessagesNotVisible"])


def is_alone(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        others = connection.execute(
            "select from pg_stat_activity where datname = current_database() "
            "and backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        return not others.fetchall()


def changes(dsn: str) -> int:
    """Rows that anybody ever changed or took away, also where that was rolled back."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select sum(n_tup_upd + n_tup_del) from pg_stat_user_tables"
        ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
async def api(aws_stack: AwsStack, warehouse_dsn: str, tmp_path: Path) -> AsyncIterator[RunningApi]:
    """Asked by who may do everything with one of two tables."""
    ours = [TablePattern.of("dev.user_data")]
    key = make_key("tests", list(Scope), ours, datetime.now(UTC).replace(microsecond=0))
    with running_api(aws_stack, warehouse_dsn, tmp_path, key) as made:
        contract = Contract.model_validate(examples.CONTRACT)
        for of in (OURS, THEIRS):
            made.log(item_of(loaded(of)))
            await made.table(of, contract, (of.file, 1815, "1815-12-10"))
            await made.ledger(of, "loaded")
            body = {"source": "headrace", "detail-type": "Drop Routed"}
            body["detail"] = json.loads(encode(DropRouted(drop=of)))
            aws_stack.clients.sqs.send_message(
                QueueUrl=aws_stack.provisioned.dead_letter_queues["loader"],
                MessageBody=json.dumps(body),
            )
        yield made


async def test_what_is_injected_anywhere_is_only_ever_a_text(api: RunningApi) -> None:
    before, kept_before = content(api.dsn), kept(api)
    assert SECRET in str(kept_before)
    wrong, gate = list[str](), asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=api.url, headers=api.headers, timeout=60) as client:
        document = (await client.get("/openapi.json")).json()
        asked = list(probes(document))

        async def ask(of: Probe) -> None:
            async with gate:
                wrong.extend(f"{of}: {fault}" for fault in await faults(client, of))

        await asyncio.gather(*map(ask, asked))
    assert wrong == []
    assert len(asked) > 800
    assert content(api.dsn) == before
    assert kept(api) == kept_before
    assert "request.failed" not in api.output.read_text()
    # Its connections tell what they did at the latest when they end.
    api.child.terminate()
    eventually(lambda: is_alone(api.dsn), "the API has left Postgres")
    assert changes(api.dsn) == 0

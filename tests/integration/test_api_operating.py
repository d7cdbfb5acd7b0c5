"""The operations of the API that do more than read, on real (emulated) queues, bus and bucket."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from headrace_api.app import make_app
from headrace_api.callers import EVERY_TABLE, Caller, Scope, TablePattern
from headrace_api.settings import ApiSettings
from headrace_shared.drop import Drop
from headrace_shared.facts import DropRouted, LoadSucceeded, encode
from headrace_shared.quarantine import FORMAT, quarantine_key
from headrace_shared.reasons import TestResult
from tests.integration.test_api import (
    Api,
    drop,
    item_of,
    loaded,
    rejected,
    routed,
    superseded,
    waiting,
)
from tests.real_parts import AwsStack

pytestmark = pytest.mark.integration

EVERYBODY = Caller("everybody", frozenset(Scope), (EVERY_TABLE,))
OF_SALES = Caller("of sales", frozenset(Scope), (TablePattern.of("sales.*"),))
READER = Caller("reader", frozenset({Scope.READ}), (EVERY_TABLE,))


class Is:
    """An authenticator that takes everybody for one caller."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def caller(self, request: object) -> Caller:
        return self._caller


def settings_of(aws: AwsStack, dsn: str, **more: Any) -> ApiSettings:
    names = aws.resources
    made = aws.provisioned
    everything: dict[str, Any] = {
        "log_table": names.log_table.name,
        "warehouse_dsn": dsn,
        "cursor_secret": "a secret of the tests",
        "anonymous": True,
        "bus_name": names.bus,
        "quarantine_bucket": names.quarantine.name,
        "inboxes": made.inboxes,
        "dead_letter_queues": made.dead_letter_queues,
    }
    return ApiSettings(**(everything | more))


@pytest.fixture
async def make(aws_stack: AwsStack, warehouse_dsn: str) -> AsyncIterator[Callable[..., Any]]:
    stack: list[Any] = []

    async def made(**more: Any) -> Api:
        app = make_app(settings_of(aws_stack, warehouse_dsn, **more))
        lifespan = app.router.lifespan_context(app)
        await lifespan.__aenter__()
        stack.append(lifespan)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api")
        return Api(aws_stack, warehouse_dsn, client, app)

    yield made
    for lifespan in stack:
        await lifespan.__aexit__(None, None, None)


@pytest.fixture
async def api(make: Callable[[], Awaitable[Api]]) -> Api:
    return await make()


def as_caller(api: Api, caller: Caller) -> None:
    api.app.state.authenticator = Is(caller)


def keep(api: Api, of: Drop, rows: int, form: str = FORMAT) -> None:
    """Bad rows of a drop, as the loader keeps them."""
    about = {"format": form, "drop_id": str(of.drop_id), "set_aside": True, "header": "id"}
    lines = [about, *(bad_row(number) for number in range(1, rows + 1))]
    api.aws.clients.s3.put_object(
        Bucket=api.aws.resources.quarantine.name,
        Key=quarantine_key(of),
        Body=gzip.compress("".join(f"{json.dumps(line)}\n" for line in lines).encode()),
    )


def bad_row(number: int) -> dict[str, Any]:
    fault = {"code": "wrong_type", "column": "id", "value": "ö", "reason": "No number."}
    return {"record": number, "line": number + 1, "byte_offset": 3, "faults": [fault], "raw": "ö"}


def die(api: Api, of: Drop, service: str = "loader") -> None:
    """A message of the drop lies in the dead-letter queue."""
    body = {"source": "headrace", "detail-type": "Drop Routed"}
    body["detail"] = json.loads(encode(DropRouted(drop=of)))
    send(api, json.dumps(body), service)


def send(api: Api, body: str, service: str = "loader") -> None:
    url = api.aws.provisioned.dead_letter_queues[service]
    api.aws.clients.sqs.send_message(QueueUrl=url, MessageBody=body)


def taken(api: Api, service: str) -> list[str]:
    """The messages of a service's inbox, which are taken out."""
    sqs, url, found = api.aws.clients.sqs, api.aws.queue_url(service), list[str]()
    while messages := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1
    ).get("Messages"):
        for message in messages:
            found.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def replays_asked(api: Api) -> list[tuple[str, int]]:
    """The drops and runs for which a replay was published since the last look."""
    facts = [json.loads(body) for body in taken(api, "router")]
    assert all(fact["detail-type"] == "Replay Requested" for fact in facts)
    return [(fact["detail"]["drop"]["drop_id"], fact["detail"]["run"]) for fact in facts]


async def post(api: Api, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await api.client.post(path, json=body, headers=headers)


# --- quarantine


async def test_bad_rows_are_paged_and_streamed(api: Api) -> None:
    of = drop()
    api.log(item_of(rejected(of)))
    keep(api, of, 7)
    path = f"/v1/drops/{of.drop_id}/quarantine"
    page = await api.get(path, limit=3)
    found = [row["record"] for row in page["items"]]
    while cursor := page["next_cursor"]:
        page = await api.get(path, limit=3, cursor=cursor)
        found += [row["record"] for row in page["items"]]
    assert found == [1, 2, 3, 4, 5, 6, 7]
    assert page["items"][0]["faults"] == bad_row(7)["faults"]
    assert (page["header"], page["set_aside"]) == ("id", True)
    streamed = await api.client.get(path, headers={"Accept": "application/x-ndjson"})
    assert streamed.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line) for line in streamed.text.splitlines()] == [
        bad_row(number) for number in range(1, 8)
    ]


async def test_drop_without_bad_rows_has_none_in_quarantine(api: Api) -> None:
    good, refused = drop(), drop()
    api.log(item_of(loaded(good)), item_of(rejected(refused)))
    keep(api, good, 1)  # Of an earlier run: mended since.
    for one in (good, refused, drop()):
        answer = await api.client.get(f"/v1/drops/{one.drop_id}/quarantine")
        assert answer.status_code == 404, answer.text


async def test_bad_rows_are_for_those_who_may_see_rows_of_the_table(api: Api) -> None:
    of = drop(db="hr")
    api.log(item_of(rejected(of)))
    keep(api, of, 1)
    for caller, status in ((OF_SALES, 404), (READER, 403), (EVERYBODY, 200)):
        as_caller(api, caller)
        answer = await api.client.get(f"/v1/drops/{of.drop_id}/quarantine")
        assert answer.status_code == status, answer.text


async def test_bad_rows_of_another_version_are_told_so(api: Api) -> None:
    of = drop()
    api.log(item_of(rejected(of)))
    keep(api, of, 1, "headrace-quarantine/9")
    for accept in ("application/json", "application/x-ndjson"):
        answer = await api.client.get(
            f"/v1/drops/{of.drop_id}/quarantine", headers={"Accept": accept}
        )
        assert answer.status_code == 501
        assert "headrace-quarantine/9" in answer.json()["detail"]


# --- tests


async def test_latest_result_of_each_test_is_told(api: Api) -> None:
    early, late = drop(), drop(datetime(2026, 11, 20, 13, tzinfo=UTC))
    result = TestResult(
        label="a", kind="not_null", severity="error", passed=False, sample=(("x",),)
    )
    good = result.model_copy(update={"passed": True})
    other = good.model_copy(update={"label": "b"})
    first = with_tests(early, result, other)
    api.log(item_of(first), item_of(with_tests(late, good)))
    page = await api.get("/v1/tables/dev/users/tests")
    assert [(one["label"], one["passed"], one["drop_id"]) for one in page["items"]] == [
        ("a", True, str(late.drop_id)),
        ("b", True, str(early.drop_id)),
    ]
    assert page["items"][0]["sample"] == [["x"]]
    as_caller(api, READER)
    page = await api.get("/v1/tables/dev/users/tests")
    assert [one["sample"] for one in page["items"]] == [[], []]
    as_caller(api, OF_SALES)
    assert (await api.client.get("/v1/tables/dev/users/tests")).status_code == 404


def with_tests(of: Drop, *results: TestResult) -> LoadSucceeded:
    return LoadSucceeded(
        drop=of, attempt=1, rows_loaded=1, bytes=1, duration_ms=1, tests=tuple(results)
    )


# --- replays


async def test_replay_is_published_and_same_key_publishes_once(api: Api) -> None:
    of = drop()
    api.log(item_of(rejected(of)))
    path = f"/v1/drops/{of.drop_id}/replay"
    first = await post(api, path, key="once")
    again = await post(api, path, key="once")
    assert (first.status_code, again.status_code) == (202, 202), first.text
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert replays_asked(api) == [(str(of.drop_id), first.json()["run"])]
    assert (await post(api, path, key="twice")).status_code == 202
    assert len(replays_asked(api)) == 1


async def test_requests_with_one_key_at_once_publish_once(api: Api) -> None:
    of = drop()
    api.log(item_of(rejected(of)))
    path = f"/v1/drops/{of.drop_id}/replay"
    answers = await asyncio.gather(*(post(api, path, key="k") for _ in range(5)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(202) >= 1
    assert set(statuses) <= {202, 409}
    assert len(replays_asked(api)) == 1


async def test_key_of_another_request_is_refused(api: Api) -> None:
    one, other = drop(), drop()
    api.log(item_of(rejected(one)), item_of(rejected(other)))
    assert (await post(api, f"/v1/drops/{one.drop_id}/replay", key="k")).status_code == 202
    answer = await post(api, f"/v1/drops/{other.drop_id}/replay", key="k")
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/idempotency-key-reused")


async def test_answers_look_like_no_drops(api: Api) -> None:
    of = drop()
    api.log(item_of(rejected(of)))
    await post(api, f"/v1/drops/{of.drop_id}/replay", key="once")
    assert await api.ids() == [str(of.drop_id)]
    table = api.aws.resources.log_table.name
    items = api.aws.clients.dynamodb.scan(TableName=table)["Items"]
    answers = [item for item in items if item["drop_id"]["S"].startswith("answer#")]
    assert len(answers) == 1
    assert "expires_at" in answers[0]


async def test_drop_that_cannot_be_replayed_says_why(api: Api) -> None:
    nowhere = drop(table=None)
    moving = drop(datetime.now(UTC).replace(microsecond=0))
    api.log(item_of(rejected(nowhere)), item_of(routed(moving)))
    for one, why in ((nowhere, "names no table"), (moving, "on its way")):
        answer = await post(api, f"/v1/drops/{one.drop_id}/replay", key=f"of-{one.drop_id}")
        assert answer.status_code == 409
        assert why in answer.json()["detail"]
    assert replays_asked(api) == []


async def test_drops_of_a_table_are_replayed_by_state_and_landing_in_pages(api: Api) -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    bad = [drop(noon + timedelta(seconds=number)) for number in range(5)]
    others = [drop(noon), drop(noon, table="orders"), drop(noon - timedelta(days=1))]
    api.log(*(item_of(rejected(one)) for one in [*bad, *others[1:]]), item_of(loaded(others[0])))
    body = {"db_name": "dev", "table_name": "users", "landed_from": noon.isoformat(), "limit": 3}
    asked: list[str] = []
    while True:
        answer = await post(api, "/v1/replays", body)
        assert answer.status_code == 202, answer.text
        asked += [one["drop_id"] for one in answer.json()["items"]]
        if (cursor := answer.json()["next_cursor"]) is None:
            break
        body |= {"cursor": cursor}
    assert asked == [str(one.drop_id) for one in reversed(bad)]
    assert sorted(one for one, _ in replays_asked(api)) == sorted(asked)


async def test_states_under_way_cannot_be_replayed_by_table(api: Api) -> None:
    body = {"db_name": "dev", "table_name": "users", "states": ["loading"]}
    answer = await post(api, "/v1/replays", body)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "states")
    answer = await post(api, "/v1/replays", {"db_name": "dev", "table_name": "users", "stat": 1})
    assert answer.status_code == 400


# --- dead letters


async def test_dead_letters_are_seen_and_stay(api: Api) -> None:
    of = drop()
    die(api, of)
    send(api, "no json", "router")
    told: dict[str, Any] = {}
    for receives in (1, 2):
        told = await api.get("/v1/dead-letters")
        assert [one["service"] for one in told["items"]] == ["router", "loader"]
        unreadable, letter = told["items"]
        assert "not JSON" in unreadable["unreadable"]
        assert letter["drop_id"] == str(of.drop_id)
        assert (letter["db_name"], letter["table_name"]) == ("dev", "users")
        assert letter["receive_count"] == receives
        assert all(queue["complete"] for queue in told["queues"])
    assert [queue["about"] for queue in told["queues"]] == [1, 1, 0]


async def test_all_letters_are_redriven_once_for_one_key(api: Api) -> None:
    for _ in range(12):
        die(api, drop())
    first = await post(api, "/v1/dead-letters/redrive", {"service": "loader"}, key="k")
    assert first.status_code == 202, first.text
    (moved,) = first.json()["items"]
    assert (len(moved["message_ids"]), moved["by"]) == (12, "one_by_one")
    assert len(taken(api, "loader")) == 12
    die(api, drop())
    again = await post(api, "/v1/dead-letters/redrive", {"service": "loader"}, key="k")
    assert again.json() == first.json()
    assert taken(api, "loader") == []


async def test_letters_are_redriven_by_table_and_by_id(api: Api) -> None:
    for table in ("users", "orders", "orders"):
        die(api, drop(table=table))
    letters = (await api.get("/v1/dead-letters"))["items"]
    one = next(letter for letter in letters if letter["table_name"] == "orders")
    body = {"message_ids": [one["message_id"]], "db_name": "dev", "table_name": "users"}
    answer = await post(api, "/v1/dead-letters/redrive", body)
    assert all(not moved["message_ids"] for moved in answer.json()["items"])
    answer = await post(api, "/v1/dead-letters/redrive", {"message_ids": [one["message_id"]]})
    assert [m["message_ids"] for m in answer.json()["items"]] == [[], [one["message_id"]], []]
    body = {"db_name": "dev", "table_name": "users"}
    answer = await post(api, "/v1/dead-letters/redrive", body)
    assert [len(m["message_ids"]) for m in answer.json()["items"]] == [0, 1, 0]
    assert len(taken(api, "loader")) == 2
    assert len((await api.get("/v1/dead-letters"))["items"]) == 1


async def test_caller_of_some_tables_sees_and_moves_nothing_of_others(api: Api) -> None:
    ours, theirs, nobodys = drop(db="sales"), drop(db="hr"), drop(table=None)
    api.log(*(item_of(rejected(one)) for one in (ours, theirs, nobodys)))
    for one in (ours, theirs):
        die(api, one)
    send(api, "no json")
    as_caller(api, OF_SALES)
    told = await api.get("/v1/dead-letters")
    assert [one["drop_id"] for one in told["items"]] == [str(ours.drop_id)]
    assert {queue["about"] for queue in told["queues"]} == {None}
    answer = await post(api, "/v1/dead-letters/redrive", {})
    assert [len(m["message_ids"]) for m in answer.json()["items"]] == [0, 1, 0]
    (moved,) = taken(api, "loader")
    assert str(ours.drop_id) in moved
    for one in (theirs, nobodys):
        assert (await post(api, f"/v1/drops/{one.drop_id}/replay")).status_code == 404
    body = {"db_name": "hr", "table_name": "users"}
    assert (await post(api, "/v1/replays", body)).status_code == 404
    assert replays_asked(api) == []
    as_caller(api, EVERYBODY)
    assert len((await api.get("/v1/dead-letters"))["items"]) == 2


async def test_reader_may_not_operate(api: Api) -> None:
    of = drop()
    api.log(item_of(rejected(of)))
    as_caller(api, READER)
    for path in (f"/v1/drops/{of.drop_id}/replay", "/v1/dead-letters/redrive", "/v1/replays"):
        assert (await post(api, path, {})).status_code == 403
    assert (await api.client.get("/v1/dead-letters")).status_code == 403


async def test_missing_setting_is_named(make: Callable[..., Awaitable[Api]]) -> None:
    api = await make(bus_name="", quarantine_bucket="", inboxes={}, dead_letter_queues={})
    of = drop()
    api.log(item_of(rejected(of)))
    for path, setting in (
        ("/v1/dead-letters", "HEADRACE_DEAD_LETTER_QUEUES"),
        (f"/v1/drops/{of.drop_id}/quarantine", "HEADRACE_QUARANTINE_BUCKET"),
    ):
        answer = await api.client.get(path)
        assert answer.status_code == 501
        assert setting in answer.json()["detail"]
    answer = await post(api, f"/v1/drops/{of.drop_id}/replay")
    assert (answer.status_code, "HEADRACE_BUS_NAME" in answer.text) == (501, True)


# --- figures


async def test_figures_by_hour_are_of_what_the_caller_sees(api: Api) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    then = hour - timedelta(hours=1)
    api.log(
        *(item_of(loaded(drop(then + timedelta(seconds=n), db="sales"))) for n in range(10)),
        item_of(rejected(drop(then, db="hr"))),
        item_of(superseded(drop(hour, db="hr"))),
        item_of(waiting(drop(then - timedelta(hours=30), db="sales"))),
    )
    told = await api.get("/v1/stats", hours=3)
    assert [one["hour"] for one in told["hours"]] == [
        f"{then + timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ}" for n in (-1, 0, 1)
    ]
    assert [one["drops_by_state"] for one in told["hours"]] == [
        {},
        {"loaded": 10, "rejected": 1},
        {"superseded": 1},
    ]
    middle = told["hours"][1]
    assert (middle["rows_loaded"], middle["bytes"]) == (70, 110)
    assert [middle[f"landed_to_loaded_ms_p{p}"] for p in (50, 90, 99)] == [1500] * 3
    assert all(one["complete"] for one in told["hours"])
    of_table = await api.get("/v1/stats", hours=3, db_name="hr", table_name="users")
    assert [sum(one["drops_by_state"].values()) for one in of_table["hours"]] == [0, 1, 1]
    as_caller(api, OF_SALES)
    told = await api.get("/v1/stats", hours=3)
    assert [sum(one["drops_by_state"].values()) for one in told["hours"]] == [0, 10, 0]
    of_table = await api.get("/v1/stats", hours=3, db_name="hr", table_name="users")
    assert [one["drops_by_state"] for one in of_table["hours"]] == [{}, {}, {}]


async def test_figures_that_are_cut_say_so(api: Api) -> None:
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    drops = [drop(begin + timedelta(seconds=3 * number)) for number in range(2_400)]
    api.log(*(item_of(loaded(one)) for one in drops))
    api.app.state.means.landings._most = 1_000
    api.app.state.means.landings._page = 100
    told = await api.get("/v1/stats", hours=3)
    assert told["complete_from"] > told["hours"][0]["hour"]
    counted = sum(sum(one["drops_by_state"].values()) for one in told["hours"])
    since = datetime.fromisoformat(told["complete_from"])
    assert counted == sum(one.landed_at >= since for one in drops)
    assert 500 < counted < 2_400
    assert not told["hours"][0]["complete"]


async def test_metrics_are_prometheus_text_for_who_sees_everything(api: Api) -> None:
    await api.get("/v1/drops")
    await api.client.get("/nowhere")
    await api.client.get("/v1/drops?limit=0")
    answer = await api.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    for line in (
        'headrace_api_requests_total{operation="list_drops",status_class="2xx"} 1.0',
        'headrace_api_requests_total{operation="list_drops",status_class="4xx"} 1.0',
        'headrace_api_requests_total{operation="none",status_class="4xx"} 1.0',
        'headrace_api_request_seconds_count{operation="list_drops"} 2.0',
        "headrace_api_requests_in_flight 1.0",
        "headrace_api_warehouse_pool_size 0.0",
    ):
        assert line in lines
    assert "headrace_api_build_info{" in answer.text
    as_caller(api, OF_SALES)
    assert (await api.client.get("/metrics")).status_code == 403

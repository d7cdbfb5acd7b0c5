"""A bad file, from its rows in the quarantine to their being loaded, and a poison message, from the
dead letters back to the inbox: by the API alone."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from headrace_local.platform import PlatformOptions
from tests.running_platform import RunningPlatform, eventually, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BAD_KEY = "dev/append/people/bad.csv"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("platform")
    with running(PlatformOptions(data_dir=folder, ephemeral=True, fsync=False)) as ready:
        yield ready


def contract(platform: RunningPlatform, number: int, type_of_id: str) -> None:
    columns = [{"name": "id", "type": type_of_id}, {"name": "name", "type": "text"}]
    document = {"columns": columns, "evolution": "allow_breaking"}
    key = f"dev/schema/people/{number}.json"
    platform.land(key, json.dumps(document))
    platform.await_state(key, "loaded")


def post(platform: RunningPlatform, path: str, body: dict[str, Any], key: str) -> Any:
    request = urllib.request.Request(
        f"{platform.stack.api_url}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Idempotency-Key": key, **authorized(platform)},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202
        return json.load(answer)


def authorized(platform: RunningPlatform) -> dict[str, str]:
    return {"Authorization": f"Bearer {platform.stack.api_key}"}


def test_bad_file_is_seen_and_loaded_once_its_contract_is_mended(
    platform: RunningPlatform,
) -> None:
    contract(platform, 1, "bigint")
    platform.land(BAD_KEY, "id,name\n1,Ada\nfour,Mary\n")
    drop_id = platform.await_state(BAD_KEY, "rejected")["drop_id"]
    (row,) = platform.get(f"/v1/drops/{drop_id}/quarantine")["items"]
    assert (row["line"], row["raw"]) == (3, "four,Mary")
    assert (row["faults"][0]["column"], row["faults"][0]["value"]) == ("id", "four")
    contract(platform, 2, "text")
    path = f"/v1/drops/{drop_id}/replay"
    asked = post(platform, path, {}, "mended")
    loaded = platform.await_state(BAD_KEY, "loaded")
    assert (loaded["run"], loaded["rows_loaded"]) == (asked["run"], 2)
    assert post(platform, path, {}, "mended") == asked
    assert platform.count("dev.people") == 2
    steps = platform.get(f"/v1/drops/{drop_id}")["timeline"]
    assert [step["state"] for step in steps].count("requested") == 1
    hours = platform.get("/v1/stats?hours=2")["hours"]
    assert sum(hour["drops_by_state"].get("loaded", 0) for hour in hours) >= 3


def test_poison_message_is_listed_and_moved_back(platform: RunningPlatform) -> None:
    dead, inbox = platform.stack.dead_letter_queues["loader"], platform.stack.inboxes["loader"]
    platform.sqs.send_message(QueueUrl=dead, MessageBody="poison")
    (letter,) = platform.get("/v1/dead-letters?service=loader")["items"]
    assert letter["beginning"] == "poison"
    body = {"service": "loader", "message_ids": [letter["message_id"]]}
    (moved,) = post(platform, "/v1/dead-letters/redrive", body, "poison")["items"]
    assert moved["message_ids"] == [letter["message_id"]]
    assert platform.get("/v1/dead-letters?service=loader")["items"] == []

    def is_back() -> bool:
        counts = platform.sqs.get_queue_attributes(QueueUrl=inbox, AttributeNames=["All"])
        numbers = counts["Attributes"]
        return "1" in (
            numbers["ApproximateNumberOfMessages"],
            numbers["ApproximateNumberOfMessagesNotVisible"],
        )

    eventually(is_back, "the message is in the inbox of the loader again")

"""While old processes go and new ones come: facts of several versions in one queue, and loads that
are cut off by SIGTERM."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import psutil
import psycopg
import pytest

from headrace_local.platform import PlatformOptions
from tests.running_platform import RunningPlatform, eventually, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BIG_ROWS = 1_500_000
GRACE_SECONDS = 0.2
VISIBILITY_SECONDS = 600
"""So long that only a message that is handed back can come again within the test."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    options = PlatformOptions(
        data_dir=tmp_path_factory.mktemp("platform"),
        ephemeral=True,
        scale={"loader": 2},
        fsync=False,
        service_env={
            "loader": {
                "HEADRACE_GRACE_SECONDS": str(GRACE_SECONDS),
                "HEADRACE_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
            }
        },
    )
    with running(options) as ready:
        yield ready


def routed(platform: RunningPlatform, key: str) -> dict[str, Any]:
    """Drop Routed as the first version told it: without what came later."""
    item = platform.await_state(key, "loaded")
    drop = {
        name: item[name]
        for name in ("drop_id", "bucket", "key", "etag", "db_name", "action", "table_name", "file")
    }
    drop |= {"size_bytes": item["bytes"], "landed_at": item["landed_at"], "sequencer": "00AA"}
    return {"version": "1.0", "drop": drop, "occurred_at": item["landed_at"]}


def send(platform: RunningPlatform, service: str, name: str, detail: dict[str, Any]) -> None:
    body = json.dumps({"detail-type": name, "source": "headrace", "detail": detail})
    platform.sqs.send_message(QueueUrl=platform.stack.inboxes[service], MessageBody=body)


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_empty(platform: RunningPlatform, service: str) -> bool:
    attributes = platform.sqs.get_queue_attributes(
        QueueUrl=platform.stack.inboxes[service],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    return all(int(value) == 0 for value in attributes.values())


def test_old_and_new_facts_in_the_queues_at_once_are_each_loaded_and_logged_once(
    platform: RunningPlatform,
) -> None:
    platform.contract("mixed")
    keys = [f"dev/append/mixed/{number}.csv" for number in range(6)]
    for key in keys:
        platform.land(key, "id,name\n1,a\n")
    for number, key in enumerate(keys):
        old = routed(platform, key)
        other = old["drop"] | {
            "drop_id": f"{number:08x}-0000-8000-8000-000000000001",
            "etag": old["drop"]["etag"],
        }
        newer = old | {"version": "1.9", "run": 0, "request": 0, "colour": "blue"}
        for _ in range(2):
            # A drop that is loaded already, and one of that object that nobody has seen.
            for fact in (old, newer, old | {"drop": other}, newer | {"drop": other}):
                send(platform, "loader", "Drop Routed", fact)
        late = old | {"attempt": 1, "owner": {"team": "a"}, "version": "1.9"}
        send(platform, "logger", "Load Started", late)
    for service in ("loader", "logger"):
        eventually(lambda of=service: is_empty(platform, of), f"{service} is through")  # type: ignore[misc]
    assert platform.count("dev.mixed") == 2 * len(keys), "twice each: two drops of one object"
    assert {platform.await_state(key, "loaded")["run"] for key in keys} == {0}
    for service, url in platform.stack.dead_letter_queues.items():
        answer = platform.sqs.receive_message(QueueUrl=url)
        assert "Messages" not in answer, service


def test_load_cut_off_by_sigterm_is_handed_back_at_once_and_loaded_by_another(
    platform: RunningPlatform,
) -> None:
    platform.contract("cut")
    key = "dev/append/cut/big.csv"
    rows = "".join(f"{number},name of {number}\n" for number in range(BIG_ROWS))
    platform.land(key, f"id,name\n{rows}")
    told = platform.loader_at_work()
    process = psutil.Process(told)
    os.kill(told, signal.SIGTERM)
    drop = platform.await_state(key, "loaded")
    # It ends once the poll that it had in flight has.
    eventually(lambda: has_ended(process), "the loader that was told to end has ended")
    # Not handed back, it would have come again only after the visibility. The poll in flight of
    # the loader that ends may be the first to see it again, and hands it back once more.
    assert drop["attempts"] in {2, 3}
    assert drop["rows_loaded"] == platform.count("dev.cut") == BIG_ROWS
    with psycopg.connect(platform.stack.warehouse_dsn) as connection:
        entries = connection.execute("select count(*) from headrace.ledger where key = %s", [key])
        assert entries.fetchone() == (1,)

"""What the road survives: duplicates, crashes at the worst moments, a warehouse that goes away.

Real processes, a real Postgres, a real (emulated) AWS; nothing is mocked but one answer of the
bus, which a proxy withholds so that a crash can be put exactly after the commit.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from headrace_local.platform import PlatformOptions
from headrace_local.ports import LOOPBACK, listening, port_of
from tests.running_platform import RunningPlatform, eventually, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BIG_ROWS = 1_500_000
VISIBILITY_SECONDS = 4


class WithholdingProxy:
    """Passes HTTP on to the emulator; told to, it swallows the request that says a load succeeded
    and never answers."""

    def __init__(self) -> None:
        self.target: tuple[str, int] | None = None
        self.armed = threading.Event()
        self.withheld = threading.Event()
        self._server = listening()
        self.port = port_of(self._server)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        assert self.target is not None
        with client, socket.create_connection(self.target) as upstream:
            threading.Thread(target=self._back, args=(upstream, client), daemon=True).start()
            while data := client.recv(65_536):
                if self.armed.is_set() and b"Load Succeeded" in data:
                    self.withheld.set()
                    threading.Event().wait(60)
                    return
                upstream.sendall(data)

    def _back(self, upstream: socket.socket, client: socket.socket) -> None:
        try:
            while data := upstream.recv(65_536):
                client.sendall(data)
        except OSError:
            return


@pytest.fixture(scope="module")
def proxy() -> Iterator[WithholdingProxy]:
    withholding = WithholdingProxy()
    yield withholding
    withholding.close()


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, proxy: WithholdingProxy
) -> Iterator[RunningPlatform]:
    options = PlatformOptions(
        data_dir=tmp_path_factory.mktemp("platform"),
        ephemeral=True,
        scale={"loader": 2},
        fsync=False,
        service_env={
            "loader": {
                "HEADRACE_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
                "AWS_ENDPOINT_URL_EVENTBRIDGE": f"http://{LOOPBACK}:{proxy.port}",
            }
        },
    )
    with running(options) as ready:
        aws = urlsplit(ready.stack.aws_endpoint_url)
        assert aws.port is not None
        proxy.target = (LOOPBACK, aws.port)
        yield ready


@pytest.fixture(scope="module")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Large enough that a crash can be put into the middle of its COPY."""
    path: Path = tmp_path_factory.mktemp("files") / "big.csv"
    with path.open("w") as file:
        file.write("id,name\n")
        file.writelines(f"{number},name of {number}\n" for number in range(BIG_ROWS))
    return path.read_bytes()


def test_five_deliveries_in_any_order_to_two_loaders_load_rows_once(
    platform: RunningPlatform,
) -> None:
    platform.contract("many")
    routed = [f"dev/append/many/{number}.csv" for number in range(8)]
    for number, key in enumerate(routed):
        platform.land(key, "id,name\n" + "".join(f"{number},{row}\n" for row in range(50)))
    for key in routed:
        platform.await_state(key, "loaded")
    # The same facts again and again, straight into the loaders' inbox.
    copies = [_routed(platform, key) for key in routed] * 5
    random.Random(7).shuffle(copies)
    for body in copies:
        platform.sqs.send_message(QueueUrl=platform.stack.inboxes["loader"], MessageBody=body)
    eventually(lambda: _is_empty(platform, "loader"), "the loaders' inbox is empty")
    assert platform.count("dev.many") == 8 * 50
    assert {platform.drop(key)["state"] for key in routed} == {"loaded"}  # type: ignore[index]


def test_new_drop_delivered_five_times_at_once_is_loaded_once(platform: RunningPlatform) -> None:
    platform.contract("fresh")
    key = "dev/append/fresh/a.csv"
    bucket = platform.stack.lake_bucket
    platform.land(key, "id,name\n1,a\n2,b\n")
    etag = platform.await_state(key, "loaded")["etag"]
    event = {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": "2026-11-20T10:00:00Z",
        "detail": {
            "bucket": {"name": bucket},
            "object": {"key": key, "size": 16, "etag": etag, "sequencer": "00AA"},
        },
    }
    for _ in range(5):
        platform.sqs.send_message(
            QueueUrl=platform.stack.inboxes["router"], MessageBody=json.dumps(event)
        )
    eventually(lambda: _is_empty(platform, "router"), "the router's inbox is empty")
    eventually(lambda: _is_empty(platform, "loader"), "the loaders' inbox is empty")
    # The file's own event and the made-up one are two drops; the five copies are one of them.
    eventually(lambda: platform.count("dev.fresh") == 4, "two drops of two rows")


def test_loader_killed_in_the_middle_of_copy_loads_rows_once(
    platform: RunningPlatform, big_file: bytes
) -> None:
    platform.contract("killed")
    key = "dev/append/killed/big.csv"
    platform.land(key, big_file)
    os.kill(platform.loader_at_work(), signal.SIGKILL)
    drop = platform.await_state(key, "loaded")
    assert drop["rows_loaded"] == BIG_ROWS
    assert drop["attempts"] > 1
    assert platform.count("dev.killed") == BIG_ROWS


def test_loader_killed_between_commit_and_fact_ends_in_loaded(
    platform: RunningPlatform, proxy: WithholdingProxy
) -> None:
    platform.contract("silent")
    key = "dev/append/silent/a.csv"
    proxy.armed.set()
    try:
        platform.land(key, "id,name\n1,a\n")
        assert proxy.withheld.wait(30)
        assert platform.count("dev.silent") == 1
        platform.await_state(key, "routed")
        for pid in platform.pids("loader"):
            os.kill(pid, signal.SIGKILL)
    finally:
        proxy.armed.clear()
    drop = platform.await_state(key, "loaded")
    assert drop["rows_loaded"] == 1
    assert platform.count("dev.silent") == 1


def test_postgres_restarted_during_a_load_is_waited_for(
    platform: RunningPlatform, big_file: bytes
) -> None:
    platform.contract("restarted")
    key = "dev/append/restarted/big.csv"
    platform.land(key, big_file)
    platform.loader_at_work()
    os.kill(platform.pids("postgres")[0], signal.SIGINT)
    eventually(lambda: platform.restarts("postgres") == 1, "Postgres is back")
    drop = platform.await_state(key, "loaded")
    assert drop["attempts"] > 1
    assert platform.count("dev.restarted") == BIG_ROWS


def test_loader_told_to_end_finishes_what_it_has(
    platform: RunningPlatform, big_file: bytes
) -> None:
    platform.contract("drained")
    key = "dev/append/drained/big.csv"
    platform.land(key, big_file)
    os.kill(platform.loader_at_work(), signal.SIGTERM)
    drop = platform.await_state(key, "loaded")
    assert drop["attempts"] == 1
    assert platform.count("dev.drained") == BIG_ROWS


def _routed(platform: RunningPlatform, key: str) -> str:
    """The message that the router's fact about this key put into the loader's inbox."""
    item = platform.drop(key)
    assert item is not None
    story = platform.get(f"/v1/drops/{item['drop_id']}")
    drop = {
        "drop_id": item["drop_id"],
        "bucket": item["bucket"],
        "key": key,
        "etag": item["etag"],
        "size_bytes": item["bytes"],
        "landed_at": story["landed_timestamp"],
        "db_name": item["db_name"],
        "action": item["action"],
        "table_name": item["table_name"],
        "file": item["file"],
    }
    detail = {"version": "1.0", "drop": drop, "occurred_at": story["timeline"][0]["at"]}
    return json.dumps({"detail-type": "Drop Routed", "source": "headrace", "detail": detail})


def _is_empty(platform: RunningPlatform, service: str) -> bool:
    attributes = platform.sqs.get_queue_attributes(
        QueueUrl=platform.stack.inboxes[service],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    return all(int(value) == 0 for value in attributes.values())

"""`headrace replay`, `revert`, `dead` and `redrive` on a running platform, as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headrace_local.platform import PlatformOptions
from tests.running_platform import RunningPlatform, eventually, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HEADRACE = str(Path(sys.executable).with_name("headrace"))
OURS = ("HEADRACE_", "AWS_", "LAKE_BUCKET", "BUS_NAME", "LOADER_", "ROUTER_", "LOGGER_")
COLUMNS = [{"name": "id", "type": "bigint", "nullable": False}, {"name": "name", "type": "text"}]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("platform")
    with running(PlatformOptions(data_dir=folder, ephemeral=True, fsync=False)) as ready:
        yield ready


@pytest.fixture
def headrace(platform: RunningPlatform, tmp_path: Path) -> CommandLine:
    (tmp_path / "stack.json").write_text(platform.stack.model_dump_json())
    return CommandLine(tmp_path)


class CommandLine:
    """Types commands that find the platform through `stack.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return subprocess.run(
            [HEADRACE, *arguments],
            cwd=self._folder,
            env=kept | {"HEADRACE_STACK": str(self._folder / "stack.json")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        done = self(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def shallow_loader_inbox(platform: RunningPlatform) -> Iterator[None]:
    """An inbox that gives a message up after one delivery, where the real one takes hours."""
    url = platform.stack.inboxes["loader"]
    answer = platform.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
    policy = answer["Attributes"]["RedrivePolicy"]
    shallow = json.dumps({**json.loads(policy), "maxReceiveCount": "1"})
    platform.sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": shallow})
    yield
    platform.sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy})


def contract(platform: RunningPlatform, table: str, operations: list[str], version: int) -> None:
    """A contract that allows these operations, applied."""
    key = f"dev/schema/{table}/{version}.json"
    platform.land(key, json.dumps({"columns": COLUMNS, "allowed_operations": operations}))
    platform.await_state(key, "loaded")


def test_rejected_drop_is_loaded_by_a_replay_after_its_contract_was_mended(
    platform: RunningPlatform, headrace: CommandLine
) -> None:
    contract(platform, "mended", ["schema", "truncate"], 1)
    key = "dev/append/mended/a.csv"
    platform.land(key, "id,name\n1,a\n2,b\n")
    drop_id = platform.await_state(key, "rejected")["drop_id"]
    contract(platform, "mended", ["schema", "truncate", "append"], 2)

    listed = headrace("replay", "--table", "dev.mended", "--dry-run").stdout
    assert drop_id in listed
    assert "1 drop would be replayed." in listed

    done = headrace("replay", "--table", "dev.mended", "--since", "1h")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("loaded ")
    assert "2 rows" in done.stdout
    assert platform.count("dev.mended") == 2
    again = headrace("replay", "--table", "dev.mended")
    assert again.returncode == 0
    assert "no such drop" in again.stderr


def test_rejected_drop_that_is_replayed_unmended_is_rejected_again(
    platform: RunningPlatform, headrace: CommandLine
) -> None:
    contract(platform, "unmended", ["append"], 1)
    key = "dev/append/unmended/a.csv"
    platform.land(key, "id,name\none,a\n")
    drop_id = platform.await_state(key, "rejected")["drop_id"]
    done = headrace("replay", drop_id)
    assert done.returncode == 1
    assert done.stdout.startswith("rejected ")
    assert "one" in done.stdout
    drop = platform.get(f"/v1/drops/{drop_id}")
    assert drop["run"] > 0
    assert drop["landed_at"].startswith(drop["landed_timestamp"].removesuffix("Z"))
    assert drop["sequencer"]


def test_loaded_drop_is_reverted_and_replayed_and_its_neighbours_stay(
    platform: RunningPlatform, headrace: CommandLine
) -> None:
    platform.contract("back")
    for name, rows in (("a", "1,a\n2,b\n"), ("b", "3,c\n")):
        platform.land(f"dev/append/back/{name}.csv", f"id,name\n{rows}")
    ids = [
        platform.await_state(f"dev/append/back/{name}.csv", "loaded")["drop_id"] for name in "ab"
    ]

    told = headrace.json("revert", ids[0])
    assert (told["state"], told["rows_removed"]) == ("reverted", 2)
    assert platform.count("dev.back") == 1

    already = headrace("revert", ids[0])
    assert already.returncode == 0
    assert "reverted already" in already.stdout

    told = headrace.json("replay", ids[0])
    assert (told["state"], told["rows_loaded"]) == ("loaded", 2)
    assert platform.count("dev.back") == 3

    # Loaded again, it is still one drop: its rows are there once.
    assert headrace("replay", *ids).returncode == 0
    assert platform.count("dev.back") == 3
    states = [step["state"] for step in platform.get(f"/v1/drops/{ids[0]}")["timeline"]]
    assert states.index("reverted") > states.index("loaded")
    assert states[-1] == "loaded"


def test_reverted_truncate_gives_the_rows_before_it_back(
    platform: RunningPlatform, headrace: CommandLine
) -> None:
    platform.contract("undone")
    platform.land("dev/append/undone/rows.csv", "id,name\n1,a\n2,b\n")
    platform.await_state("dev/append/undone/rows.csv", "loaded")
    platform.land("dev/truncate/undone/rows.csv", "id,name\n3,c\n")
    truncate = platform.await_state("dev/truncate/undone/rows.csv", "loaded")
    assert platform.count("dev.undone") == 1
    dry = headrace("revert", truncate["drop_id"], "--dry-run")
    assert "1 drop with 1 rows would be reverted" in dry.stdout
    assert platform.count("dev.undone") == 1
    assert headrace("revert", truncate["drop_id"]).returncode == 0
    eventually(lambda: platform.count("dev.undone") == 2, "the earlier rows are back")
    assert headrace("verify", "--grace", "0").returncode == 0


def test_contract_that_a_view_needs_is_not_reverted(
    platform: RunningPlatform, headrace: CommandLine
) -> None:
    platform.contract("viewed")
    columns = [{"name": name, "type": "text"} for name in ("name", "note")]
    wider = {"columns": [{"name": "id", "type": "bigint", "nullable": False}, *columns]}
    platform.land("dev/schema/viewed/wider.json", json.dumps(wider))
    contract = platform.await_state("dev/schema/viewed/wider.json", "loaded")
    with psycopg.connect(platform.stack.warehouse_dsn) as connection:
        connection.execute("create view dev.notes as select note from dev.viewed")
    done = headrace("revert", contract["drop_id"])
    assert done.returncode == 1
    assert "other objects depend on it" in done.stdout + done.stderr
    failed = platform.await_state("dev/schema/viewed/wider.json", "failed")
    assert failed["reason"]["code"] == "revert_refused"


def test_message_that_is_no_json_is_shown_among_the_dead_letters_and_moved_back(
    platform: RunningPlatform, headrace: CommandLine, shallow_loader_inbox: None
) -> None:
    inbox = platform.stack.inboxes["loader"]
    platform.sqs.send_message(QueueUrl=inbox, MessageBody="no json\x09\nat all")

    def shown() -> dict[str, Any] | None:
        messages = headrace.json("dead", "loader")["messages"]
        return messages[0] if messages else None

    letter = eventually(shown, "the message is among the dead letters")
    assert "not JSON" in letter["unreadable"]
    assert letter["beginning"] == "no json\\t\\nat all"
    told = headrace("dead", "loader")
    assert told.returncode == 0
    assert "unreadable message" in told.stdout
    assert "1 dead letter." in told.stdout

    moved = headrace("redrive", "loader")
    assert moved.returncode == 0, moved.stderr
    assert moved.stdout.startswith("1 message moved to the inbox of the loader (one by one")

    # The loader had it again, and gave it up again: it comes back as another message.
    back = eventually(shown, "the loader gave it up again")
    assert back["message_id"] != letter["message_id"]

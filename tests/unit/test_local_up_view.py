"""What `headrace up` shows: counts from log lines, and lines that tell processes apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace_local.platform import PlatformOptions
from headrace_local.stack import Stack
from headrace_local.tally import Tally
from headrace_local.up_view import drops_line, ready_block, verbose_line
from headrace_shared.log_schema import State


def updated(drop_id: str, state: str) -> str:
    return json.dumps({"event": "log.updated", "drop_id": drop_id, "state": state})


def tally(*lines: str) -> Tally:
    counted = Tally()
    for line in lines:
        counted.hear(line)
    return counted


def test_drop_is_counted_in_its_latest_state_alone() -> None:
    lines = [updated("a", "routed"), updated("a", "loading"), updated("a", "loaded")]
    assert tally(*lines).counts == {State.LOADED: 1}


def test_states_are_counted_in_the_order_of_the_road() -> None:
    counted = tally(updated("a", "rejected"), updated("b", "routed"), updated("c", "rejected"))
    assert list(counted.counts.items()) == [(State.ROUTED, 1), (State.REJECTED, 2)]


def test_failed_drop_that_is_redriven_is_loaded_once() -> None:
    counted = tally(updated("a", "failed"), updated("a", "loading"), updated("a", "loaded"))
    assert counted.counts == {State.LOADED: 1}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call last):",
        "{not json",
        "[1]",
        '{"event": "log.unchanged", "drop_id": "a", "state": "loaded"}',
        '{"event": "log.updated", "drop_id": "a", "state": "of the future"}',
        '{"event": "log.updated"}',
    ],
)
def test_other_lines_count_nothing(line: str) -> None:
    counted = Tally()
    assert not counted.hear(line)
    assert counted.counts == {}


def test_counts_are_one_line() -> None:
    assert drops_line({}).plain == "no drops since the start"
    told = drops_line({State.LOADED: 1200, State.FAILED: 1}).plain
    assert told == "drops since the start: 1,200 loaded, 1 failed"


def test_verbose_line_shows_process_event_and_fields() -> None:
    line = json.dumps(
        {
            "event": "load.committed",
            "level": "info",
            "timestamp": "2026-11-20T22:38:14.204118Z",
            "service": "loader",
            "logger": "headrace_loader.handler",
            "rows": 12,
            "retry_at": None,
        }
    )
    assert verbose_line("loader-2", line).plain == "loader-2   22:38:14.204 load.committed rows=12"


def test_verbose_line_lets_no_process_write_on_the_terminal() -> None:
    assert "\x1b" not in verbose_line("aws", "\x1b[2J gone").plain
    assert "\x1b" not in verbose_line("loader", json.dumps({"event": "\x1b[2J"})).plain


def a_stack() -> Stack:
    return Stack(
        api_url="http://127.0.0.1:8080",
        api_key="hr_local_secret",
        aws_endpoint_url="http://127.0.0.1:4566",
        aws_region="us-east-1",
        aws_access_key_id="headrace",
        aws_secret_access_key="secret",
        lake_bucket="headrace-lake",
        quarantine_bucket="headrace-quarantine",
        bus_name="headrace",
        log_table="headrace-log",
        keys_table="headrace-keys",
        warehouse_dsn="postgresql://headrace:secret@127.0.0.1:5432/warehouse",
        inboxes={},
        dead_letter_queues={},
        processes={},
    )


def ready(options: PlatformOptions) -> str:
    return "\n".join(str(line) for line in ready_block(a_stack(), options, 2.04))


def test_last_block_holds_every_address_and_the_next_commands() -> None:
    told = ready(PlatformOptions())
    assert "Ready in 2.0 s." in told
    for address in ("http://127.0.0.1:8080/docs", "s3://headrace-lake", a_stack().warehouse_dsn):
        assert address in told
    assert "headrace drop " in told
    assert "HEADRACE_STACK" not in told


def test_other_data_folder_is_named_so_that_commands_find_it(tmp_path: Path) -> None:
    told = ready(PlatformOptions(data_dir=tmp_path / "data"))
    assert f"export HEADRACE_STACK={tmp_path}/data/stack.json" in told

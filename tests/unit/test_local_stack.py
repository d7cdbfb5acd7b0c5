"""`stack.json`: private, whole, found from folders below, and not believed when it is stale."""

from __future__ import annotations

import json
import os
import stat as modes
import subprocess
import sys
from pathlib import Path

import pytest

from headrace_local import ports, stack
from headrace_local.errors import UserError
from headrace_local.stack import Stack


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(stack.PLACE_VARIABLE, raising=False)


def a_stack(pid: int) -> Stack:
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
        inboxes={"router": "http://127.0.0.1:4566/000000000000/headrace-router"},
        dead_letter_queues={"router": "http://127.0.0.1:4566/000000000000/headrace-router-dead"},
        processes={"api": [pid]},
    )


@pytest.fixture
def ended_pid() -> int:
    """Of a process that has run and is gone."""
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()
    return child.pid


def home(folder: Path) -> Path:
    place = folder / stack.DATA_FOLDER
    place.mkdir()
    return place


def test_what_is_written_is_what_is_found(tmp_path: Path) -> None:
    stack.write(a_stack(os.getpid()), home(tmp_path))
    assert stack.find_stack(tmp_path) == a_stack(os.getpid())


def test_file_is_for_its_owner_alone_and_nothing_partial_stays(tmp_path: Path) -> None:
    path = stack.write(a_stack(os.getpid()), tmp_path)
    assert modes.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [stack.FILE_NAME]
    assert json.loads(path.read_text())["lake_bucket"] == "headrace-lake"


def test_platform_is_found_from_folders_below(tmp_path: Path) -> None:
    stack.write(a_stack(os.getpid()), home(tmp_path))
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert stack.find_stack(below).is_alive


def test_named_file_comes_before_the_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.write(a_stack(os.getpid()), home(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = a_stack(os.getpid()).model_copy(update={"lake_bucket": "other-lake"})
    monkeypatch.setenv(stack.PLACE_VARIABLE, str(stack.write(other, elsewhere)))
    assert stack.find_stack(tmp_path).lake_bucket == "other-lake"


def test_missing_platform_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        stack.find_stack(tmp_path)
    assert "No platform is running" in raised.value.what
    assert str(tmp_path) in raised.value.where
    assert "headrace up" in raised.value.what_to_do


def test_file_of_a_killed_platform_is_not_believed(tmp_path: Path, ended_pid: int) -> None:
    place = stack.write(a_stack(ended_pid), home(tmp_path))
    with pytest.raises(UserError) as raised:
        stack.find_stack(tmp_path)
    assert "ended without tidying up" in raised.value.what
    assert raised.value.where == str(place)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"api_url": "http://127.0.0.1"}'])
def test_broken_file_is_told_of(tmp_path: Path, text: str) -> None:
    (home(tmp_path) / stack.FILE_NAME).write_text(text)
    with pytest.raises(UserError) as raised:
        stack.find_stack(tmp_path)
    assert "cannot be read" in raised.value.what


def test_free_port_is_not_one_of_the_systems_own_choice() -> None:
    port = ports.free_port()
    assert ports.is_free(port)
    assert port < 32_768


def test_nobody_answers_on_a_free_port() -> None:
    assert not ports.answers(f"http://{ports.LOOPBACK}:{ports.free_port()}/")

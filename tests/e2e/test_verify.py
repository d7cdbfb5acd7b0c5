"""`headrace verify` as a user types it, and the verifier by itself, on a running platform."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from headrace_local.platform import PlatformOptions
from headrace_local.stack import DATA_FOLDER, FILE_NAME, PLACE_VARIABLE
from tests.running_platform import RunningPlatform, eventually, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

DIFFERENT = 3


def headrace(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("headrace")), *arguments],
        env={**os.environ, PLACE_VARIABLE: str(data / FILE_NAME)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def platform_in(data: Path, **settings: str) -> Iterator[RunningPlatform]:
    options = PlatformOptions(data_dir=data, ephemeral=True, service_env={"verifier": settings})
    with running(options) as platform:
        platform.contract("users")
        yield platform


@contextmanager
def events_lost(platform: RunningPlatform) -> Iterator[None]:
    """While this lasts, nobody hears of what lands."""
    bucket, s3 = platform.stack.lake_bucket, platform.s3
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    yield
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )


def test_what_was_lost_is_told_repaired_and_then_in_order(tmp_path: Path) -> None:
    data = tmp_path / DATA_FOLDER
    with platform_in(data) as platform:
        with events_lost(platform):
            platform.land("dev/append/users/lost.csv", "id,name\n1,a\n")
            platform.land("lost by name", "id,name\n1,a\n")
        told = headrace(data, "verify", "--grace", "0", "--json")
        lines = [json.loads(line) for line in told.stdout.splitlines()]
        assert told.returncode == DIFFERENT, told.stderr
        assert [one["kind"] for one in lines[:-1]] == ["not_routed"] * 2
        assert lines[-1]["left"] == 2
        assert platform.count("dev.users") == 0, "without --repair nothing is changed"

        repaired = headrace(data, "verify", "--grace", "0", "--repair")
        assert repaired.returncode == 0, repaired.stderr
        assert "repaired: Replay Requested is published" in repaired.stdout
        assert "2 not_routed: 2 repaired, 0 left" in repaired.stdout
        platform.await_state("dev/append/users/lost.csv", "loaded")
        platform.await_state("lost by name", "rejected")
        assert platform.count("dev.users") == 1

        with psycopg.connect(platform.stack.warehouse_dsn) as connection:
            connection.execute("delete from dev.users")
        changed = headrace(data, "verify", "--grace", "0", "--repair")
        assert changed.returncode == DIFFERENT
        assert "to do: headrace rebuild dev.users" in changed.stdout
        assert headrace(data, "rebuild", "dev.users").returncode == 0
        good = headrace(data, "verify", "--grace", "0", "--since", "1d")
        assert (good.returncode, good.stdout.splitlines()[-1]) == (0, "nothing differs")


def test_verifier_finds_a_lost_event_by_itself(tmp_path: Path) -> None:
    settings = {"HEADRACE_INTERVAL_SECONDS": "1", "HEADRACE_VERIFY_GRACE_SECONDS": "2"}
    with platform_in(tmp_path / DATA_FOLDER, **settings) as platform:
        with events_lost(platform):
            platform.land("dev/append/users/lost.csv", "id,name\n1,a\n")
        os.kill(platform.pids("verifier")[0], signal.SIGKILL)
        platform.await_state("dev/append/users/lost.csv", "loaded")
        eventually(lambda: platform.count("dev.users") == 1, "the row is there")


def test_mistakes_are_told(tmp_path: Path) -> None:
    data = tmp_path / DATA_FOLDER
    with platform_in(data) as platform:
        wrong = headrace(data, "verify", "--since", "yesterday")
        assert wrong.returncode == 2
        assert "That is not a moment." in wrong.stderr
        with psycopg.connect(platform.stack.warehouse_dsn) as connection:
            connection.execute("drop table headrace.verifications")
        broken = headrace(data, "verify")
        assert broken.returncode == 1
        assert "start a loader, which makes it" in broken.stderr
        assert "headrace verify --resume" in broken.stderr

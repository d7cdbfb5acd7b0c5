"""`headrace rebuild` as a user types it, on a running platform, while drops come in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from headrace_local.platform import PlatformOptions
from headrace_local.stack import DATA_FOLDER, FILE_NAME, PLACE_VARIABLE
from tests.running_platform import eventually, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

DROPS = 40


def headrace(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("headrace")), *arguments],
        env={**os.environ, PLACE_VARIABLE: str(place)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_damaged_table_is_whole_again_while_drops_come_in(tmp_path: Path) -> None:
    data = tmp_path / DATA_FOLDER
    options = PlatformOptions(data_dir=data, ephemeral=True)
    with running(options) as platform:
        platform.contract("users")
        for number in range(DROPS):
            platform.land(f"dev/append/users/{number}.csv", f"id,name\n{number},a\n")
        eventually(lambda: platform.count("dev.users") == DROPS, "every drop is loaded")
        with psycopg.connect(platform.stack.warehouse_dsn) as connection:
            connection.execute("delete from dev.users where id % 2 = 0")
        for number in range(DROPS, 2 * DROPS):
            platform.land(f"dev/append/users/{number}.csv", f"id,name\n{number},a\n")
        done = headrace(data / FILE_NAME, "rebuild", "dev.users")
        assert done.returncode == 0, done.stderr
        assert "rebuilt from" in done.stdout
        eventually(lambda: platform.count("dev.users") == 2 * DROPS, "every row is there")
        wrong = headrace(data / FILE_NAME, "rebuild", "dev.nothing")
        assert wrong.returncode == 1
        assert "dev.nothing has no contract" in wrong.stderr
        assert headrace(data / FILE_NAME, "rebuild", "nothing").returncode == 2

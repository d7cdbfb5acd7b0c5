"""A real Ctrl-C while S3 is taking a file: what the command says is what becomes of the file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace_local.platform import PlatformOptions
from headrace_local.ports import free_port
from tests.losing_proxy import LosingProxy, held, losing_proxy
from tests.running_platform import RunningPlatform, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

HEADRACE = str(Path(sys.executable).with_name("headrace"))
ROWS = 600_000


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    options = PlatformOptions(
        data_dir=tmp_path_factory.mktemp("platform"),
        ephemeral=True,
        api_port=free_port(),
        fsync=False,
    )
    with running(options) as ready:
        yield ready


def dropping(
    platform: RunningPlatform, proxy: LosingProxy, path: Path, key: str
) -> subprocess.Popen[str]:
    stack = platform.stack
    return subprocess.Popen(
        [
            HEADRACE,
            "drop",
            str(path),
            key,
            "--bucket",
            stack.lake_bucket,
            "--api-url",
            stack.api_url,
            "--endpoint-url",
            proxy.url,
        ],
        env={
            **os.environ,
            "AWS_ACCESS_KEY_ID": stack.aws_access_key_id,
            "AWS_SECRET_ACCESS_KEY": stack.aws_secret_access_key,
            "AWS_REGION": stack.aws_region,
            "HEADRACE_API_KEY": stack.api_key,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(platform: RunningPlatform, path: Path, key: str, operation: str) -> tuple[int, str]:
    """Status and messages of a drop that gets SIGINT while S3 has this request in hand."""
    came, go_on = threading.Event(), threading.Event()
    with losing_proxy(platform.stack.aws_endpoint_url) as proxy:
        proxy.rule = held(operation, came, go_on)
        child = dropping(platform, proxy, path, key)
        assert came.wait(60), child.communicate()
        child.send_signal(signal.SIGINT)
        threading.Timer(0.5, go_on.set).start()
        _, told = child.communicate(timeout=60)
    return child.returncode, told


@pytest.mark.parametrize(
    ("rows", "operation"), [(3, "PutObject"), (ROWS, "CompleteMultipartUpload")]
)
def test_file_that_s3_took_after_ctrl_c_is_said_to_be_in_the_lake_and_is_loaded_once(
    platform: RunningPlatform, tmp_path: Path, rows: int, operation: str
) -> None:
    table = operation.lower()
    platform.contract(table)
    path, key = tmp_path / "a.csv", f"dev/append/{table}/a.csv"
    path.write_text("id,name\n" + "".join(f"{number},a name to fill\n" for number in range(rows)))
    status, told = interrupted(platform, path, key, operation)
    assert status == 130
    assert "The file is in the lake" in told
    assert f"headrace show {key}" in told or "it is loaded without you" in told
    assert "Drop it again" not in told
    platform.await_state(key, "loaded")
    assert platform.count(f"dev.{table}") == rows


def test_file_that_was_not_sent_whole_is_said_not_to_be_in_the_lake(
    platform: RunningPlatform, tmp_path: Path
) -> None:
    platform.contract("parts")
    path, key = tmp_path / "a.csv", "dev/append/parts/a.csv"
    path.write_text("id,name\n" + "".join(f"{number},a name to fill\n" for number in range(ROWS)))
    status, told = interrupted(platform, path, key, "UploadPart")
    assert status == 130
    assert "Nothing of the file is in the lake. " in told.replace("\n", " ")
    assert "Drop it again" in told
    answer = platform.s3.list_object_versions(Bucket=platform.stack.lake_bucket, Prefix=key)
    assert "Versions" not in answer

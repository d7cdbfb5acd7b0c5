"""One container of each service: what it may, how it is, how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testcontainers.core.container import DockerContainer

from tests.containers.composed import Composed, health, inside, said
from tests.containers.engine import BUILD_SECONDS, SERVICES
from tests.running_platform import eventually

pytestmark = [
    pytest.mark.containers,
    pytest.mark.timeout(BUILD_SECONDS + 120),
    pytest.mark.parametrize("service", SERVICES),
]

LOOKS = """
import json, os
from pathlib import Path
status = dict(line.split(":\\t") for line in Path("/proc/1/status").read_text().splitlines())
def writable(place):
    try:
        (Path(place) / "probe").touch()
    except OSError as error:
        return error.strerror
    return True
print(json.dumps({
    "first": Path("/proc/1/cmdline").read_text().split("\\0"),
    "uid": status["Uid"].split(),
    "capabilities": [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")],
    "writable": {place: writable(place) for place in ("/", "/opt/headrace", "/var/tmp", "/tmp")},
}))
"""


def look(container: DockerContainer) -> dict[str, Any]:
    answer = container.exec(["python", "-c", LOOKS])
    assert answer.exit_code == 0, answer.output
    found: dict[str, Any] = json.loads(answer.output)
    return found


def test_service_runs_as_nobody_and_writes_only_below_tmp(platform: Composed, service: str) -> None:
    with platform.healthy(service) as container:
        found = look(container)
    assert found["uid"] == ["10001"] * 4
    assert found["capabilities"] == [0, 0, 0]
    read_only = "Read-only file system"
    assert found["writable"] == {
        "/": read_only,
        "/opt/headrace": read_only,
        "/var/tmp": read_only,
        "/tmp": True,
    }


def test_first_process_is_python_and_ends_well_after_sigterm(
    platform: Composed, service: str
) -> None:
    with platform.healthy(service) as container:
        assert look(container)["first"][0].startswith("/opt/headrace/bin/python")
        inside(container).stop(timeout=30)
        assert container.wait() == 0, said(container)


def test_health_turns_when_the_process_stands_still_and_back(
    platform: Composed, service: str
) -> None:
    with platform.healthy(service) as container:
        inside(container).kill("SIGSTOP")
        eventually(lambda: health(container) == "unhealthy", f"{service} is unhealthy")
        inside(container).kill("SIGCONT")
        eventually(lambda: health(container) == "healthy", f"{service} is healthy again")


def test_missing_setting_is_one_sentence_and_status_2(platform: Composed, service: str) -> None:
    container = platform.container(service)
    container.env = {
        name: value for name, value in container.env.items() if not name.startswith("HEADRACE_")
    }
    with container:
        assert container.wait() == 2
        out, err = container.get_logs()
    assert out == b""
    assert err.count(b"\n") == 1
    assert b" is missing" in err

"""compose.yaml is one that Docker Compose takes."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.containers.engine import ROOT
from tests.real_parts import give_up

pytestmark = pytest.mark.containers

CANDIDATES = (["docker", "compose"], ["docker-compose"])


def compose() -> list[str] | None:
    """The command: a plugin of docker, or a program of its own."""
    for command in CANDIDATES:
        if shutil.which(command[0]):
            asked = [*command, "version"]
            if subprocess.run(asked, capture_output=True, check=False).returncode == 0:
                return command
    return None


def test_docker_compose_takes_the_file() -> None:
    command = compose()
    if command is None:
        give_up("Docker Compose is missing: neither `docker compose` nor `docker-compose` runs.")
    config = [*command, "--file", "compose.yaml", "config", "--quiet"]
    done = subprocess.run(config, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

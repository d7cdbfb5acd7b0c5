"""The container engine: whether it is there, the images to test, and nothing left behind."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import docker
import psutil
import pytest
from docker.errors import APIError
from testcontainers.core.config import testcontainers_config

from tests.real_parts import give_up

SERVICES: Final = ("router", "loader", "logger", "api", "verifier")
ROOT: Final = Path(__file__).resolve().parent.parent.parent
BUILD_SECONDS: Final = 900

OWNER_LABEL: Final = "headrace.tests.pid"
LABELS: Final = {OWNER_LABEL: str(os.getpid())}

# Ryuk, which would remove containers after a crash, is an image of a public registry and wants the
# engine's socket. The next run removes what a crash left, by the label.
testcontainers_config.ryuk_disabled = True


def need_engine() -> None:
    """Returns where an engine can be used."""
    told = _missing()
    if told is not None:
        give_up(told)


def _missing() -> str | None:
    if shutil.which("docker") is None:
        return "The command docker is missing; tools/images builds the images with it."
    # Asked by the command: docker-py leaves a socket open where nobody answers.
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
    return None if done.returncode == 0 else f"No container engine answers: {done.stderr.strip()}"


@contextmanager
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    try:
        yield client
    finally:
        client.close()


def built_images() -> str:
    """The tag of every image: those that HEADRACE_TEST_IMAGES_TAG names, else built here."""
    named = os.environ.get("HEADRACE_TEST_IMAGES_TAG", "")
    # One tag for each checkout: what did not change is not built again.
    tag = named or f"tests-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
    with _alone(tag):
        if not named:
            _run(["tools/images"], {"TAG": tag})
        _run(_emulator_build(tag))
    return tag


@contextmanager
def _alone(tag: str) -> Iterator[None]:
    """Two workers of pytest do not build the same."""
    with (Path(tempfile.gettempdir()) / f"headrace-{tag}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _emulator_build(tag: str) -> list[str]:
    named = [one for one in ("BASE_IMAGE", "BUILD_IMAGE") if os.environ.get(one)]
    bases = [part for name in named for part in ("--build-arg", name)]
    command = ["docker", "build", "--quiet", "--file", "local/Dockerfile"]
    return [*command, *bases, "--tag", f"headrace-local:{tag}", "."]


def _run(command: list[str], env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}:\n{done.stdout}{done.stderr}", pytrace=False)


def remove_leftovers() -> None:
    """Containers and networks of test runs that have ended: this one's, and those that crashed."""
    with engine() as client:
        for container in client.containers.list(all=True, filters={"label": OWNER_LABEL}):
            if _is_left(container.labels):
                with suppress(APIError):
                    container.remove(force=True, v=True)
        for network in client.networks.list(filters={"label": OWNER_LABEL}):
            if _is_left(network.attrs.get("Labels") or {}):
                with suppress(APIError):
                    network.remove()


def _is_left(labels: Mapping[str, Any]) -> bool:
    owner = int(labels[OWNER_LABEL])
    return owner == os.getpid() or not psutil.pid_exists(owner)

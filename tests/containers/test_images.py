"""What an image holds, and what it does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from testcontainers.core.container import DockerContainer

from tests.containers.engine import BUILD_SECONDS, LABELS, ROOT, SERVICES, engine
from tools.locks import read_lock

pytestmark = [pytest.mark.containers, pytest.mark.timeout(BUILD_SECONDS + 120)]

# Every Debian image has these, open to all, with the sticky bit; on a read-only root they are not.
STICKY = {"/tmp", "/var/tmp", "/run/lock"}
DRIVER = {"psycopg", "psycopg-binary"}
HEAVY = {"duckdb", "numpy", "pyarrow", *DRIVER}
CARRIED = {"loader": HEAVY, "api": DRIVER, "verifier": DRIVER}

LOOKS = """
import json, os, shutil, sys
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

UNREAL = {"/proc", "/sys", "/dev"}
TOOLS = "pip pip3 uv cc gcc g++ c++ clang ld as make cmake git debootstrap".split()
SOURCES = {".git", "pyproject.toml", "requirements.lock", "requirements-build.lock"}
writable, sources = [], []
for folder, inner, names in os.walk("/"):
    inner[:] = [one for one in inner if os.path.join(folder, one) not in UNREAL]
    paths = [os.path.join(folder, name) for name in names]
    real = [one for one in [folder, *paths] if not os.path.islink(one)]
    writable += [one for one in real if os.access(one, os.W_OK)]
    sources += [os.path.join(folder, one) for one in [*inner, *names] if one in SOURCES]
print(json.dumps({
    "uid": os.getuid(),
    "writable": writable,
    "sources": sources,
    "tools": [one for one in TOOLS if shutil.which(one)],
    "installers": [one for one in ("pip", "ensurepip") if find_spec(one)],
    "packages": sorted({one.metadata["Name"].lower().replace("_", "-") for one in distributions()}),
}))
"""


@dataclass(frozen=True)
class Image:
    """A service's, as its own Python finds it, and as the engine knows it."""

    service: str
    inside: dict[str, Any]
    attributes: dict[str, Any]


@pytest.fixture(scope="module", params=SERVICES)
def image(request: pytest.FixtureRequest, tag: str) -> Iterator[Image]:
    name = f"headrace-{request.param}:{tag}"
    with engine() as client:
        attributes = client.images.get(name).attrs
    looking = DockerContainer(name, network_mode="none", labels=dict(LABELS))
    with looking.with_command(["python", "-c", LOOKS]) as container:
        assert container.wait() == 0, container.get_logs()
        yield Image(request.param, json.loads(container.get_logs()[0]), attributes)


def test_image_holds_its_lock_and_its_own_service_alone(image: Image) -> None:
    ours = {f"headrace-{image.service}", "headrace-shared"}
    locked = set(read_lock(ROOT / "services" / image.service / "requirements.lock"))
    found = set(image.inside["packages"])
    assert {one for one in found if one.startswith("headrace-")} == ours
    assert found - ours <= locked


def test_image_holds_no_pip_no_compiler_and_no_sources(image: Image) -> None:
    assert image.inside["installers"] == []
    assert image.inside["tools"] == []
    assert image.inside["sources"] == []


def test_image_runs_as_nobody_who_may_write_no_file(image: Image) -> None:
    assert image.inside["uid"] == 10001
    assert image.attributes["Config"]["User"] == "10001:10001"
    assert set(image.inside["writable"]) <= STICKY


def test_image_says_what_it_is(image: Image) -> None:
    labels = image.attributes["Config"]["Labels"]
    prefix = "org.opencontainers.image"
    assert labels[f"{prefix}.title"] == f"headrace-{image.service}"
    assert labels[f"{prefix}.licenses"] == "Apache-2.0"
    assert {f"{prefix}.{one}" for one in ("description", "version", "revision")} <= set(labels)
    assert image.attributes["Config"]["StopSignal"] == "SIGTERM"


def test_image_carries_no_client_that_its_service_does_not_need(image: Image) -> None:
    assert HEAVY & set(image.inside["packages"]) == CARRIED.get(image.service, set())


def test_loader_is_larger_than_the_router(tag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with engine() as client:
        sizes = {one: client.images.get(f"headrace-{one}:{tag}").attrs["Size"] for one in SERVICES}
    with capsys.disabled():
        told = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in sizes.items())
        sys.stdout.write(f"\nSizes of the images: {told}\n")
    assert sizes["loader"] > sizes["router"]

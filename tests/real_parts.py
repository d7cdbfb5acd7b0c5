"""Real parts: how they are run, and what their fixtures hand to a test."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest

from headrace_local import postgres
from headrace_local.errors import PlatformError
from headrace_local.ports import LOOPBACK, free_port
from headrace_local.provision import Clients, Provisioned
from headrace_local.resources import Resources
from headrace_local.supervisor import Program, as_user

START_SECONDS = 120
"""Two or three are work; the rest is the wait for a busy machine."""

PORT_TRIES = 5


@dataclass(frozen=True)
class Lake:
    """The buckets of one test on the shared emulator, and the names of what may be beside them."""

    endpoint_url: str
    resources: Resources
    clients: Clients


@dataclass(frozen=True)
class AwsStack(Lake):
    """All resources of one test."""

    provisioned: Provisioned

    def queue_url(self, service: str) -> str:
        return self.provisioned.inboxes[service]


def give_up(told: str) -> NoReturn:
    """A part cannot run here: skips the test; in CI, fails it."""
    if os.environ.get("CI"):
        pytest.fail(told, pytrace=False)
    pytest.skip(told)


@contextmanager
def serving(program: Program, folder: Path) -> Iterator[None]:
    """A program from its being ready to the end of the block."""
    with (folder / f"{program.name}.log").open("w") as log:
        child = subprocess.Popen(
            program.command,
            env=dict(program.env),
            **as_user(program.user),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[one.fileno() for one in program.sockets],
        )
        try:
            _await_ready(program, child, Path(log.name))
            yield
        finally:
            child.send_signal(program.stop_signal)
            child.wait(timeout=program.stop_seconds)


@contextmanager
def postgres_at(address: str | None) -> Iterator[tuple[postgres.Cluster, int]]:
    """An embedded Postgres and its port, reached on loopback and, by the machines of that network
    alone, at `address`."""
    # Not in pytest's own folder: as root, Postgres runs as another user, and any other run of
    # pytest closes that folder to all but its owner.
    with TemporaryDirectory(prefix="headrace-test-") as name:
        folder = Path(name)
        cluster = postgres.prepare(folder, fsync=False)
        rules = cluster.server.pgdata / "pg_hba.conf"
        # The superuser, whom no platform knows, is for tests of what only he can do.
        rules.write_text(
            f"host all postgres {LOOPBACK}/32 trust\n{rules.read_text()}"
            "host all all samenet scram-sha-256\n"
        )
        with ExitStack() as stack:
            yield cluster, _served(stack, cluster, folder, address)


def _served(
    stack: ExitStack,
    cluster: postgres.Cluster,
    folder: Path,
    address: str | None,
    tries: int = PORT_TRIES,
) -> int:
    """The port, which no other program took between the look for a free one and the start."""
    port = free_port()
    program = postgres.postgres(cluster, port, fsync=False)
    listen = ["-c", f"listen_addresses={','.join(filter(None, (LOOPBACK, address)))}"]
    try:
        stack.enter_context(serving(replace(program, command=[*program.command, *listen]), folder))
    except PlatformError as error:
        if tries == 1 or not postgres.no_port(error):
            raise
        return _served(stack, cluster, folder, address, tries - 1)
    return port


def _await_ready(program: Program, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS

    async def ready() -> bool:
        while not await program.is_ready():
            if child.poll() is not None or time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    if not asyncio.run(ready()):
        told = f"{program.name} did not start:\n{log.read_text()}"
        raise PlatformError(told, str(log), "Read that log.")

"""Real parts: how they are run, and what their fixtures hand to a test."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace_local.provision import Clients, Provisioned
from headrace_local.resources import Resources
from headrace_local.supervisor import Program, as_user

START_SECONDS = 30


@dataclass(frozen=True)
class AwsStack:
    """The resources of one test on the shared emulator."""

    endpoint_url: str
    resources: Resources
    clients: Clients
    provisioned: Provisioned

    def queue_url(self, service: str) -> str:
        return self.provisioned.inboxes[service]


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
        )
        try:
            _await_ready(program, child, Path(log.name))
            yield
        finally:
            child.send_signal(program.stop_signal)
            child.wait(timeout=program.stop_seconds)


def _await_ready(program: Program, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS

    async def ready() -> bool:
        while not await program.is_ready():
            if child.poll() is not None or time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    if not asyncio.run(ready()):
        pytest.fail(f"{program.name} did not start:\n{log.read_text()}", pytrace=False)

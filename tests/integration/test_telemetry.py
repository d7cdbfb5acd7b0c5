"""A service on the emulator: its lines are metrics, and its long work is protected and alive."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from headrace_shared import liveness, service, task_protection
from headrace_shared.facts import Fact, LoadSucceeded
from headrace_shared.inbox import Failure, Handler, Message
from headrace_shared.service import Parts
from headrace_shared.settings import InboxSettings
from headrace_shared.testing.builders import EPOCH, a_drop, an_envelope
from tests.real_parts import AwsStack

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 30
FACT = LoadSucceeded(
    drop=a_drop(), occurred_at=EPOCH, attempt=1, rows_loaded=7, bytes=10, duration_ms=31
)


def environment(aws: AwsStack) -> dict[str, str]:
    return {
        "HEADRACE_INBOX_URL": aws.queue_url("logger"),
        "HEADRACE_BUS_NAME": aws.resources.bus,
        "HEADRACE_POLL_SECONDS": "1",
    }


def lines_until(output: Path, event: str) -> list[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        lines = [
            json.loads(line)
            for line in output.read_text().splitlines(keepends=True)
            if line.endswith("\n")
        ]
        if any(line["event"] == event for line in lines):
            return lines
        time.sleep(0.05)
    raise AssertionError(output.read_text())


def test_drop_that_the_logger_writes_is_a_metric(aws_stack: AwsStack, tmp_path: Path) -> None:
    settings = {
        **environment(aws_stack),
        "HEADRACE_LOG_TABLE": aws_stack.resources.log_table.name,
        "HEADRACE_METRICS_STACK": "test",
    }
    for _ in range(2):
        aws_stack.clients.sqs.send_message(
            QueueUrl=aws_stack.queue_url("logger"), MessageBody=an_envelope(FACT)
        )
    output = tmp_path / "output"
    with output.open("w") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "headrace_logger"], env={**os.environ, **settings}, stdout=out
        )
        try:
            lines = lines_until(output, "log.unchanged")
        finally:
            child.send_signal(signal.SIGTERM)
            assert child.wait(PATIENCE_SECONDS) == 0
    (updated,) = [line for line in lines if line["event"] == "log.updated"]
    (unchanged,) = [line for line in lines if line["event"] == "log.unchanged"]
    assert (updated["stack"], updated["drops"], updated["rows_loaded"]) == ("test", 1, 7)
    assert updated["landing_to_loaded_ms"] == 0
    assert "_aws" not in unchanged


class SlowHandler:
    """Holds its message until the test lets go."""

    def __init__(self) -> None:
        self.done = asyncio.Event()

    async def handle(self, message: Message) -> Sequence[Fact]:
        assert message.body
        await self.done.wait()
        return []

    def failed(self, message: Message, failure: Failure) -> Sequence[Fact]:
        raise AssertionError((message, failure))


class AgentServer:
    """Stands for the task's ECS agent, which there is none of here."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[bool] = asyncio.Queue()

    async def handle(self, request: web.Request) -> web.Response:
        wanted = (await request.json())["ProtectionEnabled"]
        self.asked.put_nowait(wanted)
        return web.json_response({"protection": {"ProtectionEnabled": wanted}})

    async def listen(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_put("/api/1/task-protection/v1/state", self.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner


async def test_service_protects_its_long_work_and_stays_alive(
    aws_stack: AwsStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(task_protection, "PROTECT_AFTER_SECONDS", 0.1)
    monkeypatch.setattr(task_protection, "RELEASE_AFTER_SECONDS", 0.1)
    monkeypatch.setattr(liveness, "TURN_SECONDS", 0.1)
    agent, handler, stop, alive = AgentServer(), SlowHandler(), asyncio.Event(), tmp_path / "alive"
    runner = await agent.listen()
    settings = {
        **environment(aws_stack),
        "HEADRACE_CONCURRENCY": "1",
        "HEADRACE_PROTECT_TASKS": "true",
        "HEADRACE_LIVENESS_FILE": str(alive),
        "ECS_AGENT_URI": f"http://127.0.0.1:{runner.addresses[0][1]}/api/1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    async def build(_: Parts) -> Handler:
        return handler

    aws_stack.clients.sqs.send_message(QueueUrl=aws_stack.queue_url("logger"), MessageBody="a")
    async with asyncio.timeout(PATIENCE_SECONDS):
        serving = asyncio.create_task(service.serve(InboxSettings(), build, stop))
        assert await agent.asked.get() is True
        alive.unlink()
        while not alive.exists():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.02)
        handler.done.set()
        assert await agent.asked.get() is False
        stop.set()
        await serving
    await runner.cleanup()
    assert agent.asked.empty()

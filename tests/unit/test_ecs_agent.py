"""Asking the ECS agent, over real HTTP: a small server stands for the agent.

There is no real one here. Its answers are those of the developer guide's page on the endpoint, and
of the open agent's own source (aws/amazon-ecs-agent, ecs-agent/tmds/handlers/taskprotection).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from headrace_shared.errors import TransientError
from headrace_shared.task_protection import Ask, EcsAgent, protection

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/headrace/0b69d5c0"
TAKEN = {
    "protection": {
        "ExpirationDate": "2026-11-20T12:30:00Z",
        "ProtectionEnabled": True,
        "TaskArn": TASK,
    }
}
PROTECT = {"ProtectionEnabled": True, "ExpiresInMinutes": 30}
RELEASE = {"ProtectionEnabled": False}


@dataclass
class AgentServer:
    """Answers as it is told, and remembers what it was asked. `heard`: it was asked something."""

    uri: str = ""
    status: int = 200
    answer: Any = field(default_factory=lambda: TAKEN)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    speaks: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path, await request.json()))
        self.heard.set()
        await self.speaks.wait()
        if isinstance(self.answer, str):
            return web.Response(status=self.status, text=self.answer)
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
async def server() -> AsyncIterator[AgentServer]:
    told = AgentServer()
    told.speaks.set()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", told.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    told.uri = f"http://127.0.0.1:{runner.addresses[0][1]}/api/0b69d5c0-1"
    yield told
    told.speaks.set()
    await runner.cleanup()


async def ask(uri: str, what: Ask, *, seconds: float = 5) -> None:
    limit = aiohttp.ClientTimeout(total=seconds)
    async with aiohttp.ClientSession(timeout=limit) as session:
        await EcsAgent(session, uri).ask(what)


async def test_asks_are_those_of_the_endpoint(server: AgentServer) -> None:
    await ask(server.uri, Ask.PROTECT)
    await ask(f"{server.uri}/", Ask.RELEASE)
    path = "/api/0b69d5c0-1/task-protection/v1/state"
    assert server.asked == [("PUT", path, PROTECT), ("PUT", path, RELEASE)]


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (
            200,
            {"failure": {"Arn": TASK, "Detail": None, "Reason": "TASK_NOT_VALID"}},
            "TASK_NOT_VALID",
        ),
        (
            200,
            {"failure": {"Arn": TASK, "Detail": "It is being replaced", "Reason": "DEPLOYMENT"}},
            "DEPLOYMENT It is being replaced",
        ),
        (
            400,
            {
                "requestID": "12345-abc-6789-0123-abc",
                "error": {
                    "Arn": TASK,
                    "Code": "AccessDeniedException",
                    "Message": "is not authorized to perform: ecs:UpdateTaskProtection",
                },
            },
            "AccessDeniedException is not authorized to perform: ecs:UpdateTaskProtection",
        ),
        (504, {"error": {"Code": "RequestCanceled", "Message": "Timed out"}}, "RequestCanceled"),
        (500, TAKEN, "HTTP 500, and no word about the protection"),
        (200, {}, "HTTP 200, and no word about the protection"),
        (200, {"failure": "all"}, "HTTP 200, and no word about the protection"),
        (404, "404 page not found", "HTTP 404, and no answer that can be read"),
        (200, "[]", "HTTP 200, and no answer that can be read"),
    ],
)
async def test_answer_that_is_no_consent_is_an_error_that_says_why(
    server: AgentServer, status: int, answer: Any, said: str
) -> None:
    server.status, server.answer = status, answer
    with pytest.raises(TransientError) as raised:
        await ask(server.uri, Ask.PROTECT)
    assert str(raised.value).startswith(f"the ECS agent: {said}")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "no uri"])
async def test_agent_out_of_reach_is_an_error(uri: str) -> None:
    with pytest.raises(TransientError, match="the ECS agent"):
        await ask(uri, Ask.PROTECT)


async def test_agent_that_does_not_answer_is_not_waited_for(server: AgentServer) -> None:
    server.speaks.clear()
    with pytest.raises(TransientError, match="Timeout"):
        await ask(server.uri, Ask.PROTECT, seconds=0.1)


async def test_work_within_is_protected_and_released_at_the_stop(server: AgentServer) -> None:
    stop = asyncio.Event()
    async with protection(server.uri, lambda: 0.0, stop):
        await asyncio.wait_for(server.heard.wait(), 5)
        stop.set()
    assert [asked for _, _, asked in server.asked] == [PROTECT, RELEASE]


async def test_work_that_breaks_off_does_not_wait_for_the_guard(server: AgentServer) -> None:
    with pytest.raises(TransientError, match="the inbox"):
        async with protection(server.uri, lambda: None, asyncio.Event()):
            raise TransientError("the inbox")
    assert server.asked == []


async def test_without_an_agent_nothing_is_done() -> None:
    stop = asyncio.Event()
    before = asyncio.all_tasks()
    async with protection(None, lambda: 0.0, stop):
        assert asyncio.all_tasks() == before

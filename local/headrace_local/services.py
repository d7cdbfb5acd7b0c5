"""The services as programs to supervise: how each is started, with which settings, and when it is
ready. Each gets only what it needs."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace_local import emulator
from headrace_local.errors import PlatformError
from headrace_local.ports import LOOPBACK, answered, port_of
from headrace_local.resources import VISIBILITY_SECONDS, Resources
from headrace_local.supervisor import Program

INBOX_SERVICES: Final = ("router", "loader", "logger")
SERVICES: Final = (*INBOX_SERVICES, "api", "verifier")
NEED_WAREHOUSE: Final = frozenset({"loader", "api", "verifier"})

# Short polls: the one in flight is what an orderly end waits for.
_POLL_SECONDS: Final = 1
_STOP_SECONDS: Final = 10

INSTANCE_HEADER: Final = "Headrace-Instance"


@dataclass(frozen=True)
class Surroundings:
    """What every service of one platform finds around it.

    Args:
        aws_secret: what requests to the emulator are signed with.
        lake_id: tells the lake from those of other platforms on emulators.
        api: the socket that the API accepts from.
        instance_id: what the API of this platform answers, and no other.
        folder: where processes show that they live.
        bent: service -> additional environment.
        routes: for router and verifier.
    """

    resources: Resources
    aws_port: int
    aws_secret: str
    lake_id: str
    api: socket.socket
    instance_id: str
    folder: Path
    bent: Mapping[str, Mapping[str, str]]
    routes: tuple[str, ...] = ()


def programs(service: str, count: int, around: Surroundings, dsn: str | None) -> list[Program]:
    """So many processes of a service; `dsn` is None for one that needs no warehouse."""
    env = {**_common(around), **_own(service, around), **_inbox(service, around)}
    if dsn is not None:
        env |= {"HEADRACE_WAREHOUSE_DSN": dsn, "HEADRACE_WAREHOUSE_SECRET": ""}
    names = [service, *(f"{service}-{number}" for number in range(2, count + 1))]
    return [_program(service, name, env, around) for name in names]


def _common(around: Surroundings) -> dict[str, str]:
    """What the user's own environment says of a service's settings goes on to it, as far as the
    platform does not decide them; of AWS, nothing does."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **inherited,
        **emulator.credentials(around.aws_port, around.aws_secret),
        "HEADRACE_LOG_FORMAT": "json",
    }


def _inbox(service: str, around: Surroundings) -> dict[str, str]:
    if service not in INBOX_SERVICES:
        return {}
    queue = around.resources.inbox(service).queue
    return {
        "HEADRACE_INBOX_URL": emulator.queue_url(around.aws_port, queue.name),
        "HEADRACE_BUS_NAME": around.resources.bus,
        "HEADRACE_POLL_SECONDS": str(_POLL_SECONDS),
        "HEADRACE_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
        "HEADRACE_GRACE_SECONDS": str(_STOP_SECONDS - 2),
    }


def _of_the_api(around: Surroundings) -> dict[str, str]:
    resources = around.resources
    inboxes = {one.service: one.queue.name for one in resources.inboxes}
    dead = {one.service: one.dead_letters.name for one in resources.inboxes}
    return {
        "HEADRACE_LOG_TABLE": resources.log_table.name,
        "HEADRACE_KEYS_TABLE": resources.keys_table.name,
        "HEADRACE_CURSOR_SECRET": secrets.token_urlsafe(24),
        "HEADRACE_API_HOST": LOOPBACK,
        "HEADRACE_API_PORT": str(port_of(around.api)),
        "HEADRACE_API_FD": str(around.api.fileno()),
        "HEADRACE_INSTANCE_ID": around.instance_id,
        "HEADRACE_BUS_NAME": resources.bus,
        "HEADRACE_QUARANTINE_BUCKET": resources.quarantine.name,
        "HEADRACE_INBOXES": _queues(around.aws_port, inboxes),
        "HEADRACE_DEAD_LETTER_QUEUES": _queues(around.aws_port, dead),
    }


def _queues(port: int, names: Mapping[str, str]) -> str:
    urls = {service: emulator.queue_url(port, name) for service, name in names.items()}
    return ",".join(f"{service}={url}" for service, url in urls.items())


def _own(service: str, around: Surroundings) -> dict[str, str]:
    log_table = around.resources.log_table.name
    own = {
        "router": {"HEADRACE_DATABASES": "*", "HEADRACE_ROUTES": json.dumps(around.routes)},
        "loader": {
            "HEADRACE_LAKE_BUCKET": around.resources.bucket.name,
            "HEADRACE_LAKE_ID": around.lake_id,
            "HEADRACE_QUARANTINE_BUCKET": around.resources.quarantine.name,
        },
        "logger": {"HEADRACE_LOG_TABLE": log_table},
        "api": _of_the_api(around),
        "verifier": {
            "HEADRACE_LAKE_BUCKET": around.resources.bucket.name,
            "HEADRACE_LAKE_ID": around.lake_id,
            "HEADRACE_LOG_TABLE": log_table,
            "HEADRACE_BUS_NAME": around.resources.bus,
            "HEADRACE_ROUTES": json.dumps(around.routes),
        },
    }
    return own.get(service, {})


def _program(
    service: str, name: str, shared_env: Mapping[str, str], around: Surroundings
) -> Program:
    liveness = around.folder / f"{name}.alive"
    env = {
        **shared_env,
        "HEADRACE_LIVENESS_FILE": str(liveness),
        **around.bent.get(service, {}),
    }
    return Program(
        name=name,
        command=[sys.executable, "-m", f"headrace_{service}"],
        env=env,
        is_ready=_says_ready(around) if service == "api" else _turned(liveness),
        stop_seconds=_STOP_SECONDS,
        sockets=[around.api] if service == "api" else [],
    )


def _turned(liveness: Path) -> Callable[[], Awaitable[bool]]:
    """The inbox loop has turned since now: its liveness file is younger."""
    started = time.time()

    def look() -> bool:
        with suppress(FileNotFoundError):
            return liveness.stat().st_mtime >= started
        return False

    async def is_ready() -> bool:
        return look()

    return is_ready


def _says_ready(around: Surroundings) -> Callable[[], Awaitable[bool]]:
    """Raises PlatformError where another program answers: a forwarded port, for example, goes to
    it before it comes to the socket that is bound here."""
    place = f"{LOOPBACK}:{port_of(around.api)}"

    async def is_ready() -> bool:
        headers = await asyncio.to_thread(answered, f"http://{place}/readyz")
        if headers is not None and headers.get(INSTANCE_HEADER) != around.instance_id:
            raise PlatformError(
                "Another program answers in place of the API.",
                place,
                "Stop that program (or its forwarded port), or choose another port: --api-port",
            )
        return headers is not None

    return is_ready

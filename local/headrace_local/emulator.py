"""AWS on this machine: the emulator `ministack` as a child process on one loopback port.

It keeps what it holds in memory. At a clean stop it writes its state to the data folder, and
objects of the lake are written as they land; killed, it loses its queues and its log since the
last clean stop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from headrace_local.ports import LOOPBACK, answers, port_of
from headrace_local.provision import Clients
from headrace_local.resources import REGION
from headrace_local.supervisor import Program

ACCOUNT: Final = "000000000000"
ACCESS_KEY_ID: Final = "headrace"
SECRET_ACCESS_KEY: Final = "headrace-local"  # noqa: S105 - of an emulator that takes any

SERVICES: Final = "s3,sqs,events,dynamodb,sns,sts,iam,secretsmanager"

# As the command `ministack` runs it, which has no way to accept from a socket that is open already.
_SERVER: Final = (
    *(sys.executable, "-m", "hypercorn", "--workers", "0"),
    *("--keep-alive", "75", "--log-level", "WARNING"),
)
_ANY_CREDENTIALS: Final = "ministack.app:app"
_OWN_CREDENTIALS: Final = "headrace_local.signed_app:app"

_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH")


def emulator(
    listener: socket.socket,
    folder: Path | None,
    restarted: Callable[[], Awaitable[None]] | None = None,
    secret: str | None = None,
) -> Program:
    """The emulator as a program to supervise.

    Args:
        listener: where it accepts connections; no other program can answer there.
        folder: where it keeps its state; None for a platform that keeps nothing.
        restarted: what to do when it comes back after a crash, without its queues.
        secret: what requests have to be signed with; None: it takes any credentials, so every
            user of this machine can write to it.
    """
    port = port_of(listener)
    env = {
        # Nothing else is inherited: the emulator reads dozens of variables, some of them with
        # everyday names (SERVICES, AUTH, USE_SSL, DOCKER_HOST).
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "GATEWAY_PORT": str(port),
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "SERVICES": SERVICES,
        "LOG_LEVEL": "WARNING",
        # It would listen on further ports, and tidy up containers in the user's Docker.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        **_persistence(folder),
        **({} if secret is None else _own_credentials(secret)),
    }
    application = _ANY_CREDENTIALS if secret is None else _OWN_CREDENTIALS

    async def is_ready() -> bool:
        return await asyncio.to_thread(answers, f"{endpoint(port)}/_ministack/health")

    return Program(
        name="aws",
        command=[*_SERVER, application, "--bind", f"fd://{listener.fileno()}"],
        env=env,
        is_ready=is_ready,
        # It saves its state at SIGTERM, even when that comes because its parent was killed.
        orphan_signal=signal.SIGTERM,
        restarted=restarted,
        sockets=[listener],
    )


def _persistence(folder: Path | None) -> dict[str, str]:
    if folder is None:
        return {"PERSIST_STATE": "0", "S3_PERSIST": "0"}
    return {
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "lake"),
    }


def _own_credentials(secret: str) -> dict[str, str]:
    # ministack itself checks presigned URLs by them.
    return {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": secret}


def clients(url: str, secret: str = SECRET_ACCESS_KEY) -> Clients:
    """What provisions an emulator. Imports boto3, which takes as long as the emulator's start."""
    import boto3

    session = boto3.Session(ACCESS_KEY_ID, secret, region_name=REGION)
    return Clients(
        s3=session.client("s3", endpoint_url=url),
        sqs=session.client("sqs", endpoint_url=url),
        events=session.client("events", endpoint_url=url),
        dynamodb=session.client("dynamodb", endpoint_url=url),
    )


def endpoint(port: int) -> str:
    """The URL that AWS clients speak to."""
    return f"http://{LOOPBACK}:{port}"


def queue_url(port: int, name: str) -> str:
    """Where a queue is now: one kept from an earlier run names the port that it had then."""
    return f"{endpoint(port)}/{ACCOUNT}/{name}"


def credentials(port: int, secret: str = SECRET_ACCESS_KEY) -> dict[str, str]:
    """The AWS_* environment of everything that speaks to the emulator; no profile of the user's
    is read, so nothing can reach a real account by mistake."""
    return {
        "AWS_ENDPOINT_URL": endpoint(port),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # A proxy for the world outside is none for this machine.
        "NO_PROXY": _no_proxy(),
        "no_proxy": _no_proxy(),
    }


def _no_proxy() -> str:
    present = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    return ",".join(filter(None, (present, LOOPBACK, "localhost")))

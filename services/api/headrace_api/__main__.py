"""Runs the API: `python -m headrace_api`."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import AsyncExitStack
from typing import Final

import uvicorn
from fastapi import FastAPI

from headrace_api.app import make_app
from headrace_api.connections import refuse_superuser
from headrace_api.server import Server
from headrace_api.settings import ApiSettings
from headrace_shared.aws import AwsClients
from headrace_shared.errors import HeadraceError
from headrace_shared.logging import configure, get_logger
from headrace_shared.settings import load_settings
from headrace_shared.warehouse_access import WarehouseAccess

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than a load balancer keeps an idle connection (60 s): else it sends a request into one
that this side just closes, and answers 502 for it.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
"""


def main() -> None:
    """Reads the settings and serves until a signal comes."""
    settings = load_settings(ApiSettings)
    configure("api", settings)
    get_logger("headrace_api").info("service.started", port=settings.api_port)
    try:
        asyncio.run(_refuse_superuser(settings))
    except HeadraceError as error:
        sys.stderr.write(f"api: {error}\n")
        raise SystemExit(1) from error
    app = make_app(settings)
    Server(server_config(app, settings), app).run(sockets=_handed_over(settings))


def server_config(app: FastAPI, settings: ApiSettings) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )


def _handed_over(settings: ApiSettings) -> list[socket.socket] | None:
    """None where the server makes its own socket, from the address and port of its settings."""
    return None if settings.api_fd is None else [socket.socket(fileno=settings.api_fd)]


async def _refuse_superuser(settings: ApiSettings) -> None:
    async with AsyncExitStack() as stack:
        access = await WarehouseAccess.open(settings, AwsClients(stack, connections=1))
        await refuse_superuser(access)


if __name__ == "__main__":
    main()

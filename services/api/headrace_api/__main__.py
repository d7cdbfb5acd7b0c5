"""Runs the API: `python -m headrace_api`."""

from __future__ import annotations

import socket

import uvicorn

from headrace_api.app import make_app
from headrace_api.server import Server
from headrace_api.settings import ApiSettings
from headrace_shared.logging import configure, get_logger
from headrace_shared.settings import load_settings


def main() -> None:
    """Reads the settings and serves until a signal comes."""
    settings = load_settings(ApiSettings)
    configure("api", settings)
    get_logger("headrace_api").info("service.started", port=settings.api_port)
    app = make_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
    )
    Server(config, app).run(sockets=_handed_over(settings))


def _handed_over(settings: ApiSettings) -> list[socket.socket] | None:
    """None where the server makes its own socket, from the address and port of its settings."""
    return None if settings.api_fd is None else [socket.socket(fileno=settings.api_fd)]


if __name__ == "__main__":
    main()

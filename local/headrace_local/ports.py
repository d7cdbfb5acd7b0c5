"""Ports on loopback: taken by a socket that listens at once, or free at this moment."""

from __future__ import annotations

import random
import socket
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Final

from headrace_local.errors import UserError

LOOPBACK: Final = "127.0.0.1"

# Below the ports that systems hand out to outgoing connections (from 32768 on Linux, 49152
# elsewhere): a port that is free now is not taken by one of those a moment later.
_LOWEST, _HIGHEST = 15_000, 29_999
_TRIES: Final = 100
_BACKLOG: Final = 1_024

_WITHOUT_PROXY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Listeners:
    """Sockets that the API and the emulator accept from. They stay open in the platform's own
    process: no other program can listen there while a child restarts."""

    api: socket.socket
    aws: socket.socket

    @classmethod
    def open(
        cls, *, api_port: int | None, preferred_api_port: int | None, aws_port: int | None
    ) -> Listeners:
        """Ports that are None: any that is free, for the API the preferred one.

        Raises:
            UserError: a wanted port is taken.
        """
        api = listening(api_port, "--api-port", preferred=preferred_api_port)
        try:
            return cls(api, listening(aws_port, "--aws-port"))
        except UserError:
            api.close()
            raise

    def close(self) -> None:
        """Connections that wait there are refused; may be called again."""
        self.api.close()
        self.aws.close()


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, _HIGHEST)  # noqa: S311 - no secret
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def chosen_port(wanted: int | None, option: str) -> int:
    """The wanted port, else any that is free; another program may take it a moment later.

    Raises:
        UserError: the wanted port is taken.
    """
    if wanted is None:
        return free_port()
    if not is_free(wanted):
        raise _taken(wanted, option)
    return wanted


def listening(
    wanted: int | None = None,
    option: str = "",
    *,
    preferred: int | None = None,
    host: str = LOOPBACK,
) -> socket.socket:
    """A socket that listens already, for a child process to accept from: no other program can
    take its port, and the port stays taken while the child restarts.

    Args:
        wanted: this port and no other; None: the preferred one if it is free, else any.
        option: which names the wanted port on the command line.

    Raises:
        UserError: the wanted port is taken.
    """
    for port in (preferred, 0) if wanted is None else (wanted,):
        if port is None:
            continue
        with suppress(OSError):
            return socket.create_server((host, port), backlog=_BACKLOG)
    raise _taken(wanted or 0, option)


def port_of(listener: socket.socket) -> int:
    """The port that a socket listens on."""
    return int(listener.getsockname()[1])


def _taken(port: int, option: str) -> UserError:
    return UserError(
        f"The port {port} is taken by another program.",
        f"{LOOPBACK}:{port} ({option} {port})",
        f"Choose another one, or leave {option} out to take a free one.",
    )


def answers(url: str) -> bool:
    """Whether a server on this machine answers 200. Blocks for two seconds at most."""
    return answered(url) is not None


def answered(url: str) -> Mapping[str, str] | None:
    """The headers of a server's answer 200; None if there is no such answer. Blocks for two
    seconds at most."""
    try:
        with _WITHOUT_PROXY.open(url, timeout=2) as answer:
            return answer.headers if answer.status == 200 else None
    except (OSError, HTTPException):
        return None

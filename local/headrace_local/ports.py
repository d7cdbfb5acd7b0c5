"""Free ports on loopback."""

from __future__ import annotations

import random
import socket
import urllib.request
from typing import Final

from headrace_local.errors import UserError

LOOPBACK: Final = "127.0.0.1"

# Below the ports that systems hand out to outgoing connections (from 32768 on Linux, 49152
# elsewhere): a port that is free now is not taken by one of those a moment later.
_LOWEST, _HIGHEST = 15_000, 29_999
_TRIES: Final = 100

_WITHOUT_PROXY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


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


def chosen_port(wanted: int | None, option: str, *, preferred: int | None = None) -> int:
    """The wanted port; else the preferred one if it is free; else any free one.

    Raises:
        UserError: the wanted port is taken.
    """
    if wanted is None:
        return preferred if preferred is not None and is_free(preferred) else free_port()
    if not is_free(wanted):
        raise UserError(
            f"The port {wanted} is taken by another program.",
            f"{LOOPBACK}:{wanted} ({option} {wanted})",
            f"Choose another one, or leave {option} out to take a free one.",
        )
    return wanted


def answers(url: str) -> bool:
    """Whether a server on this machine says 200. Blocks for two seconds at most."""
    try:
        with _WITHOUT_PROXY.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False

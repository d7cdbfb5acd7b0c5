"""Free ports on loopback."""

from __future__ import annotations

import socket
from typing import Final

from headrace_local.errors import UserError

LOOPBACK: Final = "127.0.0.1"


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

"""The server of a process that does nothing else."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, cast

import uvicorn
from fastapi import FastAPI

if TYPE_CHECKING:
    import socket

    from headrace_api.events.feed import Feed


class Server(uvicorn.Server):
    """Ends its streams at once when it is told to stop: else it would wait for readers who never
    go. And leaves alone what stays: whatever is there when it begins to serve is there until it
    ends, and looking through it for garbage cost a third of the time of a page of drops."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does; then all that there is counts as staying."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, after the streams have ended."""
        cast("Feed", self._app.state.feed).end()
        await super().shutdown(sockets)

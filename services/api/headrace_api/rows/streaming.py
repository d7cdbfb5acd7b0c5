"""An answer that is written as it is read: nothing of it is held but a batch.

A client that goes away ends the query; so does one that takes nothing for too long, for others
want its connection to the warehouse. What is broken off ends without the mark of an end, so that
no client takes it for whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi.responses import Response

from headrace_api.asgi import App, Message, Receive, Scope, Send
from headrace_api.problems import ApiError, busy
from headrace_shared.errors import TransientError
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

_AT_A_TIME: Final = 65_536
"""Bytes: a client that takes little has at least taken so much in its time."""

_ENDING: Final = "headrace.ending"


class BrokenOffError(Exception):
    """The answer could not be written to its end; the server then cuts the connection."""


@dataclass(slots=True)
class _Ending:
    is_broken: bool = False


class TakenInTime:
    """The outermost middleware: each part of any answer is taken in time, or its connection is cut.

    An answer that was broken off gets no end either, whatever stands between: Starlette's own
    middleware would give it one (`BaseHTTPMiddleware`, in 1.10).

    Args:
        stall_seconds: how long a client may take nothing.
    """

    def __init__(self, app: App, stall_seconds: float) -> None:
        self._app = app
        self._stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises BrokenOffError."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ending = scope[_ENDING] = _Ending()

        async def send_in_time(message: Message) -> None:
            if ending.is_broken:
                raise BrokenOffError("The answer failed midway.")
            try:
                async with asyncio.timeout(self._stall_seconds):
                    await send(message)
            except TimeoutError:
                raise BrokenOffError("The client took nothing for too long.") from None

        await self._app(scope, receive, send_in_time)


@dataclass(slots=True)
class Downloads:
    """How many answers may stream at once: they hold connections that short questions need.

    Args:
        most_rows: of one answer.
        seconds: for one answer, from the question to its last byte.
    """

    at_once: int = 1
    most_rows: int = 1_000_000
    seconds: float = 300.0
    under_way: int = field(default=0, init=False)

    def __enter__(self) -> None:
        """Raises ApiError (503) where there are too many already."""
        if self.under_way >= self.at_once:
            raise busy(
                f"{self.under_way} downloads are under way, as many as this server has "
                "connections for; try again, or take pages of application/json."
            )
        self.under_way += 1

    def __exit__(self, *_: object) -> None:
        self.under_way -= 1


class StreamedRows(Response):
    """An answer whose first part decides its status: what fails before it is a problem document.

    Args:
        parts: the body; closed when the client is gone.
        told: goes into the log line.
    """

    def __init__(
        self,
        parts: AsyncGenerator[bytes],
        *,
        downloads: Downloads,
        media_type: str,
        headers: Mapping[str, str],
        told: Mapping[str, Any],
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.body = b""
        self._parts = parts
        self._downloads = downloads
        self._told = told
        self._bytes = 0
        self.init_headers(headers)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Writes the answer, or ends when the client does."""
        started = time.monotonic()
        ending = scope.get(_ENDING) or _Ending()
        writing = asyncio.create_task(self._write(send, ending))
        leaving = asyncio.create_task(_left(receive))
        outcome = "client_gone"
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                outcome = _outcome(writing.exception(), ending)
                await writing
        finally:
            try:
                await _end(writing, leaving)
            finally:
                _log.info(
                    "rows.streamed",
                    **self._told,
                    outcome=outcome,
                    bytes=self._bytes,
                    duration_ms=round((time.monotonic() - started) * 1000),
                )

    async def _write(self, send: Send, ending: _Ending) -> None:
        has_begun = False
        with self._downloads:
            async with aclosing(self._parts) as parts:
                try:
                    async for part in parts:
                        if not has_begun:
                            has_begun = True
                            await send(self._start())
                        await self._send(part, send)
                except BrokenOffError:
                    raise
                except Exception as error:
                    ending.is_broken = has_begun
                    if has_begun and isinstance(error, ApiError | TransientError):
                        raise BrokenOffError(str(error)) from None
                    raise
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _start(self) -> dict[str, Any]:
        return {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }

    async def _send(self, part: bytes, send: Send) -> None:
        for start in range(0, len(part), _AT_A_TIME):
            body = part[start : start + _AT_A_TIME]
            await send({"type": "http.response.body", "body": body, "more_body": True})
            self._bytes += len(body)


def _outcome(error: BaseException | None, ending: _Ending) -> str:
    if error is None:
        return "complete"
    if isinstance(error, BrokenOffError) and not ending.is_broken:
        return "client_gone"  # it took nothing for too long
    return "broken_off" if ending.is_broken else "refused"


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

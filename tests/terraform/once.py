"""Stands between Terraform and the emulator, and makes every repeated attempt of a call harmless.

An SDK that loses an answer, or for which it comes too late, asks again. Of a call that makes
something by its name, the emulator then answers that it is there already, and the apply fails: AWS
answers so, too, but there the answers are not delayed by a machine with too much to do. All
attempts of one call carry one invocation id; here the first alone is passed on, and each later one
gets the answer of the first, for which it waits.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from headrace_local.ports import LOOPBACK

INVOCATION: Final = "amz-sdk-invocation-id"

_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_SERVER_ERROR: Final = 500


@dataclass(frozen=True)
class Asked:
    """A request, whole."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answered:
    """An answer, whole."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Once:
    """Passes each invocation on to the server at `host:port` once."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._lock = threading.Lock()
        self._answers: dict[str, Future[Answered]] = {}

    def answer(self, asked: Asked) -> Answered:
        """The answer of the first attempt; an error of the server does not count as one.

        Raises:
            OSError: the server cannot be reached.
        """
        invocation = asked.headers.get(INVOCATION)
        if invocation is None:
            return self._passed_on(asked)
        with self._lock:
            is_first = invocation not in self._answers
            answer = self._answers.setdefault(invocation, Future())
        if is_first:
            self._settle(invocation, answer, asked)
        return answer.result()

    def _settle(self, invocation: str, answer: Future[Answered], asked: Asked) -> None:
        try:
            found = self._passed_on(asked)
        except OSError as error:
            self._forget(invocation)
            answer.set_exception(error)
            return
        if found.status >= _SERVER_ERROR:
            self._forget(invocation)
        answer.set_result(found)

    def _forget(self, invocation: str) -> None:
        with self._lock:
            del self._answers[invocation]

    def _passed_on(self, asked: Asked) -> Answered:
        # A connection for each request: none is kept that the server is about to close. And no
        # limit of time: a late answer is an answer.
        connection = HTTPConnection(self._host, self._port)
        try:
            connection.request(asked.method, asked.path, asked.body, dict(asked.headers))
            answer = connection.getresponse()
            kept = [pair for pair in answer.getheaders() if pair[0].lower() not in _HOP_BY_HOP]
            return Answered(answer.status, kept, answer.read())
        finally:
            connection.close()


@contextmanager
def asked_once(host: str, port: int) -> Iterator[int]:
    """The port on loopback behind which every call reaches the server once."""
    once = Once(host, port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            kept = {name: value for name, value in headers.items() if name not in _HOP_BY_HOP}
            found = once.answer(Asked(self.command, self.path, kept, body))
            self.send_response_only(found.status)
            for name, value in [*found.headers, ("Content-Length", str(len(found.body)))]:
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = _Server((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """Threads of connections that clients keep open end with the test run."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away before its answer asks again."""

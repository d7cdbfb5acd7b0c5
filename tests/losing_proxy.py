"""A proxy before S3 that cuts connections at chosen requests, before or after S3 got them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, urlsplit

_WAIT_SECONDS: Final = 60
_READ_BYTES: Final = 65_536
_OWN: Final = frozenset({"connection", "content-length", "transfer-encoding", "date", "server"})
"""Headers that the proxy itself sends."""


class Cut(Enum):
    """Where a connection is cut."""

    MID_BODY = "in the middle of the request"
    BEFORE_S3 = "the whole request has come, and S3 gets nothing of it"
    ANSWER = "S3 has taken the request, and its answer is lost"


Rule = Callable[[str], Cut | None]
"""Gets the name of an S3 operation; says where its connection is cut, if anywhere."""


@dataclass
class LosingProxy:
    """Passes requests on to S3, as far as its rule lets it.

    Args:
        seen: the operations in the order in which they came.
    """

    url: str
    rule: Rule = lambda _operation: None
    seen: list[str] = field(default_factory=list)

    def decide(self, operation: str) -> Cut | None:
        self.seen.append(operation)
        return self.rule(operation)


@contextmanager
def losing_proxy(target: str) -> Iterator[LosingProxy]:
    """A proxy before the S3 at this address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        proxy = LosingProxy(f"http://127.0.0.1:{server.server_address[1]}")
        _Handler.proxies[server.server_address[1]] = (proxy, urlsplit(target).netloc)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield proxy
        server.shutdown()
        thread.join()
        del _Handler.proxies[server.server_address[1]]


def held(operation: str, came: threading.Event, go_on: threading.Event) -> Rule:
    """A rule that holds an operation until `go_on`, and cuts nothing."""

    def rule(name: str) -> None:
        if name == operation:
            came.set()
            assert go_on.wait(_WAIT_SECONDS)

    return rule


def always(operation: str, cut: Cut) -> Rule:
    """A rule that cuts each connection of an operation."""
    return lambda name: cut if name == operation else None


def once(operation: str, cut: Cut) -> Rule:
    """A rule that cuts the first connection of an operation."""
    left = [cut]
    return lambda name: left.pop() if name == operation and left else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxies: dict[int, tuple[LosingProxy, str]] = {}  # noqa: RUF012 - by port, for all servers

    def _pass_on(self) -> None:
        proxy, target = self.proxies[self.server.server_address[1]]  # type: ignore[index]
        cut = proxy.decide(_operation(self.command, self.path))
        body = self._body(cut)
        if cut in (Cut.MID_BODY, Cut.BEFORE_S3):
            self._cut()
            return
        with (
            suppress(ConnectionError),  # the client has gone
            closing(HTTPConnection(target, timeout=_WAIT_SECONDS)) as connection,
        ):
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            if cut is Cut.ANSWER:
                self._cut()
            else:
                self._answer(answer, content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815

    def _body(self, cut: Cut | None) -> bytes:
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(min(length, _READ_BYTES) if cut is Cut.MID_BODY else length)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _answer(self, answer: HTTPResponse, content: bytes) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def handle_expect_100(self) -> bool:
        self.send_response_only(100)
        self.end_headers()
        return True

    def log_message(self, *_: object) -> None:
        pass


def _operation(method: str, path: str) -> str:
    """S3's name of a request."""
    url = urlsplit(path)
    query, has_key = parse_qs(url.query, keep_blank_values=True), "/" in url.path.strip("/")
    if method == "PUT":
        return "UploadPart" if "partNumber" in query else "PutObject"
    if method == "POST":
        return "CompleteMultipartUpload" if "uploadId" in query else "CreateMultipartUpload"
    if method == "HEAD":
        return "HeadObject" if has_key else "HeadBucket"
    return method.title()

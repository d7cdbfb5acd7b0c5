"""Health checks for containers without curl: `python -m headrace_shared.health`.

    file /tmp/alive --seconds 300        was the file touched at most 300 seconds ago?
    http http://127.0.0.1:8080/healthz   does it answer with 2xx?

Exit status 0 if so; 1 if not, with one sentence on the standard error. It runs again and again
beside a service, so it loads nothing but the standard library.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit


def main(arguments: Sequence[str] | None = None) -> int:
    """Looks, and tells."""
    asked = _arguments().parse_args(arguments)
    fault = (
        stale(asked.path, asked.seconds)
        if asked.what == "file"
        else unanswered(asked.url, asked.timeout)
    )
    if fault is None:
        return 0
    sys.stderr.write(f"{fault}\n")
    return 1


def stale(path: Path, seconds: float) -> str | None:
    """Why a file does not speak for a living service; None if it does."""
    try:
        age = time.time() - path.stat().st_mtime
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}."
    if age <= seconds:
        return None
    return f"{path} was touched {age:.0f} s ago, which is more than {seconds:g} s."


def unanswered(url: str, timeout_seconds: float) -> str | None:
    """Why a service does not answer well at a URL; None if it does. No redirect is followed."""
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415 - as long as all else

    place = urlsplit(url)
    try:
        with closing(HTTPConnection(place.netloc, timeout=timeout_seconds)) as connection:
            connection.request("GET", place._replace(scheme="", netloc="", fragment="").geturl())
            status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"{url} does not answer: {type(error).__name__} {error}."
    return None if 200 <= status < 300 else f"{url} answers {status}."


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="health", allow_abbrev=False)
    commands = parser.add_subparsers(dest="what", required=True)
    touched = commands.add_parser("file", help="was it touched lately?")
    touched.add_argument("path", type=Path)
    touched.add_argument("--seconds", type=float, required=True, help="its greatest age")
    answering = commands.add_parser("http", help="does it answer with 2xx?")
    answering.add_argument("url", type=_plain_http)
    answering.add_argument("--timeout", type=float, default=3.0, help="in seconds")
    return parser


def _plain_http(url: str) -> str:
    if not url.startswith("http://") or not urlsplit(url).netloc:
        raise argparse.ArgumentTypeError(f"{url!r} is no http:// URL")
    return url


if __name__ == "__main__":
    sys.exit(main())

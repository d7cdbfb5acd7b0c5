"""The types of ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html), and headers of a
message that is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def header(of: MutableMapping[str, Any], name: str) -> str | None:
    """A header of a request's scope or of the start of an answer; None where it has none."""
    wanted = name.lower().encode("latin-1")
    found = (value for key, value in of.get("headers", ()) if key.lower() == wanted)
    value = next(found, None)
    return None if value is None else bytes(value).decode("latin-1")


def set_header(start: Message, name: str, value: str) -> None:
    """Sets a header of the start of an answer, in place of one of that name."""
    key = name.lower().encode("latin-1")
    others = [(one, told) for one, told in start.get("headers", ()) if one.lower() != key]
    start["headers"] = [*others, (key, value.encode("latin-1"))]

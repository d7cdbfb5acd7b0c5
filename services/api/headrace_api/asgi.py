"""The types of ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html), and headers of a
message that is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
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


def set_headers(start: Message, told: Mapping[str, str]) -> None:
    """Sets headers of the start of an answer, in place of those of these names."""
    made = [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in told.items()]
    names = {name for name, _ in made}
    others = [one for one in start.get("headers", ()) if one[0].lower() not in names]
    start["headers"] = [*others, *made]

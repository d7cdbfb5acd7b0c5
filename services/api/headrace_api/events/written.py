"""A change of a drop, written as a server-sent event."""

from __future__ import annotations

from typing import Final

from headrace_api import examples
from headrace_api.events.changes import Item, id_of
from headrace_api.models import DropEvent

LISTENING: Final = ": listening\n\n"
"""The beginning of every stream: a reader knows that it is heard before anything happens."""


def written(item: Item) -> str:
    """The event that a drop came to this state."""
    data = DropEvent.model_validate(item).model_dump_json()
    return f"event: drop\nid: {id_of(item)}\ndata: {data}\n\n"


_ITEM: Final[Item] = {**examples.DROP, "size_bytes": examples.DROP["bytes"]}
EXAMPLE_ID: Final = id_of(_ITEM)
EXAMPLE: Final = LISTENING + written(_ITEM)
"""The beginning of a stream, for the API's document."""

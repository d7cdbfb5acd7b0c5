"""Keys that a JSON object has more than once: all but one of their values would be lost. Without
I/O."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Final

from headrace_loader.sifting.batches import Fault
from headrace_loader.sqlstate import shortened

_KEY_END: Final = re.compile(rb'"[ \t\r\n]*:')


class _RepeatedError(Exception):
    """An object has a key twice."""


def repeats(content: bytes, fields: int | None = None) -> bool:
    """Whether an object in a JSON text, at any depth, has a key twice.

    Args:
        fields: how many different keys the outermost object has, if that is known.
    """
    # Each key is followed by a colon; texts may have more of them.
    if fields is not None and len(_KEY_END.findall(content)) == fields:
        return False
    try:
        _strict.decode(content.decode())
    except _RepeatedError:
        return True
    except (ValueError, RecursionError):
        return False  # no JSON, which its reader says
    return False


def repeated_keys(content: bytes) -> set[str]:
    """The keys that a JSON object has more than once, not counting objects within it."""
    return {key for key, count in Counter(_keys.decode(content.decode())).items() if count > 1}


def repeated(key: str, column: str | None = None) -> Fault:
    """The fault of such a key."""
    reason = f"the key {shortened(key)!r} is there twice in one object: one value would be lost"
    return Fault("duplicate_key", reason, column)


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _RepeatedError


_strict: Final = json.JSONDecoder(
    object_pairs_hook=_refuse_repeated, parse_int=str, parse_float=str
)
_keys: Final = json.JSONDecoder(
    object_pairs_hook=lambda pairs: [key for key, _ in pairs], parse_int=str, parse_float=str
)

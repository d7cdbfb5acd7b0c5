"""Routes: which keys of a bucket belong to which table. Decided without I/O.

A route is a line `raw/orders/dt={dt}/*.csv.gz -> shop/append/orders`. `*` stands for any text
without a slash, `**` for any number of folders, and `{name}` for some text without a slash, which
is the value of the column `name`; the target may have the name instead: `{table}`. The first route
that fits a key decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final

from pydantic import PlainValidator
from pydantic_settings import NoDecode

from headrace_shared.drop import Action
from headrace_shared.identifiers import safe_identifier, safe_schema

_ARROW: Final = "->"
_TARGET_PARTS: Final = 3
_NAME: Final = r"\{([a-z_][a-z0-9_]{0,62})\}"
_PIECES: Final = re.compile(rf"{_NAME}|(\*+)|([^*{{}}]+)|(.)", re.DOTALL)
_FRESH: Final = ("\ue000", "\ue001\ue002")
"""Texts that no route has, for keys that stand for all keys of a route."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key goes: the parts of the key that it would have in a lake of its own."""

    db_name: str
    action: str
    table_name: str
    file: str


@dataclass(frozen=True)
class Route:
    """One line of the routes.

    Args:
        pattern: of keys.
        target: `db_name/action/table_name`.
    """

    pattern: str
    target: str

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """What a key has to match."""
        parts = self.pattern.split("/")
        return re.compile("".join(_regex_of(parts)), re.DOTALL)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names in the pattern."""
        return tuple(re.findall(_NAME, self.pattern))

    def place(self, key: str) -> Place | None:
        """Where a key goes by this route; None if it does not fit."""
        found = self.regex.fullmatch(key)
        if found is None:
            return None
        values = found.groupdict()
        db_name, action, table_name = (
            re.sub(_NAME, lambda name: values[name[1]], part) for part in self.target.split("/")
        )
        return Place(db_name, action, table_name, self._file(key, values))

    def samples(self) -> Iterator[str]:
        """Keys that stand for all keys of the route: another route that takes them takes all."""
        for text in ("", *_FRESH):
            for folders in ("", *(f"{one}/" for one in _FRESH), "\ue003/\ue004/"):
                yield _sample(self.pattern, text, folders)

    def _file(self, key: str, values: Mapping[str, str]) -> str:
        """The file's name behind folders with all values that the key has."""
        *folders, name = key.split("/")
        own = [folder for folder in folders if "=" in folder]
        bound = [
            f"{column}={value}"
            for column, value in values.items()
            if f"{{{column}}}" not in self.target and f"{column}={value}" not in own
        ]
        return "/".join([*bound, *own, name])


class Routes(tuple[Route, ...]):
    """Routes in their order."""

    __slots__ = ()

    def place(self, key: str) -> Place | None:
        """Where a key goes by the first route that fits; None if none does."""
        return next((found for one in self if (found := one.place(key))), None)


NO_ROUTES: Final = Routes()


def is_laid_out(key: str) -> bool:
    """Whether a key is one of Headrace's own layout, `db_name/action/table_name/file`, or would be
    if its names were good."""
    parts = key.split("/")
    return len(parts) > _TARGET_PARTS and parts[1].lower() in set(Action)


def read_routes(lines: Sequence[object]) -> Routes:
    """The routes in their lines.

    Raises:
        ValueError: names each line that is none, or that an earlier one leaves no key.
    """
    routes, faults = list[Route](), list[str]()
    for number, line in enumerate(lines, 1):
        route, fault = _read(line)
        faults += [f"route {number}: {fault}"] if fault else []
        if route is not None:
            routes.append(route)
    faults += [] if faults else list(_shadowed(routes))
    if faults:
        raise ValueError("; ".join(faults))
    return Routes(routes)


def _read(line: object) -> tuple[Route | None, str]:
    if not isinstance(line, str) or line.count(_ARROW) != 1:
        return None, f"{line!r} is not written as PATTERN {_ARROW} db_name/action/table_name"
    pattern, target = (part.strip() for part in line.split(_ARROW))
    route = Route(pattern, target)
    return route, _fault_of_pattern(pattern) or _fault_of_target(route)


def _fault_of_pattern(pattern: str) -> str:
    for part in pattern.split("/"):
        if not part:
            return f"{pattern!r} has an empty part"
        if "**" in part and part != "**":
            return f"{part!r}: ** stands for whole folders; write * within a name"
        if any(other for *_, other in _PIECES.findall(part)):
            return f"{part!r}: a name in braces is written {{name}}, in small letters"
    names = re.findall(_NAME, pattern)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return f"{{{twice[0]}}} is in the pattern twice"
    return "a pattern ends in the name of a file, or in *" if pattern.endswith("**") else ""


def _fault_of_target(route: Route) -> str:
    parts = route.target.split("/")
    if len(parts) != _TARGET_PARTS:
        return f"{route.target!r} is not db_name/action/table_name"
    for name in re.findall(_NAME, route.target):
        if name not in route.names:
            return f"{{{name}}} is not in the pattern"
    db_name, action, table_name = (re.sub(_NAME, "x", part) for part in parts)
    if safe_schema(db_name) is None:
        return f"{parts[0]!r} cannot be a database name"
    if "{" not in parts[1] and action.lower() not in set(Action):
        return f"{parts[1]!r} is no action; there are {', '.join(Action)}"
    if safe_identifier(table_name) is None:
        return f"{parts[2]!r} cannot be a table name"
    return ""


def _shadowed(routes: Sequence[Route]) -> Iterator[str]:
    for number, route in enumerate(routes):
        for earlier, other in enumerate(routes[:number]):
            if all(other.regex.fullmatch(sample) for sample in route.samples()):
                yield (
                    f"route {number + 1} ({route.pattern}) is never reached: route {earlier + 1} "
                    f"({other.pattern}) takes all its keys"
                )
                break


def _regex_of(parts: Sequence[str]) -> Iterator[str]:
    for place, part in enumerate(parts):
        is_last = place == len(parts) - 1
        if part == "**":
            yield "(?:[^/]+/)*"
            continue
        for name, stars, text, _ in _PIECES.findall(part):
            yield f"(?P<{name}>[^/]+)" if name else "[^/]*" if stars else re.escape(text)
        yield "" if is_last else "/"


def _sample(pattern: str, text: str, folders: str) -> str:
    deep = pattern.replace("**/", folders)
    return re.sub(_NAME, text or _FRESH[0], deep).replace("*", text)


def _setting(value: object) -> Routes:
    if isinstance(value, Routes):
        return value
    try:
        lines = json.loads(str(value) or "[]")
    except ValueError:
        lines = None
    if not isinstance(lines, list):
        raise ValueError(f"must be a JSON list of lines: PATTERN {_ARROW} db_name/action/table")  # noqa: TRY004 - pydantic's word for a bad setting
    return read_routes(lines)


RoutesSetting = Annotated[Routes, NoDecode, PlainValidator(_setting)]
"""A JSON list of routes."""

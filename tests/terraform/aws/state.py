"""The resources of one state that a run of `terraform test` left, and the values that we gave.

Terraform's mocks fill in what AWS computes: eight letters and digits, zero, false. Such values are
left out, since no user and no module wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

DOCUMENT: Final = "aws_iam_policy_document"
MADE_UP: Final = re.compile(r"[a-z0-9]{8}")
_INDEX: Final = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True)
class Attribute:
    """A value within a resource.

    Args:
        path: names from the resource down to the value, without positions in lists.
        shown: the same with positions, for messages: `rule[1].expiration[0].days`.
        value: a string, number or boolean; or a map of them (tags, dimensions).
    """

    path: tuple[str, ...]
    shown: str
    value: Any


@dataclass(frozen=True)
class Resource:
    """A resource, or a data source, of a state.

    Args:
        schema: the provider's schema of its type; None where every value was given.
        depends_on: the blocks that are made before it, directly or not.
    """

    address: str
    type: str
    values: Mapping[str, Any]
    schema: Mapping[str, Any] | None = None
    depends_on: frozenset[str] = frozenset()

    def given(self, made_up: frozenset[str] = frozenset()) -> Iterator[Attribute]:
        """Every value that was given; `made_up` are values of mocks that it may refer to."""
        for attribute, computed in _of_block(self.values, self.schema, ()):
            if attribute.path != ("id",) and not _is_made_up(attribute.value, computed, made_up):
                yield attribute

    @property
    def plain_address(self) -> str:
        """The address without indexes: of the block, rather than of one of its instances."""
        return without_indexes(self.address)


@dataclass(frozen=True)
class State:
    """Everything that one variant of a root module makes.

    Args:
        variant: file and run of the test that made it.
    """

    variant: str
    resources: tuple[Resource, ...]
    documents: tuple[Resource, ...] = field(default=())

    def of(self, *types: str) -> list[Resource]:
        """The resources of these types."""
        return [one for one in self.resources if one.type in types]

    @cached_property
    def made_up(self) -> frozenset[str]:
        """What mocks answered as identifiers, and other resources refer to."""
        return frozenset(
            value
            for one in self.resources
            for name in ("id", "arn", "key_arn")
            if isinstance(value := one.values.get(name), str) and MADE_UP.fullmatch(value)
        )


def without_indexes(address: str) -> str:
    """`module.network[0].aws_subnet.tasks[1]` -> `module.network.aws_subnet.tasks`."""
    return _INDEX.sub("", address)


def state(variant: str, root: Mapping[str, Any], schemas: Mapping[str, Any]) -> State:
    """Of a `root_module` as `terraform show -json` has it, and schemas by type."""
    every = list(_resources(root))
    made = [
        Resource(
            one["address"],
            one["type"],
            one["values"],
            schemas.get(one["type"], {}),
            frozenset(one.get("depends_on", ())),
        )
        for one in every
        if one["mode"] == "managed"
    ]
    documents = [
        Resource(one["address"], one["type"], one["values"])
        for one in every
        if one["mode"] == "data" and one["type"] == DOCUMENT
    ]
    return State(variant, tuple(made), tuple(documents))


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from _resources(child)


def _of_block(
    values: Mapping[str, Any], schema: Mapping[str, Any] | None, path: tuple[str, ...], at: str = ""
) -> Iterator[tuple[Attribute, bool]]:
    """Each value, and whether AWS might have computed it."""
    for name, value in values.items():
        here, shown = (*path, name), f"{at}.{name}" if at else name
        known = _schema_of(schema, name)
        if schema is not None and known.get("computed") and not known.get("optional"):
            continue
        computed = bool(known.get("computed"))
        for one, place in _each(value, shown):
            if isinstance(one, Mapping) and _is_block(known, isinstance(value, list)):
                yield from _of_block(one, _inner(schema, known), here, place)
            elif one not in (None, {}):
                yield Attribute(here, place, one), computed


def _each(value: Any, shown: str) -> Iterator[tuple[Any, str]]:
    if not isinstance(value, list):
        yield value, shown
        return
    for position, one in enumerate(value):
        yield one, f"{shown}[{position}]"


def _schema_of(schema: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    if schema is None:
        return {}
    if name in schema.get("block_types", {}):
        return {"block": schema["block_types"][name]["block"]}
    known: Mapping[str, Any] = schema.get("attributes", {}).get(name, {})
    nested = known.get("nested_type")
    return {**known, "block": nested} if nested else known


def _inner(schema: Mapping[str, Any] | None, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if schema is None:
        return None
    inner: Mapping[str, Any] = known.get("block", {})
    return inner


def _is_block(known: Mapping[str, Any], listed: bool) -> bool:
    """Maps such as tags are values; without a schema, what stands in a list is a block."""
    if known:
        return "block" in known or _is_object(known.get("type"))
    return listed


def _is_object(type_: Any) -> bool:
    """An attribute such as `ingress`, of a set or list of objects."""
    while isinstance(type_, list) and type_[0] in ("list", "set"):
        type_ = type_[1]
    return isinstance(type_, list) and type_[0] == "object"


def _is_made_up(value: Any, computed: bool, made_up: frozenset[str]) -> bool:
    if computed and isinstance(value, str):
        return MADE_UP.fullmatch(value) is not None
    if computed and not isinstance(value, Mapping):
        return not value
    return isinstance(value, str) and value in made_up

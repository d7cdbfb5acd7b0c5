"""AWS's own API as botocore's models describe it: the members of operations, and what is wrong
with a value of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.model import (
    ListShape,
    MapShape,
    OperationNotFoundError,
    Shape,
    StringShape,
    StructureShape,
)
from botocore.session import get_session

from tests.terraform.aws.checks import Check, Fault, has_length, is_between, is_one_of, matches
from tests.terraform.aws.prose import keyed_range, of_prose, prose


@dataclass(frozen=True)
class Member:
    """A member of an operation's input; `name` is shown: `ec2 CreateVpc.CidrBlock`.

    Args:
        key: of one value of a map of attributes, whose range the documentation has.
    """

    name: str
    shape: Shape
    key: str = ""

    def faults(self, value: Any) -> Iterator[Fault]:
        """What is wrong with a value of it, and where that is said."""
        for check in self._checks():
            if fault := check(value):
                yield f"{fault} (botocore: {self.name})"

    def _checks(self) -> Iterator[Check]:
        if self.key:
            yield keyed_range(prose(self.shape), self.key)
            return
        yield from _of_model(self.shape)
        yield from of_prose(self.shape)


@cache
def start(place: str) -> Member:
    """The member at `service:Operation:path.to.it`; the whole input without a path.

    Raises:
        LookupError: there is no such operation or member.
    """
    place, _, key = place.partition("#")
    service, operation, *path = place.split(":")
    try:
        model = _session_model(service).operation_model(operation)
    except (UnknownServiceError, OperationNotFoundError) as error:
        raise LookupError(f"botocore knows no {service} {operation}") from error
    member = Member(f"{service} {operation}", model.input_shape)
    for name in path[0].split(".") if path else ():
        inner = _structure(member.shape).members[name]
        member = Member(_joined(member.name, name), inner)
    return Member(f"{member.name}: {key}", member.shape, key) if key else member


def below(member: Member, path: tuple[str, ...]) -> Member | None:
    """The member that attributes of these names set: `alarm_name` sets AlarmName; None if none."""
    if member.key:
        return None if path else member
    for name in path:
        shape = _element(member.shape)
        if not isinstance(shape, StructureShape) or (found := _alike(shape, name)) is None:
            return None
        member = Member(_joined(member.name, found), shape.members[found])
    return Member(member.name, _element(member.shape))


def operations(service: str) -> frozenset[str]:
    """The names of a service's operations; none where botocore does not know the service."""
    try:
        return frozenset(_session_model(service).operation_names)
    except UnknownServiceError as error:
        raise LookupError(f"botocore knows no service {service}") from error


@cache
def _session_model(service: str) -> Any:
    return get_session().get_service_model(service)


def _structure(shape: Shape) -> StructureShape:
    inner = _element(shape)
    return inner if isinstance(inner, StructureShape) else StructureShape(shape.name, {})


def _element(shape: Shape) -> Shape:
    while isinstance(shape, ListShape):
        shape = shape.member
    return shape


def _joined(name: str, member: str) -> str:
    return f"{name}.{member}"


def _alike(shape: Any, name: str) -> str | None:
    wanted = _plain(name)
    named = {_plain(member): member for member in shape.members}
    for one in (wanted, f"{wanted}s", wanted.removesuffix("s"), wanted.removesuffix("id")):
        if one in named:
            found: str = named[one]
            return found
    return None


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _of_model(shape: Shape) -> Iterator[Check]:
    limits = shape.metadata
    low, high = limits.get("min"), limits.get("max")
    if isinstance(shape, StringShape):
        yield has_length(low, high)
        if shape.enum:
            yield is_one_of(frozenset(shape.enum))
        if "pattern" in limits:
            yield matches(limits["pattern"])
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield is_between(low, high)
    elif isinstance(shape, MapShape):
        yield _every(shape)


def _every(shape: Any) -> Check:
    keys = (*_of_model(shape.key), *of_prose(shape.key))
    values = (*_of_model(shape.value), *of_prose(shape.value))

    def check(value: Any) -> Fault | None:
        faults = [
            fault
            for key, one in value.items()
            for checks, part in ((keys, key), (values, one))
            for check_one in checks
            if (fault := check_one(part))
        ]
        return faults[0] if faults else None

    return check

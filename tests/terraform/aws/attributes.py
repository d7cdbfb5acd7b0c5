"""Every value that we give to AWS, against the member of AWS's own API that it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.terraform.aws.api import Member, below, start
from tests.terraform.aws.mapping import Api
from tests.terraform.aws.members import MEMBERS
from tests.terraform.aws.state import Attribute, Resource, State

_PREFIX: Final = "_prefix"
_UNIQUE: Final = "20260101000000000000000001"
"""As the provider ends a name of which it is given the prefix: 26 digits."""


def refused_values(state: State) -> Iterator[str]:
    """Values that AWS's API refuses: too long, other characters, out of range, unknown."""
    for resource in state.resources:
        api = MEMBERS.get(resource.type, Api(()))
        for attribute in map(_whole_name, resource.given(state.made_up)):
            member = _member_or_none(api, attribute)
            for fault in member.faults(attribute.value) if member else ():
                yield f"{resource.address}: {attribute.shown}: {fault}"


def unknown_to_the_rules(state: State) -> Iterator[str]:
    """Types and attributes that no rule looks at, since the table does not have them. What is not
    the AWS provider's (`terraform_data`) makes nothing there."""
    for resource in state.resources:
        if not resource.type.startswith("aws_"):
            continue
        api = MEMBERS.get(resource.type)
        if api is None:
            yield (
                f"{resource.address}: {resource.type} has no entry in MEMBERS: name the operations "
                "of AWS that make it (tests/terraform/aws/members.py)"
            )
            continue
        yield from _unknown_attributes(resource, api, state.made_up)


def member_of(api: Api, attribute: Attribute) -> Member | None:
    """The member that an attribute sets; None where the table says that there is none.

    Raises:
        LookupError: the table has nothing on it, and no member is named alike.
    """
    path = attribute.path
    if isinstance(attribute.value, bool):
        # True and false are never refused for their form.
        return None
    for length in range(len(path), 0, -1):
        key = ".".join(path[:length])
        if key in api.without:
            return None
        if key in api.members:
            found = below(start(api.members[key]), path[length:])
            if found is not None:
                return found
    for place in api.operations:
        if found := below(start(place), path):
            return found
    raise LookupError(".".join(path))


def _whole_name(attribute: Attribute) -> Attribute:
    """A prefix of a name as the name that the provider makes of it."""
    *block, last = attribute.path
    if not last.endswith(_PREFIX):
        return attribute
    path = (*block, last.removesuffix(_PREFIX))
    return Attribute(path, attribute.shown, f"{attribute.value}{_UNIQUE}")


def _member_or_none(api: Api, attribute: Attribute) -> Member | None:
    try:
        return member_of(api, attribute)
    except LookupError:
        # unknown_to_the_rules names it.
        return None


def _unknown_attributes(resource: Resource, api: Api, made_up: frozenset[str]) -> Iterator[str]:
    for attribute in map(_whole_name, resource.given(made_up)):
        try:
            member_of(api, attribute)
        except LookupError as unknown:
            yield (
                f"{resource.address}: {attribute.shown} = {_short(attribute.value)}: no member of "
                f"{', '.join(api.operations)} is named like it: name one, or the reason that there "
                f"is none, at {resource.type} in tests/terraform/aws/members.py ({unknown})"
            )


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."

"""Tags of every type: how many, which characters, and how long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tests.terraform.aws.api import start
from tests.terraform.aws.state import State

_KEYS: Final = ("iam:CreateRole:Tags.Key", "ec2:CreateTags:Tags.Key")
_VALUES: Final = ("iam:CreateRole:Tags.Value", "ec2:CreateTags:Tags.Value")
"""IAM's model has the characters, EC2's documentation the reserved prefix."""

_GUIDE: Final = "Tagging AWS resources user guide, Tag naming limits and requirements"
_MOST: Final = 50


def refused_tags(state: State) -> Iterator[str]:
    """Tags that AWS refuses."""
    for resource in state.resources:
        tags = resource.values.get("tags")
        for fault in _faults(tags) if isinstance(tags, Mapping) else ():
            yield f"{resource.address}: tags: {fault}"


def _faults(tags: Mapping[str, str]) -> Iterator[str]:
    if len(tags) > _MOST:
        yield f"{len(tags)} tags, at most {_MOST} are allowed ({_GUIDE})"
    for key, value in tags.items():
        for places, text in ((_KEYS, key), (_VALUES, value)):
            for place in places:
                yield from start(place).faults(text)

"""What each of our resources becomes in AWS's API: the operations, and the members whose names
differ from Terraform's attributes.

Most attributes need no entry: `alarm_description` sets AlarmDescription, and
`rule.expiration.days` sets Rules.Expiration.Days. An entry is needed for another name, and for what
no member takes (with the reason, so that nothing is forgotten in silence).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Api:
    """The API behind a type of resource.

    Args:
        operations: `service:Operation` or `service:Operation:Member.Of.It`, tried in this order.
            `...#Key` is the value of one key, whose limits the documentation of the member has.
        members: path of an attribute, or of a block -> where its member is.
        without: path of an attribute, or of a block -> why no member takes it.
    """

    operations: tuple[str, ...]
    members: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)


BY_ID: Final = "the identifier of another resource, which AWS itself gave"
OURS: Final = "read by the provider alone; AWS is not sent it"
DOCUMENT: Final = "a policy: policies.py looks at it"
TAGS: Final = "tags.py looks at tags of every type"
NOTHING: Final[Mapping[str, str]] = {}


def api(
    *operations: str,
    members: Mapping[str, str] = NOTHING,
    without: Mapping[str, str] = NOTHING,
) -> Api:
    return Api(operations, members, {"tags": TAGS, "tags_all": TAGS, "timeouts": OURS, **without})

"""IAM's and each service's grammar of policies, their sizes, and which of them AWS refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tests.terraform.aws import actions
from tests.terraform.aws.documents import Policy, Statement, policy
from tests.terraform.aws.state import State

_GRAMMAR: Final = "IAM user guide, Grammar of the IAM JSON policy language"
_QUOTAS: Final = "IAM user guide, IAM and STS quotas"
_SNS: Final = "SNS developer guide, SNS API permissions: policy quotas"
_EVENTS_TO_SNS: Final = (
    "EventBridge user guide, Using resource-based policies: no Condition in SNS topic policies"
)


@dataclass(frozen=True)
class Kind:
    """A kind of policy: where it stands, and what its service takes.

    Args:
        type, attribute: of the resource that has it.
        service: the only prefix of actions that it may name; empty: any.
        has_principal, has_resource: whether each statement has one; AWS refuses it otherwise.
        characters: its greatest size.
        statements: the most of them.
        own: attribute with the ARN that every Resource must be; empty: any.
    """

    type: str
    attribute: str
    service: str
    has_principal: bool
    has_resource: bool
    characters: int
    source: str
    statements: int = 10_000
    own: str = ""


KINDS: Final = (
    Kind("aws_iam_role", "assume_role_policy", "sts", True, False, 2_048, _QUOTAS),
    Kind("aws_iam_role_policy", "policy", "", False, True, 10_240, _QUOTAS),
    Kind("aws_iam_policy", "policy", "", False, True, 6_144, _QUOTAS),
    Kind("aws_sns_topic_policy", "policy", "sns", True, True, 30_720, _SNS, 100, "arn"),
    Kind(
        *("aws_sqs_queue_policy", "policy", "sqs", True, True, 8_192),
        "SQS developer guide, Policy quotas",
        20,
    ),
    Kind(
        *("aws_s3_bucket_policy", "policy", "s3", True, True, 20_480),
        "S3 user guide, Bucket policies",
    ),
)

_SIDS: Final = re.compile(r"[A-Za-z0-9]*")
_ARN: Final = re.compile(r"\*|arn:[\w*-]+:[\w*-]+:[\w*-]*:[\d*]*:.+|\$\{.+\}.*")
_SERVICE_PRINCIPAL: Final = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?")
_OPERATOR: Final = re.compile(
    r"(?:ForAllValues:|ForAnyValue:)?"
    r"(?:(?:String(?:Not)?(?:Equals|Like)|StringEqualsIgnoreCase|StringNotEqualsIgnoreCase"
    r"|Numeric(?:Not)?Equals|NumericLessThan(?:Equals)?|NumericGreaterThan(?:Equals)?"
    r"|Date(?:Not)?Equals|DateLessThan(?:Equals)?|DateGreaterThan(?:Equals)?"
    r"|Bool|BinaryEquals|(?:Not)?IpAddress|Arn(?:Not)?(?:Equals|Like))(?:IfExists)?|Null)"
)
_KEY: Final = re.compile(r"[a-z0-9-]+:[\w/.:${}-]+", re.IGNORECASE)
_SNS_ACTIONS: Final = frozenset(
    {"AddPermission", "DeleteTopic", "GetDataProtectionPolicy", "GetTopicAttributes"}
    | {"ListSubscriptionsByTopic", "ListTagsForResource", "Publish", "PutDataProtectionPolicy"}
    | {"RemovePermission", "SetTopicAttributes", "Subscribe", "Receive"}
)


def policies(state: State) -> Iterator[tuple[Kind, Policy]]:
    """Every policy of a state, and what kind it is of."""
    for kind in KINDS:
        for resource in state.of(kind.type):
            yield kind, policy(state, resource, kind.attribute)


def unreadable_policies(state: State) -> Iterator[str]:
    """Policies without a statement, or that are no JSON."""
    for _, one in policies(state):
        for fault in one.faults:
            yield f"{one.place}: {fault} ({_GRAMMAR})"


def ungrammatical_policies(state: State) -> Iterator[str]:
    """Statements that IAM, or the service that keeps the policy, does not take."""
    for kind, one in policies(state):
        for statement in one.statements:
            for fault in (*_faults(kind, statement), *_of_others(kind, one, statement)):
                yield f"{one.place}: statement {statement['Sid'] or '(no Sid)'}: {fault}"
        for sid in _twice([statement["Sid"] for statement in one.statements]):
            yield f"{one.place}: two statements have the Sid {sid} ({_GRAMMAR})"


def unknown_actions(state: State) -> Iterator[str]:
    """Actions that IAM does not know: they allow nothing, and S3, SQS and SNS refuse them."""
    for _, one in policies(state):
        for statement in one.statements:
            for action in (*statement.get("Action", ()), *statement.get("NotAction", ())):
                if actions.unknown(action):
                    yield (
                        f"{one.place}: statement {statement['Sid']}: {action} is no action of IAM "
                        f"({actions.SOURCE})"
                    )


def mismatched_s3_resources(state: State) -> Iterator[str]:
    """Actions on objects that name buckets only, and the other way round: they allow nothing, and a
    bucket's policy with one is refused."""
    for _, one in policies(state):
        for statement in one.statements:
            paths = {"/" in resource for resource in statement.get("Resource", ())}
            for action in statement.get("Action", ()):
                if _is_elsewhere(action, paths) and "*" not in statement["Resource"]:
                    yield (
                        f"{one.place}: statement {statement['Sid']}: {action} is not on what its "
                        f"Resource names ({actions.SOURCE})"
                    )


def conditions_for_eventbridge(state: State) -> Iterator[str]:
    """Statements of topic policies that let EventBridge publish under a condition: it never may."""
    for kind, one in policies(state):
        if kind.service != "sns":
            continue
        for statement in one.statements:
            services = statement.get("Principal", {}).get("Service", [])
            if "events.amazonaws.com" in services and statement.get("Condition"):
                yield (
                    f"{one.place}: statement {statement['Sid']}: events.amazonaws.com under a "
                    f"Condition: every event would be refused ({_EVENTS_TO_SNS})"
                )


def oversized_policies(state: State) -> Iterator[str]:
    """Policies that are too long; the inline policies of a role count together."""
    together: dict[str, int] = {}
    for kind, one in policies(state):
        size = _measured(one)
        if kind.type == "aws_iam_role_policy":
            role = str(one.resource.values.get("role"))
            size = together[role] = together.get(role, 0) + size
        if size > kind.characters:
            yield (
                f"{one.place}: {size} characters, at most {kind.characters} are allowed "
                f"({kind.source})"
            )
        if len(one.statements) > kind.statements:
            yield (
                f"{one.place}: {len(one.statements)} statements, at most {kind.statements} are "
                f"allowed ({kind.source})"
            )


def _is_elsewhere(action: str, paths: set[bool]) -> bool:
    """Whether an action of S3 is on objects where only buckets are named, or on buckets where only
    objects are."""
    named = action.startswith("s3:") and "*" not in action
    return named and bool(paths) and actions.of_objects(action) not in paths


def _faults(kind: Kind, statement: Statement) -> Iterator[str]:
    if statement["Effect"] not in ("Allow", "Deny"):
        yield f"Effect is {statement['Effect']!r}, not Allow or Deny ({_GRAMMAR})"
    if not kind.has_principal and not _SIDS.fullmatch(statement["Sid"]):
        yield f"a Sid has letters and digits only ({_GRAMMAR})"
    if not (statement.get("Action") or statement.get("NotAction")):
        yield f"it has no Action ({_GRAMMAR})"
    yield from _parts(kind, statement)
    yield from _conditions(statement.get("Condition", {}))
    yield from _principals(statement.get("Principal", {}))
    if kind.service:
        yield from _out_of_scope(kind, statement)


def _parts(kind: Kind, statement: Statement) -> Iterator[str]:
    principal = "Principal" in statement or "NotPrincipal" in statement
    resource = "Resource" in statement or "NotResource" in statement
    for name, found, wanted in (
        ("Principal", principal, kind.has_principal),
        ("Resource", resource, kind.has_resource),
    ):
        if found != wanted:
            verb = "needs a" if wanted else "may have no"
            yield f"{kind.type}.{kind.attribute} {verb} {name} ({_GRAMMAR})"
    for one in statement.get("Resource", ()):
        if not _ARN.fullmatch(one):
            yield f"Resource {one!r} is neither * nor an ARN ({_GRAMMAR})"


def _conditions(condition: Mapping[str, Mapping[str, list[str]]]) -> Iterator[str]:
    for operator, keys in condition.items():
        if not _OPERATOR.fullmatch(operator):
            yield f"{operator!r} is no condition operator ({_GRAMMAR})"
        for key, values in keys.items():
            if not _KEY.fullmatch(key):
                yield f"{key!r} is no condition key ({_GRAMMAR})"
            if not values:
                yield f"{operator} {key} has no value ({_GRAMMAR})"
            for value in values if operator.removeprefix("ForAnyValue:").startswith("Arn") else ():
                if not _ARN.fullmatch(value):
                    yield f"{operator} {key}: {value!r} is no ARN ({_GRAMMAR})"


def _principals(principal: Mapping[str, list[str]]) -> Iterator[str]:
    for kind, names in principal.items():
        if kind not in ("AWS", "Service", "Federated", "CanonicalUser", "*"):
            yield f"{kind!r} is no kind of principal ({_GRAMMAR})"
        for name in names if kind == "Service" else ():
            if not _SERVICE_PRINCIPAL.fullmatch(name):
                yield f"{name!r} is no service principal ({_GRAMMAR})"


def _out_of_scope(kind: Kind, statement: Statement) -> Iterator[str]:
    """SNS: "Policy statement action out of service scope"; SQS and S3 alike."""
    for action in statement.get("Action", ()):
        prefix, _, name = action.partition(":")
        if prefix.lower() != kind.service:
            yield f"{action} is out of the scope of {kind.service} ({kind.source})"
        elif kind.service == "sns" and name not in _SNS_ACTIONS:
            yield f"SNS does not take {action} in the policy of a topic ({kind.source})"


def _of_others(kind: Kind, one: Policy, statement: Statement) -> Iterator[str]:
    own = one.resource.values.get(kind.own)
    for resource in statement.get("Resource", ()) if kind.own else ():
        if resource != own:
            yield f"Resource {resource!r} is not {own!r}, whose policy it is ({kind.source})"


def _measured(one: Policy) -> int:
    """Its characters, each ARN of the mocks counted as one of the length that names allow."""
    short = sum(
        max(0, _LONGEST_ARN - len(resource))
        for statement in one.statements
        for resource in statement.get("Resource", ())
        if resource.startswith("arn:")
    )
    return one.characters + short


_LONGEST_ARN: Final = len(
    "arn:aws:dynamodb:ap-southeast-1:111122223333:table/" + "n" * 28 + "-undelivered/index/*"
)


def _twice(sids: list[str]) -> list[str]:
    return sorted({one for one in sids if one and sids.count(one) > 1})


def characters_of_policies(state: State) -> Iterator[str]:
    """Characters that IAM's policies may not have: it takes Latin-1 alone."""
    for kind, one in policies(state):
        text = json.dumps(one.statements, ensure_ascii=False)
        bad = sorted({character for character in text if ord(character) > 0xFF})
        if bad and kind.type.startswith("aws_iam"):
            yield f"{one.place}: {''.join(bad)!r} ({_GRAMMAR})"

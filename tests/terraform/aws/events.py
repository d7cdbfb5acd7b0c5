"""Patterns of events, what a target is sent in an event's place, and queues of dead letters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from headrace_shared.facts import FACTS, SOURCE
from tests.terraform.aws.state import State

_PATTERNS: Final = "EventBridge user guide, Creating event patterns"
_TRANSFORMERS: Final = "EventBridge user guide, Input transformation"
_TARGETS: Final = (
    "EventBridge user guide, Using resource-based policies: do not specify a RoleArn for targets "
    "that use resource-based policies"
)
_REDRIVES: Final = "SQS API reference, SetQueueAttributes"

_FIELDS: Final = frozenset(
    {"id", "account", "version", "time", "region", "resources", "source", "detail-type", "detail"}
    | {"replay-name", "$or"}
)
_FILTERS: Final = frozenset(
    {"prefix", "suffix", "anything-but", "numeric", "exists", "cidr", "equals-ignore-case"}
    | {"wildcard"}
)
_S3_NAMES: Final = frozenset(
    {"Object Created", "Object Deleted", "Object Restore Completed", "Object Tags Added"}
)
_S3: Final = "aws.s3"
_NAMES: Final[Mapping[str, frozenset[str]]] = {SOURCE: frozenset(FACTS), _S3: _S3_NAMES}
_PUBLISHED: Final = "headrace_shared/facts.py; S3 user guide, EventBridge event message structure"
_LONGEST_PATTERN: Final = 2_048
_COMPARISONS: Final = frozenset({"=", "<", "<=", ">", ">="})
_PATH: Final = re.compile(r"\$(?:\.[\w-]+(?:\[\d+\])?)+|\$")
_PLACEHOLDER: Final = re.compile(r"<([^<>]+)>")
_PREDEFINED: Final = frozenset(
    {"aws.events.rule-arn", "aws.events.rule-name", "aws.events.event.ingestion-time"}
    | {"aws.events.event", "aws.events.event.json"}
)


def refused_patterns(state: State) -> Iterator[str]:
    """Event patterns that EventBridge calls invalid, or that match no event at all."""
    for rule in state.of("aws_cloudwatch_event_rule"):
        text = rule.values.get("event_pattern")
        for fault in _pattern_faults(text) if text is not None else ():
            yield f"{rule.address}: event_pattern: {fault} ({_PATTERNS})"


def unknown_events(state: State) -> Iterator[str]:
    """Patterns for names of events that their source does not publish: they match nothing."""
    for rule in state.of("aws_cloudwatch_event_rule"):
        pattern = _read(rule.values.get("event_pattern"))
        known = [_NAMES[one] for one in pattern.get("source", ()) if str(one) in _NAMES]
        for name in _named(pattern) if known else ():
            if not any(name in names for names in known):
                yield (
                    f"{rule.address}: event_pattern: {name!r} is published by none of "
                    f"{', '.join(pattern['source'])} ({_PUBLISHED})"
                )


def refused_transformers(state: State) -> Iterator[str]:
    """Templates with names that no path gives, paths that are none, texts that are no JSON."""
    for target in state.of("aws_cloudwatch_event_target"):
        for block in target.values.get("input_transformer") or ():
            for fault in _transformer_faults(block):
                yield f"{target.address}: input_transformer: {fault} ({_TRANSFORMERS})"


def roles_of_targets(state: State) -> Iterator[str]:
    """Targets with a policy of their own that are given a role as well."""
    for target in state.of("aws_cloudwatch_event_target"):
        arn, role = str(target.values.get("arn")), target.values.get("role_arn")
        if role and re.match(r"arn:[\w-]+:(?:sns|sqs|lambda|logs):", arn):
            yield f"{target.address}: role_arn: {arn} has a policy of its own ({_TARGETS})"


def refused_redrives(state: State) -> Iterator[str]:
    """Redrive policies that SQS refuses."""
    for queue in state.of("aws_sqs_queue", "aws_sqs_queue_redrive_allow_policy"):
        for attribute, faults in (
            ("redrive_policy", _redrive_faults),
            ("redrive_allow_policy", _allow_faults),
        ):
            text = queue.values.get(attribute)
            # The mocks' own is no JSON object.
            if isinstance(text, str) and text.startswith("{"):
                for fault in faults(json.loads(text)):
                    yield f"{queue.address}: {attribute}: {fault} ({_REDRIVES})"


def _read(text: Any) -> Mapping[str, Any]:
    """Empty where it cannot be read: refused_patterns names it."""
    try:
        pattern = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return pattern if isinstance(pattern, Mapping) else {}


def _named(pattern: Mapping[str, Any]) -> list[str]:
    """The texts that `detail-type` may be, in alternatives too."""
    every = [pattern, *(one for one in pattern.get("$or", ()) if isinstance(one, Mapping))]
    return [name for one in every for name in one.get("detail-type", ()) if isinstance(name, str)]


def _pattern_faults(text: Any) -> Iterator[str]:
    try:
        pattern = json.loads(text)
    except (TypeError, ValueError):
        yield f"{text!r} is no JSON"
        return
    if not isinstance(pattern, Mapping):
        yield "it is no JSON object"
        return
    if len(text) > _LONGEST_PATTERN:
        yield f"{len(text)} characters, at most {_LONGEST_PATTERN} are allowed"
    for name in pattern.keys() - _FIELDS:
        yield f"no event has a field {name!r} at its top"
    yield from _object_faults(pattern, "")


def _object_faults(pattern: Mapping[str, Any], at: str) -> Iterator[str]:
    if not pattern:
        yield f"{at or 'it'} is an empty object"
    for name, value in pattern.items():
        here = f"{at}.{name}".lstrip(".")
        if name == "$or":
            yield from _or_faults(value, here)
        elif isinstance(value, Mapping):
            yield from _object_faults(value, here)
        elif isinstance(value, list):
            yield from _list_faults(value, here)
        else:
            yield f"{here} is {value!r}: values stand in a list"


def _or_faults(value: Any, here: str) -> Iterator[str]:
    if not isinstance(value, list) or len(value) < 2:
        yield f"{here} needs a list of two objects or more"
        return
    for one in value:
        if isinstance(one, Mapping):
            yield from _object_faults(one, here)
        else:
            yield f"{here} has {one!r}, which is no object"


def _list_faults(values: list[Any], here: str) -> Iterator[str]:
    if not values:
        yield f"{here} is an empty list: it matches nothing"
    for one in values:
        if isinstance(one, list):
            yield f"{here} has a list within a list"
        elif isinstance(one, Mapping):
            yield from _filter_faults(one, here)


def _filter_faults(one: Mapping[str, Any], here: str) -> Iterator[str]:
    if len(one) != 1 or not one.keys() <= _FILTERS:
        yield f"{here} has {one!r}: a filter has one of {', '.join(sorted(_FILTERS))}"
        return
    [(name, value)] = one.items()
    if name == "exists" and not isinstance(value, bool):
        yield f"{here}: exists is true or false"
    if name in ("suffix", "wildcard") and not isinstance(value, str | Mapping):
        yield f"{here}: {name} is a text"
    if name == "numeric":
        signs, numbers = value[::2], value[1::2]
        if not set(signs) <= _COMPARISONS or not all(isinstance(n, int | float) for n in numbers):
            yield f"{here}: numeric is pairs of a sign and a number"


def _transformer_faults(block: Mapping[str, Any]) -> Iterator[str]:
    paths, template = block.get("input_paths") or {}, block.get("input_template") or ""
    for name, path in paths.items():
        if not _PATH.fullmatch(path):
            yield f"input_paths.{name} = {path!r} is no path such as $.detail.name"
        if name.lower().startswith("aws"):
            yield f"input_paths.{name}: names do not begin with AWS"
    used = set(_PLACEHOLDER.findall(template))
    for name in sorted(used - paths.keys() - _PREDEFINED):
        yield f"input_template has <{name}>, which input_paths does not name"
    for name in sorted(paths.keys() - used):
        yield f"input_paths.{name} is not used in input_template"
    if not _is_text_or_json(template):
        yield "input_template is neither JSON nor lines of texts in quotation marks"


def _is_text_or_json(template: str) -> bool:
    # A placeholder for a whole value stands without quotation marks, one within a text as it is.
    filled = re.sub(r"(?<=[:\[,\s])<[^<>]+>(?=\s*[,}\]])", "0", template)
    filled = _PLACEHOLDER.sub("x", filled)
    return _is_json(filled) or all(_is_json(line) for line in filled.splitlines() if line.strip())


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _redrive_faults(value: Mapping[str, Any]) -> Iterator[str]:
    if not str(value.get("deadLetterTargetArn", "")).startswith("arn:"):
        yield "deadLetterTargetArn is no ARN"
    if not 1 <= int(value.get("maxReceiveCount", 0)) <= 1_000:
        yield f"maxReceiveCount = {value.get('maxReceiveCount')} is not between 1 and 1000"


def _allow_faults(value: Mapping[str, Any]) -> Iterator[str]:
    permission, arns = value.get("redrivePermission"), value.get("sourceQueueArns", [])
    if permission not in ("allowAll", "denyAll", "byQueue"):
        yield f"redrivePermission = {permission!r} is not allowAll, denyAll or byQueue"
    if (permission == "byQueue") != bool(arns) or len(arns) > 10:
        yield "sourceQueueArns has one to ten ARNs with byQueue, and none without"

"""Patterns of events, targets, and dead letters."""

from __future__ import annotations

import json
from typing import Final

from tests.terraform.aws import events
from tests.terraform.planted.builders import QUEUE, TOPIC, Planted, one, rule, state, transformer

PLANTED: Final[list[Planted]] = [
    (
        events.unknown_events,
        state(rule({"source": ["headrace"], "detail-type": ["Drop Routed", "Drop Rooted"]})),
        "aws_cloudwatch_event_rule.it: event_pattern: 'Drop Rooted' is published by none of",
    ),
    (
        events.unknown_events,
        state(
            rule(
                {
                    "source": ["aws.s3"],
                    "$or": [{"detail-type": ["Object Made"]}, {"detail": {"a": ["b"]}}],
                }
            )
        ),
        "'Object Made' is published by none of aws.s3",
    ),
    (events.refused_patterns, state(rule("{")), "event_pattern: '{' is no JSON"),
    (events.refused_patterns, state(rule({"source": "headrace"})), "values stand in a list"),
    (events.refused_patterns, state(rule({"source": []})), "is an empty list"),
    (events.refused_patterns, state(rule({})), "is an empty object"),
    (
        events.refused_patterns,
        state(rule({"detailtype": ["x"]})),
        "no event has a field 'detailtype'",
    ),
    (events.refused_patterns, state(rule({"source": [{"prefixes": "a"}]})), "a filter has one of"),
    (events.refused_patterns, state(rule({"$or": [{"source": ["a"]}]})), "two objects or more"),
    (events.refused_patterns, state(rule({"source": [["a"]]})), "a list within a list"),
    (events.refused_patterns, state(rule({"source": ["x" * 2_048]})), "at most 2048"),
    (
        events.refused_patterns,
        state(rule({"detail": {"rows": [{"numeric": ["=>", 1]}]}})),
        "detail.rows: numeric is pairs",
    ),
    (events.refused_transformers, state(transformer({}, '"<what>"')), "<what>, which input_paths"),
    (
        events.refused_transformers,
        state(transformer({"what": "detail.x"}, '"<what>"')),
        "'detail.x' is no path",
    ),
    (
        events.refused_transformers,
        state(transformer({"a": "$.x", "b": "$.y"}, '"<a>"')),
        "input_paths.b is not used",
    ),
    (
        events.refused_transformers,
        state(transformer({"a": "$.x"}, "Drop <a> failed")),
        "neither JSON nor lines of texts",
    ),
    (
        events.roles_of_targets,
        state(one("aws_cloudwatch_event_target", arn=TOPIC, role_arn="arn:aws:iam::1:role/x")),
        "aws_cloudwatch_event_target.it: role_arn",
    ),
    (
        events.refused_redrives,
        state(
            one(
                "aws_sqs_queue",
                redrive_policy=json.dumps({"deadLetterTargetArn": QUEUE, "maxReceiveCount": 1_001}),
            )
        ),
        "maxReceiveCount = 1001 is not between 1 and 1000",
    ),
    (
        events.refused_redrives,
        state(
            one(
                "aws_sqs_queue_redrive_allow_policy",
                redrive_allow_policy=json.dumps({"redrivePermission": "byQueue"}),
            )
        ),
        "one to ten ARNs",
    ),
]

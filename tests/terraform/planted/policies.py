"""Policies."""

from __future__ import annotations

import json
from typing import Final

from tests.terraform.aws import policies
from tests.terraform.planted.builders import Planted, one, policy, role, state, topic

PLANTED: Final[list[Planted]] = [
    (
        policies.mismatched_s3_resources,
        state(role(Action="s3:GetObject", Resource="arn:aws:s3:::lake")),
        "aws_iam_role_policy.it: policy: statement : s3:GetObject is not on what",
    ),
    (
        policies.mismatched_s3_resources,
        state(role(Action="s3:ListBucketVersions", Resource="arn:aws:s3:::lake/*")),
        "s3:ListBucketVersions is not on what",
    ),
    (
        policies.unreadable_policies,
        state(one("aws_iam_role_policy", policy="{")),
        "aws_iam_role_policy.it: policy: '{' is no JSON",
    ),
    (policies.unreadable_policies, state(one("aws_iam_role_policy", policy="{}")), "no statement"),
    (
        policies.unknown_actions,
        state(role(Action="s3:ListObjectsV2")),
        "s3:ListObjectsV2 is no action",
    ),
    (policies.unknown_actions, state(role(Action="sqs:DeleteMessageBatch")), "is no action of IAM"),
    (policies.unknown_actions, state(role(Action="dynamodb:UpsertItem")), "Service Authorization"),
    (policies.unknown_actions, state(role(Action="dinamo:PutItem")), "dinamo:PutItem"),
    (policies.unknown_actions, state(role(Action=["s3:GetObject", "s3:Gett*"])), "s3:Gett*"),
    (policies.unknown_actions, state(role(Action="PutItem")), "PutItem is no action"),
    (policies.ungrammatical_policies, state(role(Effect="Permit")), "not Allow or Deny"),
    (policies.ungrammatical_policies, state(role(Sid="read it")), "letters and digits only"),
    (policies.ungrammatical_policies, state(role(Action=None)), "it has no Action"),
    (policies.ungrammatical_policies, state(role(Resource=None)), "needs a Resource"),
    (policies.ungrammatical_policies, state(role(Resource="bucket")), "'bucket' is neither * nor"),
    (policies.ungrammatical_policies, state(role(Principal="*")), "may have no Principal"),
    (
        policies.ungrammatical_policies,
        state(role(Condition={"StringLikes": {"aws:x": "1"}})),
        "'StringLikes' is no condition operator",
    ),
    (
        policies.ungrammatical_policies,
        state(role(Condition={"ArnLike": {"aws:SourceArn": []}})),
        "ArnLike aws:SourceArn has no value",
    ),
    (
        policies.ungrammatical_policies,
        state(role(Condition={"ArnEquals": {"aws:SourceArn": "rule"}})),
        "'rule' is no ARN",
    ),
    (policies.ungrammatical_policies, state(topic(Principal=None)), "needs a Principal"),
    (
        policies.ungrammatical_policies,
        state(topic(Principal={"Service": "events.aws.com"})),
        "'events.aws.com' is no service principal",
    ),
    (policies.ungrammatical_policies, state(topic(Action="sqs:SendMessage")), "out of the scope"),
    (policies.ungrammatical_policies, state(topic(Action="sns:*")), "SNS does not take sns:*"),
    (policies.ungrammatical_policies, state(topic(Resource="*")), "whose policy it is"),
    (
        policies.ungrammatical_policies,
        state(
            one(
                "aws_iam_role_policy",
                policy=json.dumps({"Statement": [json.loads(policy(Sid="A"))["Statement"][0]] * 2}),
            )
        ),
        "two statements have the Sid A",
    ),
    (
        policies.conditions_for_eventbridge,
        state(topic(Condition={"ArnEquals": {"aws:SourceArn": "arn:aws:events:r:1:rule/x"}})),
        "aws_sns_topic_policy.it: policy: statement : events.amazonaws.com under a Condition",
    ),
    (
        policies.oversized_policies,
        state(role(Resource=[f"arn:aws:s3:::{'b' * 120}{n}" for n in range(90)])),
        "at most 10240 are allowed (IAM user guide, IAM and STS quotas)",
    ),
    (
        policies.oversized_policies,
        state(*[role(Resource=[f"arn:aws:s3:::{n}" for n in range(50)]) for _ in range(3)]),
        "at most 10240",
    ),
    (
        policies.oversized_policies,
        state(
            one(
                "aws_iam_policy",
                policy=policy(Resource=[f"arn:aws:s3:::{'b' * 120}{n}" for n in range(50)]),
            )
        ),
        "at most 6144",
    ),
    (
        policies.characters_of_policies,
        state(role(Resource="arn:aws:s3:::☃")),
        "aws_iam_role_policy.it: policy: '☃'",
    ),
]

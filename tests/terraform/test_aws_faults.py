"""Each rule on what AWS refuses finds a planted fault, and names the place and the source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.terraform.aws import policies
from tests.terraform.aws.documents import mark
from tests.terraform.aws.rules import RULES, Rule
from tests.terraform.aws.state import DOCUMENT, Resource, State
from tests.terraform.planted import combinations, events, metrics, names, networks, services, values
from tests.terraform.planted import policies as planted_policies
from tests.terraform.planted.builders import (
    alarm,
    counting_alarm,
    one,
    role,
    rule,
    scaled,
    scaling_policy,
    state,
    subnet,
    task,
    topic,
    tracking,
    transformer,
)

PLANTED: Final = [
    *values.PLANTED,
    *names.PLANTED,
    *planted_policies.PLANTED,
    *events.PLANTED,
    *metrics.PLANTED,
    *services.PLANTED,
    *networks.PLANTED,
    *combinations.PLANTED,
]


@pytest.mark.parametrize(
    ("rule_", "planted", "message"),
    PLANTED,
    ids=[f"{rule_.__name__}-{message[:40]}" for rule_, _, message in PLANTED],
)
def test_planted_fault_is_found(rule_: Rule, planted: State, message: str) -> None:
    found = list(rule_(planted))
    assert any(message in finding for finding in found), found


def test_every_rule_has_a_planted_fault() -> None:
    assert {rule_.__name__ for rule_, _, _ in PLANTED} == {rule_.__name__ for rule_ in RULES}


def test_every_finding_names_resource_attribute_and_source() -> None:
    for finding in _findings():
        assert finding.startswith("aws_")
        assert finding.count(": ") >= 1, finding
        assert finding.endswith(")"), finding


def _findings() -> Iterator[str]:
    for rule_, planted, _ in PLANTED:
        yield from rule_(planted)


RIGHT: Final = [
    state(one("aws_security_group", name="tasks", description="a-Z 0-9 ._-:/()#,@[]+=&;{}!$*")),
    state(one("aws_lb", name="n" * 32, subnets=["a", "b"])),
    state(role(Action=["s3:GetObject", "s3:ListBucketVersions", "sqs:*", "kms:Decrypt"])),
    state(topic()),
    state(topic(Principal={"Service": "cloudwatch.amazonaws.com"}, Condition={
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:us-east-1:1:alarm:x"}})),
    state(rule({"source": ["headrace"], "$or": [{"detail": {"a": [True]}}, {"time": ["x"]}]})),
    state(rule({"detail": {"key": [{"prefix": "dev/"}, {"exists": False}]}})),
    state(transformer({"a": "$.detail.a"}, '"<a> failed"\n"at <aws.events.rule-name>"')),
    state(transformer({"a": "$.detail.a"}, '{"text": "<a>", "value": <a>}')),
    state(tracking("IF(FILL(running, REPEAT) > 0, -running * 2 ^ 0.5, AVG(METRICS()))")),
    state(counting_alarm("FILL(running, 0) < 1", evaluation_periods=3, datapoints_to_alarm=2)),
    # The documentation of this period has "between 15 and 63 days ago".
    state(counting_alarm("running", period_of_metric=300)),
    state(alarm(period=604_800)),
    state(alarm(period=10)),
    scaled(0, scaling_policy("TargetTrackingScaling"), scaling_policy("StepScaling")),
    state(task(stopTimeout=120, environment=[{"name": "A", "value": "1"}])),
    state(one("aws_vpc", cidr_block="10.0.0.0/16"), subnet("10.0.0.0/20")),
    state(one("aws_s3_bucket", bucket="headrace-lake.example")),
    state(one("aws_rds_cluster", master_username="headrace", database_name="head_race")),
    state(one("aws_sqs_queue", tags={"Name": "Grüße aus us-east-1 + more_things @ = : /"})),
]  # fmt: skip


@pytest.mark.parametrize("right", RIGHT, ids=[str(one.resources[0].type) for one in RIGHT])
def test_what_aws_takes_is_not_found(right: State) -> None:
    assert [finding for rule_ in RULES for finding in rule_(right)] == []


def test_document_of_a_state_is_read_with_its_sources() -> None:
    place = f"data.{DOCUMENT}"
    own = {"actions": ["s3:Nothing"], "resources": ["*"], "sid": "Own"}
    source = {"actions": ["s3:GetObject"], "resources": ["bucket"], "sid": "Source"}
    documents = (
        Resource(f"{place}.a[0]", DOCUMENT, {"statement": [source]}),
        Resource(
            f"{place}.b",
            DOCUMENT,
            {"statement": [own], "source_policy_documents": [mark(f"{place}.a")]},
        ),
    )
    policy_ = one("aws_iam_role_policy", policy=mark(f"{place}.b"))
    planted = State("planted", (policy_,), documents)
    assert "statement Own: s3:Nothing" in "".join(policies.unknown_actions(planted))
    assert "statement Source: Resource" in "".join(policies.ungrammatical_policies(planted))


def test_two_sources_with_one_sid_are_refused_as_the_provider_does() -> None:
    place = f"data.{DOCUMENT}"
    statement = {"actions": ["s3:GetObject"], "resources": ["*"], "sid": "Same"}
    documents = (
        *(Resource(f"{place}.{name}", DOCUMENT, {"statement": [statement]}) for name in "ab"),
        Resource(
            f"{place}.c",
            DOCUMENT,
            {"source_policy_documents": [mark(f"{place}.a"), mark(f"{place}.b")]},
        ),
    )
    policy_ = one("aws_iam_role_policy", policy=mark(f"{place}.c"))
    [found] = policies.unreadable_policies(State("planted", (policy_,), documents))
    assert "duplicate Sid Same in source_policy_documents" in found

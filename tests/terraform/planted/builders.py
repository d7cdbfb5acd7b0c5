"""Resources and states, as short as a fault can be written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tests.terraform.aws.rules import Rule
from tests.terraform.aws.state import Resource, State

Planted = tuple[Rule, State, str]
"""A rule, a state with a fault, and what the finding has in it."""

TOPIC: Final = "arn:aws:sns:us-east-1:111122223333:alerts"
QUEUE: Final = "arn:aws:sqs:us-east-1:111122223333:inbox"


def one(type_: str, /, **values: Any) -> Resource:
    """A resource whose values were all given."""
    return Resource(f"{type_}.it", type_, values)


def state(*resources: Resource) -> State:
    return State("planted", resources)


def policy(**statement: Any) -> str:
    whole = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"} | statement
    without_none = {name: value for name, value in whole.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [without_none]})


def role(**statement: Any) -> Resource:
    return one("aws_iam_role_policy", name="any", role="any", policy=policy(**statement))


def topic(**statement: Any) -> Resource:
    usual = {
        "Action": "sns:Publish",
        "Resource": TOPIC,
        "Principal": {"Service": "events.amazonaws.com"},
    }
    return one("aws_sns_topic_policy", arn=TOPIC, policy=policy(**usual | statement))


def rule(pattern: object) -> Resource:
    text = pattern if isinstance(pattern, str) else json.dumps(pattern)
    return one("aws_cloudwatch_event_rule", name="any", event_pattern=text)


def transformer(paths: Mapping[str, str], template: str) -> Resource:
    block = {"input_paths": paths, "input_template": template}
    return one("aws_cloudwatch_event_target", arn=TOPIC, input_transformer=[block])


def alarm(**values: Any) -> Resource:
    usual = {
        "alarm_name": "any",
        "namespace": "AWS/SQS",
        "metric_name": "ApproximateNumberOfMessagesVisible",
        "dimensions": {"QueueName": "any"},
        "period": 60,
        "evaluation_periods": 1,
    }
    return one("aws_cloudwatch_metric_alarm", **usual | values)


def tracking(expression: str, **running: Any) -> Resource:
    count = {
        "namespace": "ECS/ContainerInsights",
        "metric_name": "RunningTaskCount",
        "dimensions": [
            {"name": "ClusterName", "value": "c"},
            {"name": "ServiceName", "value": "s"},
        ],
    } | running
    specification = {
        "metrics": [
            {"id": "running", "metric_stat": [{"metric": [count], "stat": "Average"}]},
            {"id": "result", "expression": expression, "return_data": True},
        ]
    }
    block = {"customized_metric_specification": [specification]}
    return one("aws_appautoscaling_policy", target_tracking_scaling_policy_configuration=[block])


def counting_alarm(expression: str, period_of_metric: int = 60, **values: Any) -> Resource:
    """An alarm on a formula with `running`, the count of a service's tasks."""
    count = {
        "namespace": "ECS/ContainerInsights",
        "metric_name": "RunningTaskCount",
        "dimensions": {"ClusterName": "c", "ServiceName": "s"},
        "period": period_of_metric,
    }
    queries = [
        {"id": "running", "metric": [count]},
        {"id": "result", "expression": expression, "return_data": True},
    ]
    return alarm(metric_name=None, dimensions=None, metric_query=queries, period=None, **values)


def dashboard(*widgets: Mapping[str, Any]) -> Resource:
    return one("aws_cloudwatch_dashboard", dashboard_body=json.dumps({"widgets": widgets}))


def widget(*rows: list[Any], **values: Any) -> Mapping[str, Any]:
    properties = {"region": "us-east-1", "metrics": rows} | values.pop("properties", {})
    return {"type": "metric", "properties": properties} | values


def task(**container: Any) -> Resource:
    usual = {"name": "loader", "image": "registry/headrace-loader:1.2.3", "essential": True}
    return one(
        "aws_ecs_task_definition",
        requires_compatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        container_definitions=json.dumps([usual | container]),
    )


def scaled(minimum: int, *policies_: Resource, maximum: int = 4) -> State:
    target = one(
        "aws_appautoscaling_target",
        resource_id="service/c/s",
        min_capacity=minimum,
        max_capacity=maximum,
    )
    return state(target, *policies_)


def scaling_policy(type_: str, **values: Any) -> Resource:
    return one("aws_appautoscaling_policy", resource_id="service/c/s", policy_type=type_, **values)


def subnet(block: str, name: str = "one") -> Resource:
    return Resource(f"aws_subnet.{name}", "aws_subnet", {"id": name, "cidr_block": block})

"""Values that are right alone and refused together."""

from __future__ import annotations

from typing import Any, Final

from tests.terraform.aws import combinations
from tests.terraform.aws.state import State
from tests.terraform.planted.builders import Planted, one, state


def aurora(**values: Any) -> State:
    capacity = {"min_capacity": 0.5, "max_capacity": 8} | values.pop("capacity", {})
    return state(
        one("aws_rds_cluster", serverlessv2_scaling_configuration=[capacity], **values),
    )


def web_acl(*rules: dict[str, Any]) -> State:
    return state(one("aws_wafv2_web_acl", rule=list(rules)))


PLANTED: Final[list[Planted]] = [
    (
        combinations.tables_with_other_attributes,
        state(one("aws_dynamodb_table", hash_key="id", attribute=[{"name": "id"}, {"name": "x"}])),
        "aws_dynamodb_table.it: attribute: x is in keys or definitions only",
    ),
    (
        combinations.tables_with_other_attributes,
        state(
            one(
                "aws_dynamodb_table",
                hash_key="id",
                attribute=[{"name": "id"}],
                global_secondary_index=[{"hash_key": "table_pk"}],
            )
        ),
        "attribute: table_pk is in keys",
    ),
    (
        combinations.slow_health_checks,
        state(one("aws_lb_target_group", health_check=[{"timeout": 15, "interval": 15}])),
        "aws_lb_target_group.it: health_check: timeout 15 s of interval 15 s",
    ),
    (
        combinations.mismatched_listeners,
        state(one("aws_lb_listener", protocol="HTTPS")),
        "aws_lb_listener.it: certificate_arn: HTTPS needs one",
    ),
    (
        combinations.mismatched_listeners,
        state(one("aws_lb_listener", protocol="HTTP", certificate_arn="arn:aws:acm:x")),
        "HTTP takes none",
    ),
    (
        combinations.mismatched_web_acl_rules,
        web_acl(
            {"name": "a", "priority": 1, "action": [{"block": [{}]}]},
            {"name": "b", "priority": 1, "action": [{"block": [{}]}]},
        ),
        "aws_wafv2_web_acl.it: rule: priority 1 is given 2 times",
    ),
    (
        combinations.mismatched_web_acl_rules,
        web_acl(
            {
                "name": "a",
                "action": [{"block": [{}]}],
                "statement": [{"managed_rule_group_statement": [{"name": "x"}]}],
            }
        ),
        "rule a: it needs override_action alone",
    ),
    (
        combinations.impossible_deployments,
        state(
            one(
                "aws_ecs_service",
                deployment_minimum_healthy_percent=100,
                deployment_maximum_percent=100,
            )
        ),
        "aws_ecs_service.it: deployment_maximum_percent: 100 is not above",
    ),
    (
        combinations.impossible_deployments,
        state(one("aws_ecs_service", health_check_grace_period_seconds=60)),
        "without a load balancer",
    ),
    (combinations.impossible_clusters, aurora(capacity={"min_capacity": 9}), "9 to 8 ACUs"),
    (combinations.impossible_clusters, aurora(capacity={"max_capacity": 1.3}), "in steps of 0.5"),
    (
        combinations.impossible_clusters,
        aurora(capacity={"seconds_until_auto_pause": 300}),
        "it never pauses",
    ),
    (
        combinations.impossible_clusters,
        aurora(skip_final_snapshot=False),
        "aws_rds_cluster.it: final_snapshot_identifier is missing",
    ),
    (
        combinations.impossible_clusters,
        state(
            one(
                "aws_rds_cluster",
                engine="aurora-postgresql",
                engine_version="18",
                db_cluster_parameter_group_name="warehouse",
            ),
            one("aws_rds_cluster_parameter_group", name="warehouse", family="aurora-postgresql17"),
        ),
        "family: the cluster's is aurora-postgresql18",
    ),
    (
        combinations.unknown_endpoints,
        state(
            one(
                "aws_vpc_endpoint",
                vpc_endpoint_type="Interface",
                service_name="com.amazonaws.us-east-1.eventbridge",
            )
        ),
        "'com.amazonaws.us-east-1.eventbridge' has no endpoint of the kind Interface",
    ),
    (
        combinations.unknown_endpoints,
        state(
            one(
                "aws_vpc_endpoint",
                vpc_endpoint_type="Gateway",
                service_name="com.amazonaws.us-east-1.sqs",
            )
        ),
        "no endpoint of the kind Gateway",
    ),
]

"""Values that are right alone and refused together. Terraform's mocks do not run the provider's own
comparisons of arguments, and the emulator has none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.terraform.aws.state import Resource, State

_DYNAMODB: Final = "DynamoDB API reference, CreateTable: AttributeDefinitions are those of keys"
_TARGETS: Final = "ELB API reference, CreateTargetGroup: the timeout is shorter than the interval"
_LISTENERS: Final = "ELB API reference, CreateListener"
_WAF: Final = "WAF API reference, Rule"
_ECS: Final = "ECS API reference, CreateService and DeploymentConfiguration"
_AURORA: Final = "RDS API reference, ServerlessV2ScalingConfiguration and CreateDBCluster"
_ENDPOINTS: Final = "PrivateLink guide, AWS services that integrate with AWS PrivateLink"

_MOST_INDEXES: Final = 20
_GATEWAYS: Final = frozenset({"s3", "dynamodb"})
_INTERFACES: Final = frozenset(
    {"sqs", "sns", "events", "secretsmanager", "ecr.api", "ecr.dkr", "logs", "monitoring", "kms"}
    | {"ecs", "ecs-agent", "ecs-telemetry", "sts", "ssm", "ssmmessages", "s3", "dynamodb", "rds"}
    | {
        "rds-data",
        "redshift",
        "redshift-data",
        "application-autoscaling",
        "glue",
        "athena",
        "states",
    }
)
_SERVICE: Final = re.compile(r"com\.amazonaws\.[a-z0-9-]+\.(?P<name>.+)")


def tables_with_other_attributes(state: State) -> Iterator[str]:
    """DynamoDB tables that define an attribute of no key, or a key without definition."""
    for table in state.of("aws_dynamodb_table"):
        indexes = [
            *(table.values.get("global_secondary_index") or ()),
            *(table.values.get("local_secondary_index") or ()),
        ]
        keys = {
            one.get(name) for one in (table.values, *indexes) for name in ("hash_key", "range_key")
        }
        defined = {one["name"] for one in table.values.get("attribute") or ()}
        wanted = {key for key in keys if key}
        if wanted != defined:
            names = ", ".join(sorted(wanted ^ defined))
            place = f"{table.address}: attribute"
            yield f"{place}: {names} is in keys or definitions only ({_DYNAMODB})"
        if len(indexes) > _MOST_INDEXES:
            place = f"{table.address}: global_secondary_index"
            yield f"{place}: more than {_MOST_INDEXES} ({_DYNAMODB})"


def slow_health_checks(state: State) -> Iterator[str]:
    """Health checks of a load balancer that take as long as their interval, or longer."""
    for group in state.of("aws_lb_target_group"):
        for block in group.values.get("health_check") or ():
            timeout, interval = block.get("timeout") or 5, block.get("interval") or 30
            if timeout >= interval:
                yield (
                    f"{group.address}: health_check: timeout {timeout} s of interval {interval} s "
                    f"({_TARGETS})"
                )


def mismatched_listeners(state: State) -> Iterator[str]:
    """Listeners by TLS without a certificate, or with one and without TLS."""
    for listener in state.of("aws_lb_listener"):
        secure = listener.values.get("protocol") in ("HTTPS", "TLS")
        if secure != bool(listener.values.get("certificate_arn")):
            yield (
                f"{listener.address}: certificate_arn: {listener.values.get('protocol')} "
                f"{'needs one' if secure else 'takes none'} ({_LISTENERS})"
            )


def mismatched_web_acl_rules(state: State) -> Iterator[str]:
    """Rules of a web ACL with one priority or name twice, or with the action of another kind."""
    for acl in state.of("aws_wafv2_web_acl"):
        rules = acl.values.get("rule") or ()
        for name in ("priority", "name"):
            for value, times in Counter(one.get(name) for one in rules).items():
                if times > 1 and value is not None:
                    yield f"{acl.address}: rule: {name} {value} is given {times} times ({_WAF})"
        for rule in rules:
            group = any(
                statement.get("managed_rule_group_statement")
                or statement.get("rule_group_reference_statement")
                for statement in rule.get("statement") or ()
            )
            if bool(rule.get("override_action")) != group or bool(rule.get("action")) == group:
                wanted = "override_action" if group else "action"
                yield f"{acl.address}: rule {rule.get('name')}: it needs {wanted} alone ({_WAF})"


def impossible_deployments(state: State) -> Iterator[str]:
    """ECS services whose deployments cannot move, and grace periods without a load balancer."""
    for service in state.of("aws_ecs_service"):
        low = service.values.get("deployment_minimum_healthy_percent")
        high = service.values.get("deployment_maximum_percent")
        if low is not None and high is not None and high <= low:
            yield (
                f"{service.address}: deployment_maximum_percent: {high} is not above the minimum "
                f"{low}: no task can be replaced ({_ECS})"
            )
        grace = service.values.get("health_check_grace_period_seconds")
        if grace and not service.values.get("load_balancer"):
            yield (
                f"{service.address}: health_check_grace_period_seconds: without a load balancer "
                f"({_ECS})"
            )


def impossible_clusters(state: State) -> Iterator[str]:
    """Aurora clusters of a capacity that there is not, or without a name for the last snapshot."""
    for cluster in state.of("aws_rds_cluster"):
        for block in cluster.values.get("serverlessv2_scaling_configuration") or ():
            for fault in _capacity_faults(block):
                yield f"{cluster.address}: serverlessv2_scaling_configuration: {fault} ({_AURORA})"
        kept = cluster.values.get("skip_final_snapshot") is False
        if kept and not cluster.values.get("final_snapshot_identifier"):
            yield f"{cluster.address}: final_snapshot_identifier is missing ({_AURORA})"
        yield from _other_family(state, cluster)


def unknown_endpoints(state: State) -> Iterator[str]:
    """Endpoints of services that have none of their kind."""
    for endpoint in state.of("aws_vpc_endpoint"):
        kind = endpoint.values.get("vpc_endpoint_type")
        known = _GATEWAYS if kind == "Gateway" else _INTERFACES
        found = _SERVICE.fullmatch(str(endpoint.values.get("service_name")))
        if found is None or found["name"] not in known:
            yield (
                f"{endpoint.address}: service_name: {endpoint.values.get('service_name')!r} has no "
                f"endpoint of the kind {kind} ({_ENDPOINTS})"
            )


def _capacity_faults(block: Mapping[str, Any]) -> Iterator[str]:
    low, high = block["min_capacity"], block["max_capacity"]
    if low > high or not 0 <= low <= 256 or not 1 <= high <= 256:
        yield f"{low} to {high} ACUs: the least is 0, the most 1 to 256"
    if (low * 2) % 1 or (high * 2) % 1:
        yield f"{low} to {high} ACUs: in steps of 0.5"
    if block.get("seconds_until_auto_pause") and low > 0:
        yield f"seconds_until_auto_pause: with a minimum of {low} ACUs it never pauses"


def _other_family(state: State, cluster: Resource) -> Iterator[str]:
    version = str(cluster.values.get("engine_version") or "").split(".")[0]
    wanted = f"{cluster.values.get('engine')}{version}"
    for group in state.of("aws_rds_cluster_parameter_group"):
        named = cluster.values.get("db_cluster_parameter_group_name")
        if group.values.get("name") == named and group.values.get("family") != wanted:
            yield f"{group.address}: family: the cluster's is {wanted} ({_AURORA})"

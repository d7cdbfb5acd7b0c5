"""Services and what scales them: what AWS refuses, and what it takes and never does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.terraform.aws.state import Resource, State

_TRACKING: Final = (
    "Application Auto Scaling user guide, How target tracking works: it multiplies the present "
    "capacity"
)
_STEPS: Final = "Application Auto Scaling user guide, Step scaling policies"
_DEPENDS: Final = (
    "VPC endpoints take minutes; the ECS circuit breaker ends a deployment at 3 failures"
)
_MINOR: Final = "RDS user guide: a minor version cannot be lowered; AWS raises it by itself"
_CLUSTER: Final = "aws_rds_cluster"


def stuck_at_zero(state: State) -> Iterator[str]:
    """Targets that may go to zero tasks, and have no policy that can leave it."""
    for target in state.of("aws_appautoscaling_target"):
        kinds = {one.values.get("policy_type") for one in _policies(state, target)}
        if target.values.get("min_capacity") == 0 and kinds == {"TargetTrackingScaling"}:
            yield (
                f"{target.address}: min_capacity: target tracking alone never leaves zero "
                f"({_TRACKING})"
            )


def exact_steps(state: State) -> Iterator[str]:
    """Steps to an exact number beside target tracking: they may take tasks away that it added."""
    for target in state.of("aws_appautoscaling_target"):
        policies = _policies(state, target)
        kinds = {one.values.get("policy_type") for one in policies}
        for policy in policies if "TargetTrackingScaling" in kinds else ():
            for block in policy.values.get("step_scaling_policy_configuration") or ():
                if block.get("adjustment_type") == "ExactCapacity":
                    yield (
                        f"{policy.address}: adjustment_type: ExactCapacity beside target tracking "
                        f"may take running tasks away ({_STEPS})"
                    )


def limits_of_targets(state: State) -> Iterator[str]:
    """Targets whose minimum is above their maximum."""
    for target in state.of("aws_appautoscaling_target"):
        low, high = target.values["min_capacity"], target.values["max_capacity"]
        if low > high:
            yield f"{target.address}: min_capacity: {low}, more than max_capacity {high} ({_STEPS})"


def services_before_their_network(state: State) -> Iterator[str]:
    """Services that may start before the endpoints, routes and rules that their tasks need."""
    for service in state.of("aws_ecs_service"):
        for address in sorted(_needed(state, service) - service.depends_on):
            yield f"{service.address}: depends_on: {address} is not waited for ({_DEPENDS})"


def pinned_minor_versions(state: State) -> Iterator[str]:
    """Minor versions that are named where AWS raises them: the next apply would lower them."""
    clusters = {str(one.values.get("id")): one for one in state.of(_CLUSTER)}
    for instance in state.of("aws_rds_cluster_instance"):
        cluster = clusters.get(str(instance.values.get("cluster_identifier")))
        version = str(cluster.values.get("engine_version")) if cluster else ""
        if instance.values.get("auto_minor_version_upgrade") and "." in version:
            yield (
                f"{instance.address}: auto_minor_version_upgrade: with engine_version {version!r} "
                f"a later apply would be a downgrade ({_MINOR})"
            )


def _needed(state: State, service: Resource) -> set[str]:
    """Blocks of what carries the packets of a service's tasks."""
    blocks = service.values.get("network_configuration") or ()
    subnets = {one for block in blocks for one in block["subnets"]}
    groups = {one for block in blocks for one in block["security_groups"]}
    ways = [
        one
        for one in state.of("aws_route_table_association")
        if one.values.get("subnet_id") in subnets
    ]
    tables = {one.values.get("route_table_id") for one in ways}
    found = ways + [
        one
        for one in state.of("aws_vpc_endpoint")
        if subnets & set(one.values.get("subnet_ids") or ())
        or tables & set(one.values.get("route_table_ids") or ())
    ]
    found += [one for one in state.of("aws_route") if one.values.get("route_table_id") in tables]
    found += [
        one
        for one in state.of("aws_vpc_security_group_egress_rule")
        if one.values.get("security_group_id") in groups
    ]
    return {one.plain_address for one in found}


def _policies(state: State, target: Resource) -> list[Resource]:
    return [
        one
        for one in state.of("aws_appautoscaling_policy")
        if one.values.get("resource_id") == target.values.get("resource_id")
    ]

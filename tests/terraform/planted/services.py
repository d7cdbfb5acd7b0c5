"""Services, their scaling, their tasks, and Aurora."""

from __future__ import annotations

from typing import Final

from tests.terraform.aws import scaling, tasks
from tests.terraform.aws.state import Resource
from tests.terraform.planted.builders import Planted, one, scaled, scaling_policy, state, task

SERVED: Final = 443

PLANTED: Final[list[Planted]] = [
    (
        scaling.stuck_at_zero,
        scaled(0, scaling_policy("TargetTrackingScaling")),
        "aws_appautoscaling_target.it: min_capacity: target tracking alone never leaves zero",
    ),
    (
        scaling.exact_steps,
        scaled(
            0,
            scaling_policy("TargetTrackingScaling"),
            scaling_policy(
                "StepScaling",
                step_scaling_policy_configuration=[{"adjustment_type": "ExactCapacity"}],
            ),
        ),
        "aws_appautoscaling_policy.it: adjustment_type",
    ),
    (scaling.limits_of_targets, scaled(5), "min_capacity: 5, more than max_capacity 4"),
    (
        scaling.services_before_their_network,
        state(
            one(
                "aws_ecs_service",
                network_configuration=[{"subnets": ["one"], "security_groups": ["g"]}],
            ),
            one("aws_route_table_association", subnet_id="one", route_table_id="table"),
            one("aws_route", route_table_id="table"),
        ),
        "aws_route.it is not waited for",
    ),
    (
        scaling.services_before_their_network,
        state(
            one(
                "aws_ecs_service",
                network_configuration=[{"subnets": ["one"], "security_groups": ["g"]}],
            ),
            one("aws_vpc_endpoint", subnet_ids=["one"]),
        ),
        "aws_ecs_service.it: depends_on: aws_vpc_endpoint.it is not waited for",
    ),
    (
        scaling.services_before_their_network,
        state(
            one(
                "aws_ecs_service",
                network_configuration=[{"subnets": ["one"], "security_groups": ["g"]}],
            ),
            one("aws_vpc_security_group_egress_rule", security_group_id="g"),
        ),
        "aws_vpc_security_group_egress_rule.it is not waited for",
    ),
    (
        scaling.pinned_minor_versions,
        state(
            one("aws_rds_cluster", id="c", engine_version="17.5"),
            one(
                "aws_rds_cluster_instance", cluster_identifier="c", auto_minor_version_upgrade=True
            ),
        ),
        "aws_rds_cluster_instance.it: auto_minor_version_upgrade",
    ),
    (
        tasks.unknown_sizes,
        state(
            one(
                "aws_ecs_task_definition",
                requires_compatibilities=["FARGATE"],
                cpu="256",
                memory="4096",
            )
        ),
        "memory: 4096 MiB with 256 CPU units; 512, 1024, 2048 (botocore",
    ),
    (tasks.refused_containers, state(task(essential=False)), "no container is essential"),
    (tasks.refused_containers, state(task(stopTimeout=121)), "more than 120 s on Fargate"),
    (tasks.refused_containers, state(task(stopTimeout="120")), "stopTimeout"),
    (tasks.refused_containers, state(task(readOnly=True)), "Unknown parameter"),
    (tasks.refused_containers, state(task(name="a b")), "containerDefinitions.name"),
    (tasks.refused_containers, state(task(image="Registry/Headrace:1")), "no name of an image"),
    (
        tasks.refused_containers,
        state(task(healthCheck={"command": ["python"], "interval": 30})),
        "begins with CMD",
    ),
    (
        tasks.refused_containers,
        state(task(healthCheck={"command": ["CMD", "x"], "interval": 301})),
        "healthCheck.interval: 301 is not between 5 and 300",
    ),
    (
        tasks.refused_containers,
        state(task(environment=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])),
        "A is given twice",
    ),
    (
        tasks.refused_containers,
        state(task(secrets=[{"name": "S", "valueFrom": "secret"}])),
        "'secret' is no ARN",
    ),
    (
        tasks.refused_containers,
        state(task(mountPoints=[{"sourceVolume": "scratch", "containerPath": "/tmp"}])),
        "there is no volume 'scratch'",
    ),
    (
        tasks.refused_containers,
        state(task(portMappings=[{"containerPort": 80, "hostPort": 8080}])),
        "the same port",
    ),
    (
        tasks.refused_containers,
        state(task(logConfiguration={"logDriver": "awslogs", "options": {}})),
        "awslogs-group is missing",
    ),
    (
        tasks.unbound_containers,
        state(
            Resource("aws_ecs_task_definition.it", "aws_ecs_task_definition", {"arn": "t"}),
            one(
                "aws_ecs_service",
                task_definition="t",
                load_balancer=[{"container_name": "api", "container_port": SERVED}],
            ),
        ),
        "its task has no ('api', 443)",
    ),
]

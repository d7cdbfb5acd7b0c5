"""Values that AWS's API refuses."""

from __future__ import annotations

from typing import Final

from tests.terraform.aws import attributes
from tests.terraform.planted.builders import Planted, one, state

PLANTED: Final[list[Planted]] = [
    (attributes.unknown_to_the_rules, state(one("aws_new_thing")), "no entry in MEMBERS"),
    (
        attributes.unknown_to_the_rules,
        state(one("aws_sqs_queue", weight=3)),
        "aws_sqs_queue.it: weight = 3: no member of sqs:CreateQueue",
    ),
    (
        attributes.refused_values,
        state(one("aws_security_group", description="The API's tasks")),
        """aws_security_group.it: description: "The API's tasks" has "'";""",
    ),
    (
        attributes.refused_values,
        state(one("aws_security_group", description="é")),
        "(botocore: ec2 CreateSecurityGroup.Description)",
    ),
    (
        attributes.refused_values,
        state(one("aws_vpc_security_group_ingress_rule", description="it's")),
        "UserIdGroupPairs.Description",
    ),
    (
        attributes.refused_values,
        state(one("aws_security_group", name="sg-tasks")),
        "'sg-tasks' begins with sg-",
    ),
    (
        attributes.refused_values,
        state(one("aws_security_group", description="x" * 256)),
        "has 256 characters, at most 255",
    ),
    (
        attributes.refused_values,
        state(one("aws_lb", name="n" * 33)),
        "has 33 characters, at most 32 are allowed (botocore: elbv2 CreateLoadBalancer.Name)",
    ),
    (attributes.refused_values, state(one("aws_lb", name="internal-api")), "begins with internal-"),
    (attributes.refused_values, state(one("aws_lb", name="api-")), "ends with -"),
    (attributes.refused_values, state(one("aws_lb", name="api_x")), "letters, digits and hyphens"),
    (
        attributes.refused_values,
        state(one("aws_lb_target_group", name="n" * 33)),
        "elbv2 CreateTargetGroup.Name",
    ),
    (
        attributes.refused_values,
        state(one("aws_lb_target_group", health_check=[{"interval": 301}])),
        "301 is not between 5 and 300",
    ),
    (
        attributes.refused_values,
        state(one("aws_lb_target_group", deregistration_delay="4000")),
        "4000 is not between 0 and 3600",
    ),
    (attributes.refused_values, state(one("aws_iam_role", name="n" * 65)), "at most 64"),
    (attributes.refused_values, state(one("aws_iam_role", name_prefix="n" * 39)), "at most 64"),
    (
        attributes.refused_values,
        state(one("aws_iam_role", description="with — dash")),
        "iam CreateRole.Description",
    ),
    (attributes.refused_values, state(one("aws_sqs_queue", name="n" * 81)), "at most 80"),
    (
        attributes.refused_values,
        state(one("aws_sqs_queue", name="a.b")),
        "sqs CreateQueue.QueueName",
    ),
    (
        attributes.refused_values,
        state(one("aws_sqs_queue", message_retention_seconds=1_209_601)),
        "not between 60 and 1209600 (botocore: sqs CreateQueue.Attributes: MessageRetentionPeriod)",
    ),
    (
        attributes.refused_values,
        state(one("aws_sqs_queue", receive_wait_time_seconds=21)),
        "21 is not between 0 and 20",
    ),
    (
        attributes.refused_values,
        state(one("aws_sqs_queue", visibility_timeout_seconds=43_201)),
        "not between 0 and 43200",
    ),
    (
        attributes.refused_values,
        state(one("aws_sqs_queue", kms_data_key_reuse_period_seconds=30)),
        "30 is not between 60 and 86400",
    ),
    (attributes.refused_values, state(one("aws_sns_topic", name="a b")), "sns CreateTopic.Name"),
    (
        attributes.refused_values,
        state(one("aws_cloudwatch_log_group", name="/headrace/it's")),
        "logs CreateLogGroup.logGroupName",
    ),
    (
        attributes.refused_values,
        state(one("aws_cloudwatch_log_group", retention_in_days=42)),
        "42 is not one of",
    ),
    (attributes.refused_values, state(one("aws_cloudwatch_log_group", name="n" * 513)), "512"),
    (
        attributes.refused_values,
        state(one("aws_cloudwatch_event_archive", name="n" * 49)),
        "at most 48",
    ),
    (
        attributes.refused_values,
        state(one("aws_cloudwatch_event_rule", name="n" * 65)),
        "at most 64",
    ),
    (
        attributes.refused_values,
        state(one("aws_cloudwatch_metric_alarm", alarm_description="x" * 1_025)),
        "at most 1024",
    ),
    (
        attributes.refused_values,
        state(one("aws_cloudwatch_metric_alarm", treat_missing_data="never")),
        "'never' is not one of breaching, ignore, missing, notBreaching",
    ),
    (
        attributes.refused_values,
        state(one("aws_cloudwatch_metric_alarm", comparison_operator="Greater")),
        "'Greater' is not one of",
    ),
    (
        attributes.refused_values,
        state(one("aws_cloudwatch_metric_alarm", metric_query=[{"id": "Up"}])),
        "does not begin with a lower-case letter",
    ),
    (
        attributes.refused_values,
        state(one("aws_cloudwatch_dashboard", dashboard_name="a.b")),
        "cloudwatch PutDashboard.DashboardName",
    ),
    (
        attributes.refused_values,
        state(one("aws_wafv2_web_acl", description="AWS's rules")),
        "wafv2 CreateWebACL.Description",
    ),
    (
        attributes.refused_values,
        state(one("aws_wafv2_web_acl", rule=[{"visibility_config": [{"metric_name": "a b"}]}])),
        "aws_wafv2_web_acl.it: rule[0].visibility_config[0].metric_name",
    ),
    (
        attributes.refused_values,
        state(one("aws_rds_cluster", cluster_identifier="a--b")),
        "has two hyphens in a row",
    ),
    (
        attributes.refused_values,
        state(one("aws_rds_cluster", master_username="n" * 17)),
        "at most 16",
    ),
    (
        attributes.refused_values,
        state(one("aws_rds_cluster", master_username="1user")),
        "does not begin with a letter",
    ),
    (
        attributes.refused_values,
        state(one("aws_rds_cluster", backup_retention_period=36)),
        "36 is not between 1 and 35",
    ),
    (
        attributes.refused_values,
        state(one("aws_rds_cluster", database_name="head-race")),
        "rds CreateDBCluster.DatabaseName",
    ),
    (
        attributes.refused_values,
        state(one("aws_ecs_task_definition", ephemeral_storage=[{"size_in_gib": 20}])),
        "20 is not between 21 and 200",
    ),
    (
        attributes.refused_values,
        state(one("aws_ecs_service", name="a b")),
        "ecs CreateService.serviceName",
    ),
    (
        attributes.refused_values,
        state(one("aws_ecs_service", propagate_tags="ALL")),
        "'ALL' is not one of",
    ),
    (
        attributes.refused_values,
        state(one("aws_secretsmanager_secret", name="it's")),
        "secretsmanager CreateSecret.Name",
    ),
    (
        attributes.refused_values,
        state(one("aws_ecr_repository", name="Headrace")),
        "ecr CreateRepository.repositoryName",
    ),
    (
        attributes.refused_values,
        state(one("aws_flow_log", traffic_type="DENY")),
        "'DENY' is not one of ACCEPT, ALL, REJECT",
    ),
]

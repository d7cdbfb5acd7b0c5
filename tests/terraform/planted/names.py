"""Names and tags."""

from __future__ import annotations

from typing import Final

from tests.terraform.aws import names, tags
from tests.terraform.aws.state import Resource, State
from tests.terraform.planted.builders import Planted, one, state

PLANTED: Final[list[Planted]] = [
    (
        names.refused_names,
        state(one("aws_sns_topic_subscription", protocol="mail")),
        "aws_sns_topic_subscription.it: protocol: 'mail' is not allowed (SNS API reference",
    ),
    (names.refused_names, state(one("aws_s3_bucket", bucket="Lake")), "'Lake' is no name"),
    (names.refused_names, state(one("aws_s3_bucket", bucket="n" * 64)), "bucket naming rules"),
    (names.refused_names, state(one("aws_s3_bucket", bucket="xn--lake")), "S3 user guide"),
    (names.refused_names, state(one("aws_s3_bucket", bucket="lake-s3alias")), "S3 user guide"),
    (names.refused_names, state(one("aws_s3_bucket", bucket="192.168.0.1")), "S3 user guide"),
    (names.refused_names, state(one("aws_s3_bucket", bucket="a..b")), "S3 user guide"),
    (names.refused_names, state(one("aws_dynamodb_table", name="ab")), "DynamoDB developer guide"),
    (names.refused_names, state(one("aws_cloudwatch_event_bus", name="default")), "CreateEventBus"),
    (names.refused_names, state(one("aws_cloudwatch_log_group", name="aws/x")), "not aws/"),
    (
        names.refused_names,
        state(one("aws_rds_cluster", master_username="user")),
        "master_username: 'user' is reserved (PostgreSQL, Appendix C",
    ),
    (
        names.refused_names,
        state(one("aws_rds_cluster", master_username="rdsadmin")),
        "'rdsadmin' is reserved",
    ),
    (names.refused_names, state(one("aws_rds_cluster", database_name="table")), "reserved"),
    (
        names.names_given_twice,
        State(
            "planted",
            tuple(
                Resource(
                    f"aws_ecs_service.{name}", "aws_ecs_service", {"cluster": "c", "name": "s"}
                )
                for name in ("scaled", "fixed")
            ),
        ),
        "aws_ecs_service.fixed: name: 's' is aws_ecs_service.scaled's too",
    ),
    (
        names.names_of_web_acl_logs,
        state(
            one("aws_wafv2_web_acl_logging_configuration"),
            one("aws_cloudwatch_log_group", name="/headrace/waf"),
        ),
        "aws-waf-logs-",
    ),
    (tags.refused_tags, state(one("aws_vpc", tags={"aws:x": "1"})), "begins with aws:"),
    (tags.refused_tags, state(one("aws_vpc", tags={"k" * 129: "1"})), "at most 128"),
    (tags.refused_tags, state(one("aws_vpc", tags={"Name": "v" * 257})), "at most 256"),
    (tags.refused_tags, state(one("aws_vpc", tags={"Name": "a(b)"})), "iam CreateRole.Tags.Value"),
    (
        tags.refused_tags,
        state(one("aws_vpc", tags={str(number): "x" for number in range(51)})),
        "51 tags, at most 50",
    ),
]

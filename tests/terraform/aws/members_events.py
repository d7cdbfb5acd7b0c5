"""The API behind events, queues, topics, logs and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.terraform.aws.mapping import DOCUMENT, Api, api

_QUEUE: Final = "sqs:CreateQueue:Attributes"

EVENTS: Final[Mapping[str, Api]] = {
    "aws_cloudwatch_dashboard": api("cloudwatch:PutDashboard"),
    "aws_cloudwatch_event_archive": api(
        "events:CreateArchive", members={"name": "events:CreateArchive:ArchiveName"}
    ),
    "aws_cloudwatch_event_bus": api("events:CreateEventBus"),
    "aws_cloudwatch_event_rule": api("events:PutRule"),
    "aws_cloudwatch_event_target": api(
        "events:PutTargets:Targets",
        "events:PutTargets",
        members={
            "target_id": "events:PutTargets:Targets.Id",
            "input_transformer.input_paths": (
                "events:PutTargets:Targets.InputTransformer.InputPathsMap"
            ),
        },
    ),
    "aws_cloudwatch_log_group": api(
        "logs:CreateLogGroup",
        "logs:PutRetentionPolicy",
        members={"name": "logs:CreateLogGroup:logGroupName"},
    ),
    "aws_cloudwatch_metric_alarm": api(
        "cloudwatch:PutMetricAlarm",
        members={
            "metric_query": "cloudwatch:PutMetricAlarm:Metrics",
            "metric_query.metric": "cloudwatch:PutMetricAlarm:Metrics.MetricStat",
            "metric_query.metric.namespace": (
                "cloudwatch:PutMetricAlarm:Metrics.MetricStat.Metric.Namespace"
            ),
            "metric_query.metric.metric_name": (
                "cloudwatch:PutMetricAlarm:Metrics.MetricStat.Metric.MetricName"
            ),
        },
        without={
            "dimensions": "a map, where the API has a list of pairs: metrics.py looks at it",
            "metric_query.metric.dimensions": "a map too: metrics.py looks at it",
        },
    ),
    "aws_sns_topic": api(
        "sns:CreateTopic", without={"kms_master_key_id": "a key's ARN, a value of Attributes"}
    ),
    "aws_sns_topic_policy": api(
        "sns:SetTopicAttributes",
        members={"arn": "sns:SetTopicAttributes:TopicArn"},
        without={"policy": DOCUMENT},
    ),
    "aws_sns_topic_subscription": api("sns:Subscribe"),
    "aws_sqs_queue": api(
        "sqs:CreateQueue",
        members={
            "name": "sqs:CreateQueue:QueueName",
            "delay_seconds": f"{_QUEUE}#DelaySeconds",
            "kms_data_key_reuse_period_seconds": f"{_QUEUE}#KmsDataKeyReusePeriodSeconds",
            "max_message_size": f"{_QUEUE}#MaximumMessageSize",
            "message_retention_seconds": f"{_QUEUE}#MessageRetentionPeriod",
            "receive_wait_time_seconds": f"{_QUEUE}#ReceiveMessageWaitTimeSeconds",
            "visibility_timeout_seconds": f"{_QUEUE}#VisibilityTimeout",
        },
        without={
            "kms_master_key_id": "a key's ARN, a value of Attributes",
            "redrive_policy": "JSON: queues.py looks at it",
            "redrive_allow_policy": "JSON: queues.py looks at it",
        },
    ),
    "aws_sqs_queue_policy": api("sqs:SetQueueAttributes", without={"policy": DOCUMENT}),
    "aws_sqs_queue_redrive_allow_policy": api(
        "sqs:SetQueueAttributes",
        without={"redrive_allow_policy": "JSON: queues.py looks at it"},
    ),
}

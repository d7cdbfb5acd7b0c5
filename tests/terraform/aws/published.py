"""Which metrics exist, and with which dimensions: AWS's own that we look at, and ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from headrace_shared.metrics import NAMESPACE, TABLE

_OF_AWS: Final[Mapping[tuple[str, str], tuple[frozenset[str], ...]]] = {
    # (namespace, metric) -> the sets of dimensions that AWS publishes it with.
    **{
        ("AWS/SQS", metric): (frozenset({"QueueName"}),)
        for metric in (
            *("ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesDelayed"),
            *("ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesVisible"),
            *("NumberOfEmptyReceives", "NumberOfMessagesDeleted", "NumberOfMessagesReceived"),
            *("NumberOfMessagesSent", "SentMessageSize"),
        )
    },
    **{
        ("AWS/DynamoDB", metric): (
            frozenset({"TableName"}),
            frozenset({"TableName", "GlobalSecondaryIndexName"}),
        )
        for metric in ("WriteThrottleEvents", "ReadThrottleEvents", "ConsumedWriteCapacityUnits")
    },
    **{
        ("ECS/ContainerInsights", metric): (frozenset({"ClusterName", "ServiceName"}),)
        for metric in ("RunningTaskCount", "DesiredTaskCount", "PendingTaskCount")
    },
    **{
        ("AWS/ECS", metric): (frozenset({"ClusterName", "ServiceName"}),)
        for metric in ("CPUUtilization", "MemoryUtilization")
    },
    **{
        ("AWS/Events", metric): (frozenset({"RuleName"}), frozenset({"EventBusName", "RuleName"}))
        for metric in ("FailedInvocations", "Invocations", "InvocationsSentToDlq")
    },
    **{
        ("AWS/ApplicationELB", metric): (
            frozenset({"LoadBalancer"}),
            frozenset({"TargetGroup", "LoadBalancer"}),
        )
        for metric in ("HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count", "UnHealthyHostCount")
    },
    **{
        ("AWS/RDS", metric): (
            frozenset({"DBClusterIdentifier"}),
            frozenset({"DBInstanceIdentifier"}),
        )
        for metric in ("ACUUtilization", "ServerlessDatabaseCapacity", "DatabaseConnections")
    },
}
_OF_AWS_SOURCE: Final = "each service's guide, CloudWatch metrics and dimensions"
_OURS: Final = "headrace_shared/metrics.py"


def published(namespace: str, metric: str) -> tuple[tuple[frozenset[str], ...], str]:
    """The sets of dimensions that a metric is published with, and where that is written."""
    if namespace != NAMESPACE:
        return _OF_AWS.get((namespace, metric), ()), _OF_AWS_SOURCE
    found = {
        frozenset(rule.dimensions) for rule in TABLE if metric in {one.name for one in rule.metrics}
    }
    return tuple(found), _OURS

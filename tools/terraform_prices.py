"""Unit prices of AWS, on demand, in us-east-1, in US dollars, and where each was read.

AWS's own pages load their figures by script, so each was read from a page that quotes it, on the
day below; AWS's page stands beside it for who wants the price of today.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

READ_ON: Final = "2026-11-21"


@dataclass(frozen=True)
class Price:
    """So many dollars for one unit.

    Args:
        read_at: the page that quotes it; None where none was found, and the figure is only what we
            know by heart.
    """

    usd: float
    unit: str
    aws: str
    read_at: str | None


_VANTAGE: Final = "https://www.vantage.sh/blog/fargate-pricing"
_SQS: Final = "https://cloudburn.io/blog/amazon-sqs-pricing"
_EVENTS: Final = (
    "https://www.factualminds.com/blog/amazon-eventbridge-pricing-events-pipes-schema-archive/"
)
_LOGS: Final = (
    "https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/"
)
_METRICS: Final = "https://signoz.io/guides/cloudwatch-pricing"
_DYNAMODB: Final = "https://airbyte.com/data-engineering-resources/dynamodb-pricing"
_S3: Final = (
    "https://devnotes.tech/understanding-aws-s3-pricing-a-complete-cost-breakdown-with-examples"
)
_ENDPOINTS: Final = "https://awsnegotiations.com/privatelink-cost-analysis.html"
_ALB: Final = "https://cal53.calculator.city/aws-alb-cost-calculator/"
_SECRETS: Final = (
    "https://hivebook.wiki/wiki/aws-secrets-manager-rotated-secrets-dynamic-db-credentials-kms"
)
_AURORA: Final = "https://c3x.dev/blog/aws-aurora-serverless-v2-cost/"
_AURORA_STORAGE: Final = "https://www.cloudexmachina.io/blog/aws-aurora-pricing"
_KMS: Final = "https://www.factualminds.com/blog/aws-kms-pricing-keys-requests-multi-region/"

_AT: Final = "https://aws.amazon.com/"

PRICES: Final[dict[str, Price]] = {
    "vcpu": Price(0.03238, "Fargate vCPU-hour, arm64", f"{_AT}fargate/pricing/", _VANTAGE),
    "memory": Price(0.00356, "Fargate GB-hour, arm64", f"{_AT}fargate/pricing/", _VANTAGE),
    "scratch": Price(0.000111, "Fargate storage GB-hour", f"{_AT}fargate/pricing/", _VANTAGE),
    "sqs": Price(0.40e-6, "SQS request", f"{_AT}sqs/pricing/", _SQS),
    "event": Price(1.00e-6, "EventBridge custom event", f"{_AT}eventbridge/pricing/", _EVENTS),
    "archive": Price(0.10, "EventBridge archive, GB", f"{_AT}eventbridge/pricing/", _EVENTS),
    "put": Price(0.005e-3, "S3 PUT or LIST", f"{_AT}s3/pricing/", _S3),
    "get": Price(0.0004e-3, "S3 GET", f"{_AT}s3/pricing/", _S3),
    "s3": Price(0.023, "S3 GB-month", f"{_AT}s3/pricing/", _S3),
    "write": Price(0.625e-6, "DynamoDB write unit", f"{_AT}dynamodb/pricing/on-demand/", _DYNAMODB),
    "read": Price(0.125e-6, "DynamoDB read unit", f"{_AT}dynamodb/pricing/on-demand/", _DYNAMODB),
    "table": Price(
        0.45,
        "DynamoDB GB-month, with point-in-time recovery (0.25 + 0.20)",
        f"{_AT}dynamodb/pricing/on-demand/",
        None,
    ),
    "logs": Price(0.50, "CloudWatch Logs, GB taken in", f"{_AT}cloudwatch/pricing/", _LOGS),
    "metric": Price(0.30, "CloudWatch metric-month", f"{_AT}cloudwatch/pricing/", _METRICS),
    "alarm": Price(0.10, "CloudWatch alarm-month", f"{_AT}cloudwatch/pricing/", None),
    "endpoint": Price(
        0.01, "interface endpoint, hour and zone", f"{_AT}privatelink/pricing/", _ENDPOINTS
    ),
    "endpoint_gb": Price(0.01, "interface endpoint, GB", f"{_AT}privatelink/pricing/", _ENDPOINTS),
    "nat": Price(0.045, "NAT gateway-hour", f"{_AT}vpc/pricing/", None),
    "alb": Price(0.0225, "load balancer-hour", f"{_AT}elasticloadbalancing/pricing/", _ALB),
    "secret": Price(0.40, "secret-month", f"{_AT}secrets-manager/pricing/", _SECRETS),
    "acu": Price(0.12, "Aurora ACU-hour", f"{_AT}rds/aurora/pricing/", _AURORA),
    "aurora_gb": Price(0.10, "Aurora GB-month", f"{_AT}rds/aurora/pricing/", _AURORA_STORAGE),
    "key": Price(1.00, "KMS key-month", f"{_AT}kms/pricing/", _KMS),
}
